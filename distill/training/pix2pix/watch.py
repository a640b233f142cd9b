"""Look at a student on the way: scores on what is held out, its files, pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.attributes.judge import selection
from distill.attributes.moves import opposite_task
from distill.errors import DistillError
from distill.files import atomic_write
from distill.metrics.features import Features, load_features
from distill.metrics.pairs import PairScores, copy_content, mean_of_inputs
from distill.networks.conditioned import ConditionedGenerator
from distill.networks.edits import change_text
from distill.networks.student import StudentFacts, load_student, save_student
from distill.shards.drawn import drawn_by
from distill.shards.summary import sample_word
from distill.training.page import BASELINES
from distill.training.pictures import spread
from distill.training.pix2pix.data import Triplets
from distill.training.pix2pix.samples import SampleSheet, title_of
from distill.training.pix2pix.settings import Pix2PixSettings
from distill.training.pix2pix.step import Pix2PixHDStep, split_roles
from distill.training.position import RunPosition, kimg_text
from distill.training.settings import init_name
from distill.training.trainer import TrainingPlan, TrainingResult, few_scored

LAST, BEST, SCORES = "student.safetensors", "student-best.safetensors", "scores.json"
SAMPLES = 12  # triplets in a picture
Edit = Callable[[Tensor, Tensor | None], Tensor]  # (inputs [B, 3k, H, W], conditions [B, K]) -> [B, 3, H, W]
BASELINE_EDITS: dict[str, Edit] = {
    BASELINES[0]: lambda inputs, conditions: copy_content(inputs),
    BASELINES[1]: lambda inputs, conditions: mean_of_inputs(inputs),
}

Plan = TrainingPlan[Pix2PixSettings, Triplets]
Scores = dict[str, float]


class StudentWatch:
    """Scores, saves and draws the student of a step; its files lie in the folder of the run."""

    def __init__(self, plan: Plan, step: Pix2PixHDStep) -> None:
        self.out, self.step, self.data = plan.out, step, plan.data
        self.batch, self.facts = plan.settings.batch, student_facts(plan, step)
        self.noun = sample_word(plan.data.dataset.roles)
        self.rows = spread(plan.data.held_out, plan.request.score_images)
        self.wants_scores = plan.settings.val_fraction > 0
        self.features: Features | None = None
        if plan.request.features != "none" and len(self.rows):
            self.features = load_features(plan.request.features, device=plan.device)
        shown = plan.data.held_out if len(plan.data.held_out) else plan.data.train_on
        self.shown = spread(shown, SAMPLES)
        self.sheet = SampleSheet(plan.data.dataset, self.shown, _asked(plan.data, self.shown))
        self.scores: Scores = {}
        self.best: tuple[float, Scores] | None = None  # kimg, scores
        self.baselines: dict[str, Scores] = {}

    @property
    def caution(self) -> str:
        if self.wants_scores and not len(self.rows):
            return "no row was held out, so there are no scores: raise --val-fraction, or use more data"
        return few_scored(len(self.rows), self.noun, "--val-fraction")

    @property
    def legend(self) -> str:
        """The sheet names its own columns."""
        return ""

    @property
    def reals(self) -> str:
        """The sheet shows the data beside the output."""
        return ""

    @property
    def leading(self) -> str:
        """The score that the best student has least of: the distance that the eye comes nearest to."""
        features = self.step.features
        return f"perceptual_{features.name}" if features.weights else "l1"

    def begin(self, position: RunPosition) -> None:
        """Score the baselines, and take up the best student so far."""
        if position.samples:
            self.best = self._read_best()
        if len(self.rows):
            edits = dict(BASELINE_EDITS)
            if len(self.data.dataset.roles) == 2:
                del edits[BASELINES[1]]  # of one input it is the content
            self.baselines = {name: self._score(edit) for name, edit in edits.items()}

    def score(self, position: RunPosition) -> Scores:
        """Score the student on the held-out rows; keep it where it is the best so far."""
        if not len(self.rows):
            return {}
        self.scores = self._score(self.step.translate)
        key = self.leading
        if self.best is None or self.scores[key] < self.best[1].get(key, np.inf):
            self.best = (position.samples / 1000, self.scores)
            self._save(BEST, position)
        text = json.dumps(self.summary(), indent=1)
        atomic_write(self.out / SCORES, f"{text}\n".encode())
        return self.scores

    def save(self, position: RunPosition) -> None:
        """Write the student as it is now."""
        self._save(LAST, position)

    def picture(self, position: RunPosition) -> bytes:
        """Draw inputs, output and target of some rows."""
        images = self.data.reader.read(self.shown)
        inputs, _ = split_roles(images.float() / 127.5 - 1)
        parts = []
        for first in range(0, len(inputs), self.batch):
            some = slice(first, first + self.batch)
            parts.append(self.step.translate(inputs[some], self._conditions(self.shown[some])).cpu())
        title = f"{title_of(self.data.dataset.roles)}, after {kimg_text(position.samples)} thousand samples"
        return self.sheet.draw(images, torch.cat(parts), title=title)

    def keep(self, position: RunPosition) -> None:
        """Only the last and the best student stay."""

    def table(self) -> dict[str, Mapping[str, float]]:
        """The scores of the student now, of the best one, and of the baselines."""
        rows: dict[str, Mapping[str, float]] = {}
        if self.scores:
            rows["student, now"] = self.scores
        if self.best:
            rows[f"student, best ({kimg_text(1000 * self.best[0])} k)"] = self.best[1]
        return rows | self.baselines

    def result(self) -> TrainingResult:
        best = {"kimg": self.best[0], **self.best[1]} if self.best else {}
        return TrainingResult(weights=self.out / LAST, scores=best)

    def summary(self) -> dict[str, object]:
        """The scores of the latest and the best student and of the baselines, by name."""
        return {
            "latest": self.scores,
            "best": dict(self.result().scores),
            "best_by": self.leading,
            "baselines": self.baselines,
        }

    def _conditions(self, rows: NDArray[np.int64]) -> Tensor | None:
        """The measured changes of rows, of a data set that has them."""
        return self.data.changes.of(rows) if self.data.changes else None

    def _score(self, edit: Edit) -> Scores:
        found = PairScores(perceptual=self.step.features, features=self.features, device=self.step.device)
        count = -(-len(self.rows) // self.batch)
        for rows in np.array_split(self.rows, count):
            images = self.data.reader.read(rows).to(self.step.device).float() / 127.5 - 1
            inputs, target = split_roles(images)
            found.add(edit(inputs, self._conditions(rows)), target)
        return found.result()

    def _save(self, name: str, position: RunPosition) -> None:
        facts = replace(self.facts, kimg=position.samples / 1000, scores=self.scores)
        network = self.step.student
        if facts.conditions:
            network = ConditionedGenerator(network, torch.zeros(len(facts.conditions)))
        save_student(self.out / name, network, facts)

    def _read_best(self) -> tuple[float, Scores] | None:
        """What an earlier start of this run kept as its best. Raises DistillError for a file that is not that."""
        if not os.path.lexists(self.out / BEST):
            return None
        advice = "remove it, and the best student from now on takes its place"
        try:
            facts = load_student(self.out / BEST).facts
        except DistillError as error:
            raise DistillError(f"{error}: {advice}") from error
        if facts.data_digest != self.facts.data_digest or facts.kimg is None:
            raise DistillError(f"{self.out / BEST}: not a student of this run: {advice}")
        return facts.kimg, dict(facts.scores)


def student_facts(plan: Plan, step: Pix2PixHDStep) -> StudentFacts:
    """What the files of a student say of it."""
    dataset = plan.data.dataset
    *inputs, target = dataset.roles
    generator = dataset.recipe.get("generator")
    task = dataset.recipe.get("task")
    return StudentFacts(
        task=opposite_task(task) if task and plan.settings.reverse else task,
        inputs=tuple(inputs),
        target=target,
        resolution=dataset.resolution,
        data_digest=dataset.digest,
        drawn=drawn_by(dataset.recipe),
        selected_by=selection(dataset.recipe),
        generator=generator.get("name") if isinstance(generator, Mapping) else None,
        val_fraction=plan.settings.val_fraction,
        seed=plan.seed,
        init=init_name(plan.settings.init),
        preset=plan.preset,
        perceptual=step.features.name,
        conditions=plan.data.conditions,
    )


def _asked(data: Triplets, rows: NDArray[np.int64]) -> list[str]:
    """What each row asks for, in words; [] of a data set without measured changes."""
    if not data.changes:
        return []
    return [change_text(data.conditions, values) for values in data.changes.in_units(rows).tolist()]
