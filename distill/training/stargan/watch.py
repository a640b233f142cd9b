"""Look at a StarGAN on the way: scores on held-out pictures for each change, its files, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.metrics.features import Features, load_features
from distill.metrics.kernel import kernel_distance
from distill.networks.stargan_files import IN_RUN, critic_beside, save_critic
from distill.networks.student import StudentFacts, save_student
from distill.pixels import encode_png, to_numpy, to_uint8
from distill.training.page import BASELINES
from distill.training.pictures import Numbers, grid, in_parts, spread, to_batch
from distill.training.position import RunPosition
from distill.training.settings import init_name
from distill.training.stargan.data import LabelledPictures, changed_labels, names_of
from distill.training.stargan.settings import StarGANSettings
from distill.training.stargan.step import StarGANStep
from distill.training.trainer import TrainingPlan, TrainingResult, few_scored

SHOWN, COLUMNS = 8, 6  # rows of pictures, and at least this many columns
LEAST = 2  # the fewest pictures that have a kernel distance
ALL = "all changes"

Plan = TrainingPlan[StarGANSettings, LabelledPictures]
Scores = dict[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Change:
    """One attribute put on, or off, of the held-out pictures where it is not so yet; `like`: those where it is."""

    name: str  # of what it shall be
    place: int  # of the attribute
    scored: Numbers
    like: Numbers


class StarGANWatch:
    """Scores, saves and draws a step's generator; generator and critic lie in the folder of the run."""

    def __init__(self, plan: Plan, step: StarGANStep) -> None:
        self.plan, self.step = plan, step
        self.changes = changes_of(plan.data, plan.request.score_images)
        self.features: Features | None = None
        if plan.request.features != "none" and self.changes:
            self.features = load_features(plan.request.features, device=plan.device)
        self.known: dict[str, NDArray[np.float64]] = {}  # features of the pictures that a change aims at
        self.scores: dict[str, Scores] = {}
        self.baselines: dict[str, Scores] = {}

    @property
    def caution(self) -> str:
        fewest = min((len(change.scored) for change in self.changes), default=0)
        return few_scored(fewest, "picture", "--val-fraction", of=" for a change")

    @property
    def legend(self) -> str:
        which = " Held-out pictures." if len(self.plan.data.held_out) else ""
        changed = "; ".join(f"{attribute} changed" for attribute in self.plan.data.attributes)
        return f"A picture; {changed}; and back from the last.{which}"

    @property
    def reals(self) -> str:
        """The picture shows the data beside the outputs."""
        return ""

    def begin(self, position: RunPosition) -> None:
        """Score what changes nothing: how far pictures with and without an attribute are apart."""
        if self.features is None:
            return
        apart = []
        for change in self.changes:
            scored, like = (self._features(numbers) for numbers in (change.scored, change.like))
            self.known[change.name] = like
            if min(len(scored), len(like)) >= LEAST:
                apart.append(kernel_distance(scored, like))
        if apart:
            self.baselines = {BASELINES[0]: {self._kernel: float(np.mean(apart))}}

    def score(self, position: RunPosition) -> Scores:
        """Score each change on the held-out pictures."""
        self.scores = {change.name: self._score(change) for change in self.changes}
        return self._by_name()

    def save(self, position: RunPosition) -> None:
        """Write the generator, a student that takes an edit, and the critic that tells what a picture has."""
        path = self.plan.out / IN_RUN
        save_critic(critic_beside(path), self.step.critic)
        save_student(path, self.step.average, self._facts(position))

    def picture(self, position: RunPosition) -> bytes:
        """Draw some pictures, each beside one for each attribute that is changed, and the way back from the last."""
        data, count = self.plan.data, len(self.plan.data.attributes)
        columns = count + 2
        beside = max(1, COLUMNS // columns)
        shown = spread(data.held_out if len(data.held_out) else data.train_on, beside * SHOWN)
        images, labels = self._read(shown)
        tiles = [images]
        for place in range(count):
            tiles.append(self.step.translate(images, changed_labels(data.attributes, labels, place)).cpu())
        tiles.append(self.step.translate(tiles[-1], labels).cpu())
        rows = torch.stack(tiles, dim=1).flatten(0, 1)
        return encode_png(grid(to_numpy(to_uint8(rows)), beside * columns))

    def keep(self, position: RunPosition) -> None:
        """Nothing beside the pictures."""

    def table(self) -> dict[str, Mapping[str, float]]:
        """The scores of each change, their mean where there are several, and of what changes nothing."""
        rows = {f"→ {name}": scores for name, scores in self.scores.items()}
        mean = {ALL: self._mean()} if len(rows) > 1 else {}
        return {**rows, **mean, **self.baselines}

    def result(self) -> TrainingResult:
        return TrainingResult(weights=self.plan.out / IN_RUN, scores=self._mean())

    def _by_name(self) -> Scores:
        """The means over all changes, and the scores of each, whose names begin with the change's."""
        of_each = {
            f"{change}_{name}": value
            for change, scores in self.scores.items()
            for name, value in scores.items()
        }
        return self._mean() | of_each

    def _mean(self) -> Scores:
        names = dict.fromkeys(name for scores in self.scores.values() for name in scores)
        return {
            name: float(np.mean([scores[name] for scores in self.scores.values() if name in scores]))
            for name in names
        }

    @property
    def _kernel(self) -> str:
        return f"kernel_{self.features.name}" if self.features else ""

    def _features(self, numbers: Numbers) -> NDArray[np.float64]:
        assert self.features is not None
        pixels = self.plan.data.images.read(numbers)
        return self.features.of(map(torch.from_numpy, in_parts(pixels)))

    def _read(self, numbers: Numbers) -> tuple[Tensor, Tensor]:
        data = self.plan.data
        return to_batch(data.images.read(numbers)), torch.from_numpy(data.labels[numbers])

    def _score(self, change: Change) -> Scores:
        """Score one change, 0 is best of all.

        `l1_cycle`: |there and back - picture|, 0..1. `missed`: share of outputs that the critic does not take for
        what they should be. `kernel_<features>`: outputs against pictures that are so.
        """
        distances, missed, found = [], [], []
        for numbers in in_parts(change.scored):
            images, labels = self._read(numbers)
            wanted = changed_labels(self.plan.data.attributes, labels, change.place)
            made = self.step.translate(images, wanted)
            back = self.step.translate(made, labels).cpu()
            distances.append((back - images).abs().mean(dim=(1, 2, 3)) / 2)
            told = self.step.tell(made)[:, change.place].cpu()
            missed.append((told != wanted[:, change.place]).float())
            if self.features:
                found.append(self.features.of([to_uint8(made.cpu())]))
        scores = {"l1_cycle": float(torch.cat(distances).mean()), "missed": float(torch.cat(missed).mean())}
        if self.features and min(len(change.scored), len(change.like)) >= LEAST:
            scores[self._kernel] = kernel_distance(np.concatenate(found), self.known[change.name])
        return scores

    def _facts(self, position: RunPosition) -> StudentFacts:
        height, width = self.plan.data.sides
        return StudentFacts(
            task=", ".join(map(str, self.plan.data.attributes))[:300],
            inputs=("photo",),
            resolution=height,
            width=None if width == height else width,
            data_digest=self.plan.data.images.digest,
            val_fraction=self.plan.settings.val_fraction,
            seed=self.plan.seed,
            kimg=position.samples / 1000,
            init=init_name(self.plan.settings.init),
            preset=self.plan.preset,
            scores=self._mean(),
            attributes=self.plan.data.attributes,
        )


def changes_of(data: LabelledPictures, most: int) -> list[Change]:
    """List the changes that held-out pictures allow, each scored on `most` pictures at most."""
    changes = []
    held = torch.from_numpy(data.labels[data.held_out])
    for place, attribute in enumerate(data.attributes):
        wanted = changed_labels(data.attributes, held, place)[:, place]
        for value, name in zip((1.0, 0.0), names_of(attribute), strict=True):
            to_change = ((held[:, place] != value) & (wanted == value)).numpy()
            scored, like = data.held_out[to_change], data.held_out[(held[:, place] == value).numpy()]
            if len(scored):
                changes.append(
                    Change(name=name, place=place, scored=spread(scored, most), like=spread(like, most))
                )
    return changes
