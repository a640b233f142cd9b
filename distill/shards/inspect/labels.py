"""Labels of a data set for the page: counts of texts, histograms of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.shards.inspect.histogram import Histogram, bins, count

MOST_SHOWN = 12  # texts of one label


@dataclass(frozen=True, kw_only=True)
class TextCounts:
    """How many of `total` rows have each text, the most frequent first; `others`: texts that are not listed."""

    name: str
    rows: Sequence[tuple[str, int]]
    others: int
    total: int

    def percent(self, number: int) -> float:
        return 100 * number / self.total


def label_charts(labels: Mapping[str, NDArray[Any]]) -> list[Histogram]:
    """Count the values of each numeric label [N]."""
    charts = []
    for name, values in labels.items():
        if values.dtype.kind in "iuf":
            numbers = values.astype(np.float64)
            charts.append(count(name, np.ones(len(numbers), np.bool_), numbers, edges=bins(numbers)))
    return charts


def label_counts(labels: Mapping[str, NDArray[Any]]) -> list[TextCounts]:
    """Count the texts of each label [N] that holds some."""
    found = []
    for name, values in labels.items():
        if values.dtype.kind == "U":
            common = Counter(values.tolist()).most_common()
            rows = [(text or "not known", number) for text, number in common[:MOST_SHOWN]]
            found.append(TextCounts(name=name, rows=rows, others=len(common) - len(rows), total=len(values)))
    return found


def label_texts(labels: Mapping[str, Any], *, short: bool = False) -> list[str]:
    """Write the labels of one row: "age 31", "gender F", or `short` "F"; what is not known is left out."""
    texts = []
    for name, value in labels.items():
        if isinstance(value, str):
            texts += [value if short else f"{name} {value}"] if value else []
        elif np.isfinite(value):
            texts.append(f"{name} {value:.4g}")
    return texts
