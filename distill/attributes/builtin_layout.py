"""The table of what the built-in scorer gives: gender and age with what is known of them, then other scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from distill.attributes.builtin import BuiltinScorer
from distill.attributes.builtin_table import BESIDE, GenderAgeTable, Row, TableLayout
from distill.attributes.network_table import ScoreTable
from distill.attributes.photos import ScoredPhoto
from distill.errors import DistillError
from distill.shards.images.labels import LabelTable


def builtin_layout(scorer: BuiltinScorer) -> TableLayout:
    """Return what a table of the built-in scorer's attributes looks like."""
    first = [name for name in scorer.attributes if name in BESIDE]
    others = {name: scorer.kinds[name] for name in scorer.attributes if name not in BESIDE}
    if not others:
        return GenderAgeTable(first)
    scores = ScoreTable.of_kinds(others)
    return JoinedTable(GenderAgeTable(first), scores) if first else scores


class JoinedTable:
    """Columns: the file, those of gender and age, those of other scores, faces, reason."""

    def __init__(self, people: GenderAgeTable, scores: ScoreTable) -> None:
        self.people, self.scores = people, scores

    @property
    def columns(self) -> list[str]:
        head, tail = self.people.columns[:-2], self.scores.columns[1:]
        return [*head, *tail]

    def known(self, table: LabelTable, names: Sequence[str]) -> list[Row]:
        parts = [part for part in (self.people, self.scores) if set(part.label_columns) & set(table.columns)]
        if not parts:
            wanted = ", ".join([*self.people.label_columns, *self.scores.label_columns])
            raise DistillError(
                f"{table.path} has none of the columns {wanted}; it has {', '.join(table.columns)}"
            )
        rows: list[Row] = [{} for _ in names]
        for part in parts:
            for row, labels in zip(rows, part.known(table, names), strict=True):
                row |= labels
        return rows

    def row(self, photo: ScoredPhoto, known: Row, *, min_confidence: float) -> Row:
        mine = {name: text for name, text in known.items() if name in BESIDE}
        others = {name: text for name, text in known.items() if name not in BESIDE}
        row = self.people.row(photo, mine, min_confidence=min_confidence)
        row |= self.scores.row(self._others(photo), others, min_confidence=min_confidence)
        return {column: row[column] for column in self.columns}

    def summary(
        self, scored: Sequence[ScoredPhoto], rows: Sequence[Row], known: Sequence[Row]
    ) -> dict[str, Any]:
        others = [self._others(photo) for photo in scored]
        return self.people.summary(scored, rows, known) | self.scores.summary(others, rows, known)

    def lines(self, report: Mapping[str, Any]) -> list[str]:
        return [*self.people.lines(report), *self.scores.lines(report)]

    def _others(self, photo: ScoredPhoto) -> ScoredPhoto:
        """Return the photograph with the scores of the other table alone."""
        return replace(photo, scores={name: photo.scores[name] for name in self.scores.names if photo.scores})
