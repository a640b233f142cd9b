"""What `train-classifier` is asked for, and what comes of it once the pictures are known."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill.attributes.classifier.examples import Examples, read_examples
from distill.attributes.classifier.fit import SIDES, choose_network
from distill.attributes.crops import Crop
from distill.attributes.settings import ScorerSettings, ScoreSettings
from distill.devices import resolve_device
from distill.errors import DistillError
from distill.files import check_file
from distill.networks.input_settings import PADDING, settings_of
from distill.parallel import default_workers

Align = Literal["ffhq", "chip", "none"]
CROPS: dict[Align, Literal["ffhq", "chip", "whole"]] = {"ffhq": "ffhq", "chip": "chip", "none": "whole"}
SUFFIX = ".safetensors"


@dataclass(frozen=True, kw_only=True)
class TrainClassifierRequest:
    """Labelled pictures (a folder, or a CSV with its columns), the file to write, and how to learn.

    None: of `name` and `column` what the CSV says, of `positive` the last of two labels, of `size` the network's own,
    of `max_skips` 5 in 100 but at least 10, of `workers` one a core where it pays.
    """

    data: Path
    out: Path
    name: str | None = None
    positive: str | None = None
    align: Align = "none"
    column: str | None = None
    group: str | None = None
    images: Path | None = None
    network: str = "auto"
    size: int | None = None
    validation: float = 0.2
    test: float = 0.2
    flip: bool = True
    seed: int = 0
    max_skips: int | None = None
    device: str = "auto"
    workers: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassifierPlan:
    """A classifier to make. `name`: of the score; `positive`: of two classes, the one whose probability it is."""

    data: Path
    out: Path
    examples: Examples
    name: str
    labels: tuple[str, ...]
    positive: str | None
    network: str
    size: int
    align: Align
    validation: float
    test: float
    flip: bool
    seed: int
    device: str
    workers: int
    max_skips: int

    def settings(self, temperature: float = 1.0) -> ScorerSettings:
        """Return what the scorer file says. Raises DistillError for a name or label that cannot stand there."""
        score: dict[str, Any] = {"name": self.name, "kind": "softmax", "labels": self.labels}
        if self.positive is not None:
            score["positive"] = self.positive
        what = f"score {self.name!r}"
        checked = settings_of(ScoreSettings, score | {"temperature": temperature}, what)
        given = {"crop": CROPS[self.align], "size": self.size, "white": 1, "mean": 0.5, "std": 0.5}
        return settings_of(
            ScorerSettings,
            {
                "architecture": self.network,
                "input": given,
                "scores": [checked.model_dump(exclude_unset=True)],
            },
            what,
        )

    @property
    def crop(self) -> Crop:
        return Crop(kind=CROPS[self.align], height=self.size, width=self.size, padding=PADDING)

    @property
    def beside(self) -> tuple[Path, Path]:
        """The report and the diagram."""
        return files_beside(self.out)

    def lines(self) -> list[str]:
        """Say what would be done."""
        items = self.examples.items
        counts = Counter(item.label for item in items)
        classes = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
        return [
            f"{len(items)} pictures: {classes}; without a label {self.examples.unlabelled}",
            f"{self.network} at {self.size} px, align {self.align}, on {self.device} → {self.out}",
            f"scores: {', '.join(self.settings().kinds)}",
            f"{self.validation:.0%} validate, {self.test:.0%} test, at most {self.max_skips} may be skipped",
        ]


def plan_classifier(request: TrainClassifierRequest) -> ClassifierPlan:
    """Find the pictures and settle every choice. Raises DistillError for what does not fit the data."""
    out = request.out
    _check_out(out, overwrite=request.overwrite)
    examples = read_examples(
        request.data, out, column=request.column, images=request.images, group=request.group
    )
    labels, positive, count = examples.labels, request.positive, len(examples.items)
    if positive is not None and positive not in labels:
        raise DistillError(f"--positive {positive}: no such class; the classes are {', '.join(labels[:20])}")
    network = choose_network(request.network)
    plan = ClassifierPlan(
        data=request.data,
        out=out,
        examples=examples,
        name=request.name or re.sub(r"\W+", "_", examples.title or out.stem, flags=re.ASCII).strip("_"),
        labels=labels,
        positive=positive or (labels[-1] if len(labels) == 2 else None),
        network=network,
        size=request.size or SIDES[network],
        align=request.align,
        validation=request.validation,
        test=request.test,
        flip=request.flip,
        seed=request.seed,
        device=resolve_device(request.device),
        workers=request.workers or default_workers(count, 200),
        max_skips=max(10, count // 20) if request.max_skips is None else request.max_skips,
    )
    plan.settings()  # a name that cannot be saved shows here
    return plan


def files_beside(out: Path) -> tuple[Path, Path]:
    """Where report and diagram of a scorer file are."""
    return out.with_suffix(".json"), out.with_suffix(".png")


def _check_out(out: Path, *, overwrite: bool) -> None:
    if out.suffix != SUFFIX:
        raise DistillError(f"--out {out}: the name must end in {SUFFIX}")
    for path in (out, *files_beside(out)):
        check_file(path, overwrite=overwrite)
