"""Scores of photographs as a table of labels, for `prepare-images --balance` and for people."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from distill.attributes.calibration import calibration
from distill.attributes.photos import ScoredPhoto
from distill.errors import DistillError
from distill.shards.images.labels import NUMBER, LabelTable

GENDERS = {
    "f": "female",
    "female": "female",
    "m": "male",
    "male": "male",
}  # what a label file may say, in lower case
OLDEST = 150  # years
BESIDE = {"gender": ("gender_confidence", "gender_source"), "age": ("age_spread", "age_source")}
Row = dict[str, str]  # column → text, "" where there is nothing to tell


class TableLayout(Protocol):
    """What a scorer's table looks like, and how it is summed up at the end."""

    def known(self, table: LabelTable, names: Sequence[str]) -> list[Row]:
        """Return what a label file knows of each photograph. Raises DistillError for labels of another kind."""

    def row(self, photo: ScoredPhoto, known: Row, *, min_confidence: float) -> Row:
        """Return one line; what is known stands instead of the score, what is not sure enough is left empty."""

    def summary(
        self, scored: Sequence[ScoredPhoto], rows: Sequence[Row], known: Sequence[Row]
    ) -> dict[str, Any]:
        """Return counts and spreads, and how the scores do against what is known."""

    def lines(self, report: Mapping[str, Any]) -> list[str]:
        """Put a summary into words."""


class GenderAgeTable:
    """Gender as F or M with its confidence, age in years with its spread, and the source of each."""

    def __init__(self, attributes: Sequence[str]) -> None:
        self.attributes = attributes

    @property
    def columns(self) -> list[str]:
        beside = [column for name in self.attributes for column in (name, *BESIDE[name])]
        return ["file", *beside, "faces", "reason"]

    @property
    def label_columns(self) -> list[str]:
        """What a label file may tell."""
        return list(BESIDE)

    def known(self, table: LabelTable, names: Sequence[str]) -> list[Row]:
        columns = [name for name in self.label_columns if name in table.columns]
        if not columns:
            raise DistillError(
                f"{table.path} has neither a column gender nor age; it has {', '.join(table.columns)}"
            )
        labels = table.labels_of(names)
        return [
            {
                column: _label(table, column, name, text)
                for column in columns
                if (text := labels[column][place])
            }
            for place, name in enumerate(names)
        ]

    def row(self, photo: ScoredPhoto, known: Row, *, min_confidence: float) -> Row:
        row = dict.fromkeys(self.columns, "")
        row |= {"file": photo.name, "faces": str(photo.faces), "reason": photo.reason}
        scores = photo.scores
        if "gender" in self.attributes and scores:
            confidence = max(scores["gender"], 1 - scores["gender"])
            row["gender_confidence"] = f"{confidence:.4f}"
            if confidence >= min_confidence:
                row["gender"] = "female" if scores["gender"] >= 0.5 else "male"
        if "age" in self.attributes and scores:
            row |= {"age": f"{scores['age']:.1f}", "age_spread": f"{scores['age_spread']:.1f}"}
        for name in self.attributes:
            row[f"{name}_source"] = "label" if name in known else "network" if row[name] else ""
            row[name] = known.get(name, row[name])
        return row

    def summary(
        self, scored: Sequence[ScoredPhoto], rows: Sequence[Row], known: Sequence[Row]
    ) -> dict[str, Any]:
        report: dict[str, Any] = {}
        if "gender" in self.attributes:
            report["gender"] = dict(sorted(Counter(row["gender"] for row in rows).items()))
        if ages := sorted(photo.scores["age"] for photo in scored if "age" in photo.scores):
            report["age"] = {f"{share}%": round(ages[len(ages) * share // 100], 1) for share in (5, 50, 95)}
        both = [(photo.scores, label) for photo, label in zip(scored, known, strict=True)]
        genders = [
            (p["gender"], label["gender"] == "female")
            for p, label in both
            if "gender" in p.keys() & label.keys()
        ]
        if genders:
            report["known_gender"] = asdict(calibration(*zip(*genders, strict=True)))
        years = [p["age"] - float(label["age"]) for p, label in both if "age" in p.keys() & label.keys()]
        return report | ({"known_age": differences(years)} if years else {})

    def lines(self, report: Mapping[str, Any]) -> list[str]:
        lines = []
        if "gender" in report:
            lines.append(f"gender: {counts_text(report['gender'])} {sure_text(report)}")
        if "age" in report:
            lines.append(f"age: {', '.join(f'{share} {years}' for share, years in report['age'].items())}")
        if judged := report.get("known_gender"):
            lines.append(judged_text("gender", judged))
        if judged := report.get("known_age"):
            lines.append(differences_text("age", judged, " years"))
        return lines


def as_csv(rows: Sequence[Row]) -> bytes:
    """Return the table in utf-8, as `distill.shards.images.labels.read_labels` reads it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'unknown'} {count}" for name, count in counts.items())


def sure_text(report: Mapping[str, Any]) -> str:
    return f"(confidence at least {report['min_confidence']:g}, or known)"


def judged_text(name: str, judged: Mapping[str, Any]) -> str:
    """Say how a `Calibration` came out."""
    return (
        f"known {name} of {judged['count']}: the scores are right for {judged['accuracy']:.1%}, their confidence "
        f"is {judged['confidence']:.1%} on average (calibration error {judged['error']:.4f})"
    )


def differences(values: Sequence[float]) -> dict[str, float]:
    """Return the mean of score - known value, with and without its sign."""
    mean, off = sum(values) / len(values), sum(map(abs, values)) / len(values)
    return {"count": len(values), "mean_difference": round(mean, 2), "mean_error": round(off, 2)}


def differences_text(name: str, judged: Mapping[str, Any], unit: str = "") -> str:
    return (
        f"known {name} of {judged['count']}: the scores are off by {judged['mean_error']}{unit} on average "
        f"({judged['mean_difference']:+} with their sign)"
    )


def _label(table: LabelTable, column: str, name: str, text: str) -> str:
    if column == "gender" and text.lower() in GENDERS:
        return GENDERS[text.lower()]
    if column == "age" and NUMBER.fullmatch(text) and 0 <= float(text) <= OLDEST:
        return text
    wanted = "female, male, F or M" if column == "gender" else f"a number of years from 0 to {OLDEST}"
    raise DistillError(f"label file {table.path}: {column} of {name} is {text[:40]!r}; {wanted} is needed")
