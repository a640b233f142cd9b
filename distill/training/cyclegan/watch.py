"""Look at a CycleGAN on the way: scores on held-out pictures of both domains, its files, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.metrics.features import Features, load_features
from distill.metrics.kernel import kernel_distance
from distill.networks.student import StudentFacts, save_student
from distill.pixels import encode_png, to_numpy, to_uint8
from distill.training.cyclegan.data import Domain, Domains
from distill.training.cyclegan.settings import CycleGANSettings
from distill.training.cyclegan.step import A2B, B2A, CycleGANStep
from distill.training.page import BASELINES
from distill.training.pictures import Numbers, grid, in_parts, spread, to_batch
from distill.training.position import RunPosition
from distill.training.settings import init_name
from distill.training.trainer import TrainingPlan, TrainingResult, few_scored

SHOWN = 8  # pictures of each domain

Plan = TrainingPlan[CycleGANSettings, Domains]
Scores = dict[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """One way to translate, and the pictures that are scored: those held out of the domain it comes from."""

    key: str
    back: str  # the other way
    source: Domain
    target: Domain
    scored: Numbers

    @property
    def name(self) -> str:
        return f"{self.source.name} → {self.target.name}"


class CycleGANWatch:
    """Scores, saves and draws both generators of a step; their files lie in the folder of the run."""

    def __init__(self, plan: Plan, step: CycleGANStep) -> None:
        self.plan, self.step = plan, step
        a, b = plan.data.a, plan.data.b
        held = [spread(domain.held_out, plan.request.score_images) for domain in (a, b)]
        self.ways = (
            Way(key=A2B, back=B2A, source=a, target=b, scored=held[0]),
            Way(key=B2A, back=A2B, source=b, target=a, scored=held[1]),
        )
        self.scored = min(map(len, held)) > 1
        self.features: Features | None = None
        if plan.request.features != "none" and self.scored:
            self.features = load_features(plan.request.features, device=plan.device)
        self.known: dict[str, NDArray[np.float64]] = {}  # features of what each way is scored on
        self.scores: dict[str, Scores] = {}
        self.baselines: dict[str, Scores] = {}

    @property
    def caution(self) -> str:
        fewest = min(len(way.scored) for way in self.ways)
        return few_scored(fewest, "picture", "--val-fraction", of=" of a domain")

    @property
    def legend(self) -> str:
        rows = [f"{way.source.name}, as {way.target.name}, and back" for way in self.ways]
        return f"{'; '.join(rows)}. Held-out pictures." if self.scored else f"{'; '.join(rows)}."

    @property
    def reals(self) -> str:
        """The picture shows the data beside the outputs."""
        return ""

    def begin(self, position: RunPosition) -> None:
        """Score what changes nothing: how far the two domains are apart."""
        if self.features is None:
            return
        for way in self.ways:
            pixels = in_parts(way.source.images.read(way.scored))
            self.known[way.key] = self.features.of(map(torch.from_numpy, pixels))
        apart = kernel_distance(self.known[A2B], self.known[B2A])
        self.baselines = {BASELINES[0]: {self._kernel: apart}}

    def score(self, position: RunPosition) -> Scores:
        """Score both ways on the held-out pictures."""
        if not self.scored:
            return {}
        self.scores = {way.key: self._score(way) for way in self.ways}
        return self._by_name()

    def save(self, position: RunPosition) -> None:
        """Write both generators, each a student of its own."""
        for way in self.ways:
            facts = self._facts(way, position)
            save_student(self.plan.out / f"{way.key}.safetensors", self.step.network(way.key), facts)

    def picture(self, position: RunPosition) -> bytes:
        """Draw some pictures of either domain, each beside its translation and the way back."""
        columns: list[Tensor] = []
        for way in self.ways:
            shown = spread(way.scored if len(way.scored) else way.source.train_on, SHOWN)
            images = way.source.read(shown)
            made, back = self._both_ways(way, images)
            few = [part[torch.arange(SHOWN) % len(part)] for part in (images, made, back)]
            columns.extend(few)
        rows = torch.stack(columns, dim=1).flatten(0, 1)
        return encode_png(grid(to_numpy(to_uint8(rows)), len(columns)))

    def keep(self, position: RunPosition) -> None:
        """Nothing beside the pictures."""

    def table(self) -> dict[str, Mapping[str, float]]:
        """The scores of both ways, and of what changes nothing."""
        rows = {way.name: self.scores[way.key] for way in self.ways if way.key in self.scores}
        return {**rows, **self.baselines}

    def result(self) -> TrainingResult:
        return TrainingResult(weights=self.plan.out / f"{A2B}.safetensors", scores=self._by_name())

    def _by_name(self) -> Scores:
        """All scores; their names end in _a2b or _b2a."""
        return {
            f"{name}_{key}": value for key, scores in self.scores.items() for name, value in scores.items()
        }

    @property
    def _kernel(self) -> str:
        return f"kernel_{self.features.name}" if self.features else ""

    def _score(self, way: Way) -> Scores:
        """`l1_cycle`: |there and back - picture|, 0..1. `kernel_<features>`: outputs against the target."""
        distances, found = [], []
        for pixels in in_parts(way.source.images.read(way.scored)):
            images = to_batch(pixels)
            made, back = self._both_ways(way, images)
            distances.append((back - images).abs().mean(dim=(1, 2, 3)) / 2)
            if self.features:
                found.append(self.features.of([to_uint8(made)]))
        scores = {"l1_cycle": float(torch.cat(distances).mean())}
        if found:
            wanted = self.known[way.back]  # of the target: what the other way is scored on
            scores[self._kernel] = kernel_distance(np.concatenate(found), wanted)
        return scores

    def _both_ways(self, way: Way, images: Tensor) -> tuple[Tensor, Tensor]:
        """Translations [N, 3, H, W] and what becomes of them on the way back, on the CPU."""
        made = self.step.translate(way.key, images)
        return made.cpu(), self.step.translate(way.back, made).cpu()

    def _facts(self, way: Way, position: RunPosition) -> StudentFacts:
        height, width = self.plan.data.sides
        settings = self.plan.settings
        return StudentFacts(
            task=way.name,
            inputs=(way.source.name,),
            target=way.target.name,
            resolution=height,
            width=None if width == height else width,
            data_digest=self.plan.data.digest,
            val_fraction=self.plan.settings.val_fraction,
            seed=self.plan.seed,
            kimg=position.samples / 1000,
            init=init_name(settings.init if way.key == "a2b" else settings.init_b),
            preset=self.plan.preset,
            scores=self.scores.get(way.key, {}),
        )
