"""Labelled pictures → a scorer file, its report and its reliability diagram: the whole way, read this first."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from distill.attributes.calibration import fit_class_temperature
from distill.attributes.classifier.examples import Example, Examples, check_classes
from distill.attributes.classifier.fit import Fitted, Task, make_learner
from distill.attributes.classifier.judge import Judgement, judge, mistakes
from distill.attributes.classifier.pictures import Tally, chips_of
from distill.attributes.classifier.split import PARTS, Split, split_rows
from distill.attributes.crops import Crop
from distill.attributes.reliability import draw_reliability
from distill.attributes.scorer_files import save_scorer
from distill.attributes.settings import PADDING, ScorerSettings, ScoreSettings, settings_of
from distill.files import atomic_write
from distill.shards.inspect.sheet import png_bytes

Align = Literal["ffhq", "chip", "none"]
CROPS: dict[Align, Literal["ffhq", "chip", "whole"]] = {"ffhq": "ffhq", "chip": "chip", "none": "whole"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A classifier to make. `name`: of the score; `positive`: of two classes, the one whose probability it is."""

    data: Path
    out: Path
    name: str
    labels: tuple[str, ...]
    positive: str | None
    network: str
    size: int
    align: Align = "none"
    validation: float = 0.2
    test: float = 0.2
    flip: bool = True
    seed: int = 0
    device: str = "cpu"

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
        return self.out.with_suffix(".json"), self.out.with_suffix(".png")


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What looks on: `pictures` hears how many were read, `note` a line now and then, `stop` ends the work."""

    stop: threading.Event = field(default_factory=threading.Event)
    pictures: Callable[[int], None] = lambda count: None
    note: Callable[[str], None] = lambda line: None


def train_classifier(
    plan: Plan, examples: Examples, *, workers: int, max_skips: int, watch: Watch
) -> dict[str, Any]:
    """Look at the pictures, learn, calibrate, test, and write scorer, report and diagram; return the report.

    Raises DistillError when more than `max_skips` pictures cannot be used or too few of a class are left, and
    Interrupted; then nothing is written.
    """
    plan.settings()  # a name that cannot be saved shows here
    learner = make_learner(plan.network, device=plan.device, flip=plan.flip)
    tally = Tally(found=len(examples.items), most_skips=max_skips)
    for looked, chips in chips_of(examples.items, plan.crop, tally, workers=workers, stop=watch.stop):
        if len(chips):
            learner.take(chips)
        watch.pictures(looked)
    check_classes(plan.data, [item.label for item in tally.used], _left(tally))
    task = make_task(plan, tally.used)
    fitted = learner.fit(task, stop=watch.stop, note=watch.note)
    unseen = task.split.test
    temperature = fit_class_temperature(fitted.held_logits, task.truth[fitted.held])
    judged = judge(fitted.logits[unseen], task.truth[unseen], temperature, seed=plan.seed)
    report = _report(plan, examples, tally, task, fitted, temperature, judged)
    _write(plan, fitted, temperature, judged, report)
    return report


def make_task(plan: Plan, used: Sequence[Example]) -> Task:
    """Part the examples, and number their classes."""
    labels = [item.label for item in used]
    groups = [item.group for item in used]
    split = split_rows(labels, groups, validation=plan.validation, test=plan.test, seed=plan.seed)
    numbers = {label: number for number, label in enumerate(plan.labels)}
    truth = np.array([numbers[label] for label in labels], dtype=np.int64)
    return Task(truth=truth, groups=groups, split=split, classes=len(numbers), flip=plan.flip, seed=plan.seed)


def _write(plan: Plan, fitted: Fitted, temperature: float, judged: Judgement, report: dict[str, Any]) -> None:
    """Write the scorer last: where it is, the others are."""
    beside, diagram = plan.beside
    title = f"{plan.name}: {judged.count} test pictures, calibration error {judged.error:.3f}"
    atomic_write(diagram, png_bytes(draw_reliability(judged.bins, title=title)), synced=False)
    atomic_write(beside, json.dumps(report, indent=2).encode() + b"\n", synced=False)
    save_scorer(plan.out, plan.settings(temperature), dict(fitted.tensors))


def _report(
    plan: Plan,
    examples: Examples,
    tally: Tally,
    task: Task,
    fitted: Fitted,
    temperature: float,
    judged: Judgement,
) -> dict[str, Any]:
    unseen, names = task.split.test, [item.name for item in tally.used]
    wrong = mistakes(
        fitted.logits[unseen],
        task.truth[unseen],
        temperature,
        [names[row] for row in unseen],
        plan.labels,
    )
    return {
        "out": str(plan.out),
        "name": plan.name,
        "labels": list(plan.labels),
        "positive": plan.positive,
        "network": plan.network,
        "size": plan.size,
        "align": plan.align,
        "flip": plan.flip,
        "seed": plan.seed,
        "pictures": _pictures(examples, tally),
        "split": _counts(task, plan.labels),
        "fit": dict(fitted.facts),
        "temperature": temperature,
        "calibrated_by": len(fitted.held),
        "test": judged.to_json(),
        "mistakes": wrong,
    }


def _pictures(examples: Examples, tally: Tally) -> dict[str, Any]:
    return {
        "found": len(examples.items),
        "used": len(tally.used),
        "unlabelled": examples.unlabelled,
        "copies": tally.copies,
        "skipped": tally.reasons,
        "skips": [{"name": skip.name, "reason": skip.reason, "detail": skip.detail} for skip in tally.skips],
    }


def _counts(task: Task, labels: Sequence[str]) -> dict[str, dict[str, int]]:
    return {part: _of_each(rows_of(task.split, part), task.truth, labels) for part in PARTS}


def rows_of(split: Split, part: str) -> NDArray[np.int64]:
    rows: NDArray[np.int64] = getattr(split, part)
    return rows


def _of_each(rows: NDArray[np.int64], truth_N: NDArray[np.int64], labels: Sequence[str]) -> dict[str, int]:
    counts = Counter(truth_N[rows].tolist())
    return {label: counts[number] for number, label in enumerate(labels)}


def _left(tally: Tally) -> str:
    gone = len(tally.skips) + tally.copies
    reasons = tally.reasons | ({"copies": tally.copies} if tally.copies else {})
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    return f" after {gone} were left out ({told})" if gone else ""
