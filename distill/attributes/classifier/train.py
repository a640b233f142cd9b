"""Labelled pictures → a scorer file, its report and its reliability diagram: the whole way, read this first."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.attributes.calibration import fit_class_temperature
from distill.attributes.classifier.examples import Example, check_classes
from distill.attributes.classifier.fit import ClassifierTask, FittedClassifier, make_learner
from distill.attributes.classifier.judge import Judgement, judge, mistakes
from distill.attributes.classifier.pictures import ExampleTally, chips_of
from distill.attributes.classifier.plan import ClassifierPlan
from distill.attributes.classifier.split import PARTS, LabelSplit, split_rows
from distill.attributes.reliability import draw_reliability
from distill.attributes.scorer_files import save_scorer
from distill.files import atomic_write, made_folder


def train_classifier(
    plan: ClassifierPlan,
    *,
    stop: threading.Event,
    advance: Callable[[int], None],
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Look at the pictures, learn, calibrate, test, and write scorer, report and diagram; return the report.

    `advance` hears how many pictures were read, `note` a line now and then. Raises DistillError when more than the
    plan allows cannot be used or too few of a class are left, and Interrupted; then nothing is written.
    """
    started, items = time.monotonic(), plan.examples.items
    learner = make_learner(plan.network, device=plan.device, flip=plan.flip)
    tally = ExampleTally(found=len(items), most_skips=plan.max_skips)
    for looked, chips in chips_of(items, plan.crop, tally, workers=plan.workers, stop=stop):
        if len(chips):
            learner.take(chips)
        advance(looked)
    check_classes(plan.data, [item.label for item in tally.used], _left(tally))
    task = make_task(plan, tally.used)
    fitted = learner.fit(task, stop=stop, note=note)
    unseen = task.split.test
    temperature = fit_class_temperature(fitted.held_logits, task.truth[fitted.held])
    judged = judge(fitted.logits[unseen], task.truth[unseen], temperature, seed=plan.seed)
    report = _report(plan, tally, task, fitted, temperature, judged)
    _write(plan, fitted, temperature, judged, report)
    return {**report, "seconds": round(time.monotonic() - started, 1)}


def make_task(plan: ClassifierPlan, used: Sequence[Example]) -> ClassifierTask:
    """Part the examples, and number their classes."""
    labels = [item.label for item in used]
    groups = [item.group for item in used]
    split = split_rows(labels, groups, validation=plan.validation, test=plan.test, seed=plan.seed)
    numbers = {label: number for number, label in enumerate(plan.labels)}
    truth = np.array([numbers[label] for label in labels], dtype=np.int64)
    return ClassifierTask(
        truth=truth, groups=groups, split=split, classes=len(numbers), flip=plan.flip, seed=plan.seed
    )


def _write(
    plan: ClassifierPlan,
    fitted: FittedClassifier,
    temperature: float,
    judged: Judgement,
    report: dict[str, Any],
) -> None:
    """Write the scorer last: where it is, the others are."""
    beside, diagram = plan.beside
    title = f"{plan.name}: {judged.count} test pictures, calibration error {judged.error:.3f}"
    with made_folder(plan.out.parent):
        atomic_write(diagram, draw_reliability(judged.bins, title=title), synced=False)
        atomic_write(beside, json.dumps(report, indent=2).encode() + b"\n", synced=False)
        save_scorer(plan.out, plan.settings(temperature), dict(fitted.tensors))


def _report(
    plan: ClassifierPlan,
    tally: ExampleTally,
    task: ClassifierTask,
    fitted: FittedClassifier,
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
        "pictures": _pictures(plan, tally),
        "split": _counts(task, plan.labels),
        "fit": dict(fitted.facts),
        "temperature": temperature,
        "calibrated_by": len(fitted.held),
        "test": judged.to_json(),
        "mistakes": wrong,
    }


def _pictures(plan: ClassifierPlan, tally: ExampleTally) -> dict[str, Any]:
    return {
        "found": len(plan.examples.items),
        "used": len(tally.used),
        "unlabelled": plan.examples.unlabelled,
        "copies": tally.copies,
        "skipped": tally.reasons,
        "skips": [{"name": skip.name, "reason": skip.reason, "detail": skip.detail} for skip in tally.skips],
    }


def _counts(task: ClassifierTask, labels: Sequence[str]) -> dict[str, dict[str, int]]:
    return {part: _of_each(rows_of(task.split, part), task.truth, labels) for part in PARTS}


def rows_of(split: LabelSplit, part: str) -> NDArray[np.int64]:
    rows: NDArray[np.int64] = getattr(split, part)
    return rows


def _of_each(rows: NDArray[np.int64], truth_N: NDArray[np.int64], labels: Sequence[str]) -> dict[str, int]:
    counts = Counter(truth_N[rows].tolist())
    return {label: counts[number] for number, label in enumerate(labels)}


def _left(tally: ExampleTally) -> str:
    gone = len(tally.skips) + tally.copies
    reasons = tally.reasons | ({"copies": tally.copies} if tally.copies else {})
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    return f" after {gone} were left out ({told})" if gone else ""
