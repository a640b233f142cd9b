"""Look at a student on the way: scores on what is held out, its files, pictures and a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import DistillError
from distill.files import atomic_write
from distill.metrics.features import Features
from distill.metrics.pairs import PairScores, copy_content, mean_of_inputs
from distill.networks.perceptual import PerceptualFeatures
from distill.networks.student import StudentFacts, load_student, save_student
from distill.training.pix2pix.data import TripletReader
from distill.training.pix2pix.page import BASELINES, Page, write_page
from distill.training.pix2pix.samples import SampleSheet
from distill.training.pix2pix.step import Pix2PixHDStep, split_roles
from distill.training.position import RunPosition

LAST, BEST, SCORES = "student.safetensors", "student-best.safetensors", "scores.json"
SAMPLES = 12  # triplets in a picture
ACTS: dict[str, Callable[[Tensor], Tensor]] = dict(
    zip(BASELINES, (copy_content, mean_of_inputs), strict=True)
)

Rows = NDArray[np.int64]
Scores = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Jury:
    """What scores are made with, and on which rows; no rows, no scores."""

    rows: Rows
    perceptual: PerceptualFeatures
    features: Features | None
    batch: int

    @property
    def leading(self) -> str:
        """The score that the best checkpoint has least of: the distance that the eye comes nearest to."""
        return f"perceptual_{self.perceptual.name}" if self.perceptual.weights else "l1"


class StudentWatcher:
    """Scores, saves and shows the student of a step; all its files lie in `out`."""

    def __init__(
        self,
        out: Path,
        step: Pix2PixHDStep,
        reader: TripletReader,
        jury: Jury,
        *,
        facts: StudentFacts,
        page: Page,
        shown: Rows,
    ) -> None:
        self.out, self.step, self.reader, self.jury = out, step, reader, jury
        self.facts, self.page, self.shown = facts, page, spread(shown, SAMPLES)
        self.sheet = SampleSheet(reader.dataset, self.shown)
        self.scores: Scores = {}
        self.best: tuple[float, Scores] | None = None  # kimg, scores
        self.baselines: dict[str, Scores] = {}

    def begin(self, place: RunPosition) -> None:
        """Score the baselines, take up the best student so far, and write a first page."""
        if place.samples:
            self.best = self._read_best()
        if len(self.jury.rows):
            self.baselines = {name: self._score(act) for name, act in ACTS.items()}
        self._write_page(place, running=True)

    def score(self, place: RunPosition) -> Scores:
        """Score the student on the held-out rows; keep it where it is the best so far."""
        self.scores = self._score(self.step.translate)
        kimg = place.samples / 1000
        key = self.jury.leading
        if self.best is None or self.scores[key] < self.best[1].get(key, np.inf):
            self.best = (kimg, self.scores)
            self._save(BEST, place)
        text = json.dumps(self.summary(), indent=1)
        atomic_write(self.out / SCORES, f"{text}\n".encode())
        return self.scores

    def save(self, place: RunPosition) -> None:
        """Write the student as it is now."""
        self._save(LAST, place)

    def show(self, place: RunPosition) -> None:
        """Write a picture of inputs, output and target, and the page."""
        images = self.reader.read(self.shown)
        inputs, _ = split_roles(images.float() / 127.5 - 1)
        parts = [self.step.translate(part).cpu() for part in torch.split(inputs, self.jury.batch)]
        title = f"{self.page.title.replace('→', 'to')}, after {place.samples / 1000:.1f} thousand {self.page.noun}s"
        name = f"samples-{place.samples:09d}.png"
        atomic_write(self.out / name, self.sheet.draw(images, torch.cat(parts), title=title))
        self.page = replace(self.page, picture=name)
        self._write_page(place, running=True)

    def finish(self, place: RunPosition) -> None:
        """Write the page of a run that has ended."""
        self._write_page(place, running=False)

    def summary(self) -> dict[str, object]:
        """The scores of the latest and the best student and of the baselines, by name."""
        best = {"kimg": self.best[0], **self.best[1]} if self.best else {}
        return {
            "latest": self.scores,
            "best": best,
            "best_by": self.jury.leading,
            "baselines": self.baselines,
        }

    def _score(self, act: Callable[[Tensor], Tensor]) -> Scores:
        found = PairScores(
            perceptual=self.jury.perceptual, features=self.jury.features, device=self.step.device
        )
        count = -(-len(self.jury.rows) // self.jury.batch)
        for rows in np.array_split(self.jury.rows, count):
            inputs, target = split_roles(self.reader.read(rows).to(self.step.device).float() / 127.5 - 1)
            found.add(act(inputs), target)
        return found.result()

    def _save(self, name: str, place: RunPosition) -> None:
        facts = replace(self.facts, kimg=place.samples / 1000, scores=self.scores)
        save_student(self.out / name, self.step.student, facts)

    def _read_best(self) -> tuple[float, Scores] | None:
        """What an earlier start of this run kept as its best; a file that cannot be read is written anew."""
        if not (self.out / BEST).is_file():
            return None
        try:
            facts = load_student(self.out / BEST).facts
        except DistillError:
            return None
        return facts.kimg or 0.0, dict(facts.scores)

    def _write_page(self, place: RunPosition, *, running: bool) -> None:
        rows: dict[str, Mapping[str, float]] = {}
        if self.scores:
            rows[f"student, now ({place.samples / 1000:.1f} k)"] = self.scores
        if self.best:
            rows[f"student, best ({self.best[0]:.1f} k)"] = self.best[1]
        write_page(self.out, self.page, rows | self.baselines, running=running)


def spread(rows: Rows, count: int) -> Rows:
    """Take at most `count` rows, evenly spaced."""
    chosen: Rows = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(np.int64)]
    return chosen
