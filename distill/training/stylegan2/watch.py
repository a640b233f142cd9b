"""Look at a teacher on the way: its averaged generator as grids, scores and a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from distill import __version__
from distill.metrics.features import Features, load_features
from distill.metrics.frechet import Moments, frechet_distance, moments, score_name
from distill.networks.efficientnet_lite import NAME as LITE0
from distill.pixels import encode_png, write_png
from distill.stylegan2.facts import Parent
from distill.training.pictures import grid
from distill.training.position import RunPosition
from distill.training.stylegan2.data import TeacherImages
from distill.training.stylegan2.export import as_images, pictures, save_generator, set_centre
from distill.training.stylegan2.parent import ParentLikeness
from distill.training.stylegan2.settings import StyleGAN2Settings
from distill.training.stylegan2.step import StyleGAN2Step
from distill.training.trainer import TrainingPlan, TrainingResult, few_scored

FILE, REALS = "generator.safetensors", "reals.png"
GRID = 8  # pictures a side; of a child half of them are its parent's
GRID_PSI = 0.7
KEPT = ("critic", "lr", "batch", "noise", "gamma", "mirror")  # settings that the file holds
KEPT_OF_A_CHILD = ("structure_weight", "colour_weight", "freeze_d")

Plan = TrainingPlan[StyleGAN2Settings, TeacherImages]


class TeacherWatch:
    """Looks at the averaged generator of a step; its files lie in the folder of the run."""

    def __init__(self, plan: Plan, step: StyleGAN2Step) -> None:
        self.plan, self.step, self.data = plan, step, plan.data
        self.scores: dict[str, float] = {}
        self.likeness: dict[str, float] = {}
        self._features: Features | None = None
        self._real: Moments | None = None
        self._parent: ParentLikeness | None = None
        if step.parent is not None:
            self._parent = ParentLikeness(step.parent, seed=plan.seed, psi=GRID_PSI)
        if plan.request.features != "none" and len(self.data.held_out) > 1:
            self._features = load_features(plan.request.features, device=plan.device)

    @property
    def caution(self) -> str:
        """Whether the score is taken on few images, or with the features that the critic judges by."""
        if self._features is None:
            return ""
        lines = [few_scored(len(self.data.held_out), "image", "--held-out")]
        if self.plan.settings.critic == "projected" and self._features.name == LITE0:
            lines.append(
                "the critic and the score see the same features, so the score flatters: trust the pictures more"
            )
        return "; ".join(line for line in lines if line)

    @property
    def legend(self) -> str:
        who = "by the average of the weights"
        whose = f"by the parent, and below it {who}" if self._parent is not None else who
        return f"Drawn at ψ {GRID_PSI:g} {whose}, of the same z each time; scored at ψ 1."

    @property
    def reals(self) -> str:
        return REALS

    def begin(self, position: RunPosition) -> None:
        """Write the first real images as a grid."""
        numbers = self.data.train_on[: GRID * GRID]
        write_png(self.plan.out / REALS, grid(self.data.images.read(numbers), GRID))

    def score(self, position: RunPosition) -> dict[str, float]:
        """Take the Fréchet distance between drawn (psi 1) and held-out images, and the likeness to a parent."""
        self.scores = self._distance()
        self.likeness = self._parent.of(self.step.average) if self._parent is not None else {}
        return self.scores | self.likeness

    def _distance(self) -> dict[str, float]:
        features = self._features
        if features is None:
            return {}
        if self._real is None:
            held_out = self.data.held_out
            parts = np.array_split(held_out, -(-len(held_out) // 32))
            self._real = moments(features.of(torch.from_numpy(self.data.images.read(part)) for part in parts))
        drawn = pictures(self.step.average, self.plan.request.score_images, seed=self.plan.seed + 1)
        value = frechet_distance(self._real, moments(features.of(drawn)))
        return {score_name(features.name): value}

    def save(self, position: RunPosition) -> None:
        """Write the generator with its facts."""
        self._write(FILE, position)

    def keep(self, position: RunPosition) -> None:
        """Keep a child as it is now: how far it may go from its parent is for a person to choose."""
        if self._parent is not None:
            self._write(f"generator-{position.samples:09d}.safetensors", position)

    def _write(self, name: str, position: RunPosition) -> None:
        settings, facts = self.plan.settings, self._facts(position)
        centred = settings.child
        save_generator(self.plan.out / name, self.step.average, facts, half=settings.float16, centred=centred)

    def picture(self, position: RunPosition) -> bytes:
        """Draw a grid at psi 0.7; of a child half as many, each below its parent's picture."""
        if self._parent is not None:
            return encode_png(grid(self._parent.pairs(self.step.average, GRID // 2, GRID), GRID))
        set_centre(self.step.average)
        drawn = pictures(self.step.average, GRID * GRID, seed=self.plan.seed, psi=GRID_PSI)
        return encode_png(grid(as_images(drawn), GRID))

    def table(self) -> dict[str, Mapping[str, float]]:
        return {"generator": self.scores} if self.scores else {}

    def result(self) -> TrainingResult:
        return TrainingResult(weights=self.plan.out / FILE, scores=self.scores)

    def _facts(self, position: RunPosition) -> dict[str, Any]:
        plan = self.plan
        score: dict[str, Any] = {name: round(value, 3) for name, value in self.scores.items()}
        if score:
            counts = f"{plan.request.score_images} drawn, {len(self.data.held_out)} held out"
            score["score_counts"] = counts
        return {
            "kimg": position.samples / 1000,
            "preset": plan.preset,
            "data": self.data.name,
            "data_digest": self.data.images.digest,
            "training_images": self.data.rows,
            "seed": plan.seed,
            "precision": plan.precision,
            "distill": __version__,
            **self._origin(),
            **{name: getattr(plan.settings, name) for name in KEPT},
            **score,
        }

    def _origin(self) -> dict[str, Any]:
        """The generator that the run started from, and what a child has of it."""
        start, settings = self.step.start, self.plan.settings
        if start is None:
            return {}
        facts: dict[str, Any] = {"init": start.name, "init_sha256": start.sha256}
        if settings.child:
            facts |= Parent(name=start.name, sha256=start.sha256).facts()
            facts |= {name: getattr(settings, name) for name in KEPT_OF_A_CHILD}
            facts |= {name: round(value, 4) for name, value in self.likeness.items()}
        return facts
