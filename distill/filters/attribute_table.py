"""Scores of photographs as a table of labels, for `prepare-images --balance` and for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from distill.errors import DistillError
from distill.filters.attribute_models import MODELS
from distill.filters.attribute_photos import ScoredPhoto
from distill.images.labels import NUMBER, LabelTable

GENDERS = {"f": "F", "female": "F", "m": "M", "male": "M"}  # what a label file may say, in lower case
OLDEST = 150  # years
BESIDE = {"gender": ("gender_confidence", "gender_source"), "age": ("age_spread", "age_source")}
Row = dict[str, str]  # column → text, "" where there is nothing to tell


def columns_of(attributes: Sequence[str]) -> list[str]:
    """Return the columns: the file, each attribute with its confidence or spread and its source, faces, reason."""
    return ["file", *(column for name in attributes for column in (name, *BESIDE[name])), "faces", "reason"]


def known_labels(table: LabelTable, names: Sequence[str]) -> list[Row]:
    """Return what a label file knows of each photograph: gender as F or M, age in years.

    Raises DistillError where it has neither column, and for a value that is neither.
    """
    columns = [name for name in MODELS if name in table.columns]
    if not columns:
        raise DistillError(
            f"{table.path} has neither a column gender nor age; it has {', '.join(table.columns)}"
        )
    labels = table.labels_of(names)
    return [
        {column: _label(table, column, name, text) for column in columns if (text := labels[column][place])}
        for place, name in enumerate(names)
    ]


def table_row(photo: ScoredPhoto, known: Row, attributes: Sequence[str], *, min_confidence: float) -> Row:
    """Return one line; a known label stands instead of the score, a gender below `min_confidence` is left empty."""
    row = dict.fromkeys(columns_of(attributes), "")
    row |= {"file": photo.name, "faces": str(photo.faces), "reason": photo.reason}
    scores = photo.scores
    if "gender" in attributes and scores:
        confidence = max(scores["gender"], 1 - scores["gender"])
        row["gender_confidence"] = f"{confidence:.4f}"
        if confidence >= min_confidence:
            row["gender"] = "F" if scores["gender"] >= 0.5 else "M"
    if "age" in attributes and scores:
        row |= {"age": f"{scores['age']:.1f}", "age_spread": f"{scores['age_spread']:.1f}"}
    for name in attributes:
        row[f"{name}_source"] = "label" if name in known else "network" if row[name] else ""
        row[name] = known.get(name, row[name])
    return row


def as_csv(rows: Sequence[Row]) -> bytes:
    """Return the table in utf-8, as `distill.images.labels.read_labels` reads it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _label(table: LabelTable, column: str, name: str, text: str) -> str:
    if column == "gender" and text.lower() in GENDERS:
        return GENDERS[text.lower()]
    if column == "age" and NUMBER.fullmatch(text) and 0 <= float(text) <= OLDEST:
        return text
    wanted = "F, M, female or male" if column == "gender" else f"a number of years from 0 to {OLDEST}"
    raise DistillError(f"label file {table.path}: {column} of {name} is {text[:40]!r}; {wanted} is needed")
