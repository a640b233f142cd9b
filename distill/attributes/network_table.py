"""The table of a user's network: each score under its name, and for probabilities the label that they speak for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np

from distill.attributes.builtin_table import (
    Row,
    counts_text,
    differences,
    differences_text,
    judged_text,
    sure_text,
)
from distill.attributes.calibration import calibration, class_calibration
from distill.attributes.photos import ScoredPhoto
from distill.attributes.protocol import Kind
from distill.attributes.settings import ScorerSettings, ScoreSettings
from distill.errors import DistillError
from distill.shards.images.labels import NUMBER, LabelTable

YES, NO = "yes", "no"


class ScoreTable:
    """Columns: the file, every score, NAME_label where a score is a probability, faces, reason.

    A label file has NAME_label, or a score that is a value.
    """

    def __init__(self, kinds: Mapping[str, Kind], questions: Sequence[Question]) -> None:
        self.names, self.questions = list(kinds), questions
        self.values = [name for name, kind in kinds.items() if kind == "value"]

    @classmethod
    def of_network(cls, settings: ScorerSettings) -> Self:
        """Return the table of a network: its labels are those of its settings."""
        return cls(
            settings.kinds, [question for score in settings.scores for question in questions_of(score)]
        )

    @classmethod
    def of_kinds(cls, kinds: Mapping[str, Kind]) -> Self:
        """Return the table of scores of which no more is known: a probability's labels are yes and no."""
        chances = [name for name, kind in kinds.items() if kind == "probability"]
        return cls(kinds, [Question(f"{name}_label", (YES, NO), (name,)) for name in chances])

    @property
    def columns(self) -> list[str]:
        return ["file", *self.names, *(question.column for question in self.questions), "faces", "reason"]

    @property
    def label_columns(self) -> dict[str, Sequence[str]]:
        """What a label file may tell: column -> the labels, () for a number."""
        allowed: dict[str, Sequence[str]] = {question.column: question.labels for question in self.questions}
        return allowed | dict.fromkeys(self.values, ())

    def known(self, table: LabelTable, names: Sequence[str]) -> list[Row]:
        allowed = self.label_columns
        columns = [name for name in allowed if name in table.columns]
        if not columns:
            raise DistillError(
                f"{table.path} has none of the columns {', '.join(allowed)}; it has {', '.join(table.columns)}"
            )
        found = table.labels_of(names)
        rows: list[Row] = [{} for _ in names]
        for column in columns:
            for name, row, text in zip(names, rows, found[column], strict=True):
                if text:
                    row[column] = _checked(table, column, name, text, allowed[column])
        return rows

    def row(self, photo: ScoredPhoto, known: Row, *, min_confidence: float) -> Row:
        row = dict.fromkeys(self.columns, "")
        row |= {"file": photo.name, "faces": str(photo.faces), "reason": photo.reason}
        row |= {name: f"{value:.6g}" for name, value in photo.scores.items()}
        for question in self.questions if photo.scores else ():
            label, confidence = question.answer(photo.scores)
            row[question.column] = label if confidence >= min_confidence else ""
        return row | known

    def summary(
        self, scored: Sequence[ScoredPhoto], rows: Sequence[Row], known: Sequence[Row]
    ) -> dict[str, Any]:
        labels = {
            question.column: dict(sorted(Counter(row[question.column] for row in rows).items()))
            for question in self.questions
        }
        values = {name: _spread(name, scored) for name in self.values}
        judged: dict[str, Any] = {}
        both = [(photo.scores, row) for photo, row in zip(scored, known, strict=True) if photo.scores]
        for question in self.questions:
            pairs = [(scores, row[question.column]) for scores, row in both if question.column in row]
            if pairs:
                judged[question.column] = question.judge(pairs)
        for name in self.values:
            if off := [scores[name] - float(row[name]) for scores, row in both if name in row]:
                judged[name] = differences(off)
        return {"labels": labels, "values": values, "known": judged}

    def lines(self, report: Mapping[str, Any]) -> list[str]:
        lines = [
            f"{name}: {counts_text(counts)} {sure_text(report)}" for name, counts in report["labels"].items()
        ]
        for name, spread in report["values"].items():
            lines.append(f"{name}: {', '.join(f'{share} {value:g}' for share, value in spread.items())}")
        for name, judged in report["known"].items():
            lines.append((judged_text if "accuracy" in judged else differences_text)(name, judged))
        return lines


class Question:
    """What one softmax, or one number with a sigmoid, answers by one of `labels`; `scores` are its probabilities.

    One score stands for the first of two labels; several for a label each.
    """

    def __init__(self, column: str, labels: Sequence[str], scores: Sequence[str]) -> None:
        self.column, self.labels, self.scores = column, labels, scores

    def answer(self, scores: Mapping[str, float]) -> tuple[str, float]:
        """Return the most likely label, and its probability."""
        if len(self.scores) == 1:
            p = scores[self.scores[0]]
            return (self.labels[0], p) if p >= 0.5 else (self.labels[1], 1 - p)
        best = max(range(len(self.labels)), key=lambda number: scores[self.scores[number]])
        return self.labels[best], scores[self.scores[best]]

    def judge(self, pairs: Sequence[tuple[Mapping[str, float], str]]) -> dict[str, Any]:
        """Compare scores with the labels that are known."""
        if len(self.scores) == 1:
            yes = [label == self.labels[0] for _, label in pairs]
            return asdict(calibration([scores[self.scores[0]] for scores, _ in pairs], yes))
        p_NK = np.array([[scores[name] for name in self.scores] for scores, _ in pairs])
        return asdict(class_calibration(p_NK, [self.labels.index(label) for _, label in pairs]))


def questions_of(score: ScoreSettings) -> list[Question]:
    """Return what a score answers; nothing for values."""
    if score.kind == "sigmoid":
        return [Question(f"{name}_label", (YES, NO), (name,)) for name in score.names]
    if score.kind != "softmax":
        return []
    if score.positive is None:
        return [Question(f"{score.name}_label", score.labels, score.names)]
    others = [label for label in score.labels if label != score.positive]
    other = others[0] if len(others) == 1 else f"not {score.positive}"
    return [Question(f"{score.name}_label", (score.positive, other), (score.name,))]


def _checked(table: LabelTable, column: str, name: str, text: str, labels: Sequence[str]) -> str:
    if text in labels or (not labels and NUMBER.fullmatch(text)):
        return text
    wanted = f"one of {', '.join(labels)}" if labels else "a number"
    raise DistillError(f"label file {table.path}: {column} of {name} is {text[:40]!r}; {wanted} is needed")


def _spread(name: str, scored: Sequence[ScoredPhoto]) -> dict[str, float]:
    values = sorted(photo.scores[name] for photo in scored if name in photo.scores)
    return {f"{share}%": round(values[len(values) * share // 100], 3) for share in (5, 50, 95)}
