"""The report of `train-classifier` in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill.attributes.classifier.plan import ClassifierPlan
from distill.files import path_text

SHOWN = 5  # skips and mistakes that are listed; the report beside the file has more


def report_text(report: Mapping[str, Any], plan: ClassifierPlan) -> str:
    """Put a report into a few lines."""
    test, split, pictures = report["test"], report["split"], report["pictures"]
    sizes = {part: sum(counts.values()) for part, counts in split.items()}
    low, high = test["accuracy_95"]
    what = f"the probability of {plan.positive}" if plan.positive else f"one of {len(plan.labels)} labels"
    how = f"{report['network']}, {report['size']} px, {report['seconds']} s"
    lines = [
        f"{report['out']}: {report['name']}, {what} ({how})",
        f"{sizes['train']} pictures to learn from and {sizes['validation']} to stop by, tested on {sizes['test']} "
        "that played no part before",
        f"accuracy {test['accuracy']:.1%} (95 % interval {low:.1%} to {high:.1%}), balanced {test['balanced']:.1%}",
        f"calibration error {test['error']:.3f} (before temperature {report['temperature']:.2f}: "
        f"{test['error_untempered']:.3f}; by chance alone about {test['error_by_chance']:.3f} with so few)",
    ]
    if test["sure"]:
        lines.append(
            f"confidence at least 0.9: {test['sure']} of {test['count']}, of them right {test['sure_accuracy']:.1%}"
        )
    lines += ["", *confusion_lines(test["confusion"], report["labels"]), ""]
    if report["mistakes"]:
        lines.append(f"most confident mistakes of {len(report['mistakes'])} (are their labels right?):")
        lines += [
            f"  {item['file']}: label {item['label']}, predicted {item['told']} ({item['confidence']:.2f})"
            for item in report["mistakes"][:SHOWN]
        ]
    if gone := pictures["skips"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in pictures["skipped"].items())
        lines.append(f"not used {len(gone)}: {reasons}")
        lines += [f"  {skip['reason']}: {skip['name']} ({skip['detail']})" for skip in gone[:SHOWN]]
    if pictures["copies"] or pictures["unlabelled"]:
        lines.append(f"left out: {pictures['copies']} copies, {pictures['unlabelled']} without a label")
    lines.append(f"report {plan.beside[0]}, diagram {plan.beside[1]}")
    return "\n".join(map(path_text, lines))


def confusion_lines(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> list[str]:
    """Write the confusion as a table: a line for each label, a column for what was predicted."""
    names = [label[:12] for label in labels]
    wide = max(6, *(len(name) for name in names)) + 2
    head = "label \\ predicted".ljust(max(wide, 18)) + "".join(name.rjust(wide) for name in names)
    rows = [
        name.ljust(max(wide, 18)) + "".join(str(count).rjust(wide) for count in counts)
        for name, counts in zip(names, confusion, strict=True)
    ]
    return [head, *rows]
