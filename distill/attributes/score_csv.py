"""Scores made elsewhere: a CSV with a row for each image, and a column for each score."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill.attributes.photos import Photo, ScoredPhoto
from distill.attributes.protocol import Kind, Scores
from distill.errors import DistillError
from distill.shards.images.labels import LabelTable, read_labels
from distill.weights.checkpoint import file_sha256

LARGEST = float(np.finfo(np.float32).max)  # scores are stored so


@dataclass(frozen=True, kw_only=True)
class ScoreFile:
    """The scores of a CSV: `kinds` of each name as of a scorer, and the `sha256` of the file."""

    table: LabelTable
    kinds: Mapping[str, Kind]
    sha256: str

    @property
    def names(self) -> Sequence[str]:
        return list(self.kinds)

    def scores_of(self, keys: Sequence[str]) -> dict[str, Scores]:
        """Return the scores by name, float32 [N], of images by their keys; NaN where the file tells nothing.

        A row is found by the key as it is, else by its file name or stem where no other key has that.
        """
        found = self.table.labels_of(keys)
        return {
            name: np.array([_number(text) for text in found[name]], dtype=np.float32) for name in self.names
        }

    def photos(self, photos: Sequence[Photo]) -> list[ScoredPhoto]:
        """Return the scores of photographs as a network's would be; an image with a score missing has none."""
        columns = self.scores_of([photo.name for photo in photos])
        return [
            _scored(
                photo.name, {name: float(values[row]) for name, values in columns.items()}, self.table.path
            )
            for row, photo in enumerate(photos)
        ]


def read_scores(path: Path, *, values: Collection[str] = ()) -> ScoreFile:
    """Read a CSV with a column that names the image, `file` or another of `KEY_COLUMNS`, and scores.

    A column whose numbers all lie from 0 to 1 has probabilities, unless it is one of `values`; an empty cell is an
    image without that score. Raises DistillError in one line for an unreadable file, a cell that is no number, and
    names in `values` that the file does not have.
    """
    table = read_labels(path)
    for name in values:
        table.require(name)
    kinds: dict[str, Kind] = {}
    for place, column in enumerate(table.columns):
        numbers = [_checked(table, key, column, texts[place]) for key, texts in table.rows.items()]
        known = [number for number in numbers if not math.isnan(number)]
        if not known:
            raise DistillError(f"{path}: column {column} has no number in it")
        shares = column not in values and all(0 <= number <= 1 for number in known)
        kinds[column] = "probability" if shares else "value"
    return ScoreFile(table=table, kinds=kinds, sha256=file_sha256(path))


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _checked(table: LabelTable, key: str, column: str, text: str) -> float:
    try:
        number = _number(text)
    except ValueError:
        number = math.inf
    if abs(number) > LARGEST:
        raise DistillError(
            f"{table.path}: {column} of {key} is {text[:40]!r}; a number, or nothing, is needed"
        )
    return number


def _scored(name: str, scores: Mapping[str, float], path: Path) -> ScoredPhoto:
    missing = [score for score, value in scores.items() if math.isnan(value)]
    if missing:
        detail = f"{path.name} has no {missing[0]} for it"
        return ScoredPhoto(name=name, reason="no score", detail=detail)
    return ScoredPhoto(name=name, scores=scores)
