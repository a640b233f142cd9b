"""Choose pictures of an image set by a label: `gender=female`, `age<30`. The name of a domain, or of an attribute.

N pictures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.progress import plural
from distill.shards.layout import NAME

Rows = NDArray[np.bool_]

FORM = re.compile(rf"({NAME.pattern})\s*(<=|>=|=|<|>)\s*(\S.*)")
SIGNS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {  # how it is said in a name, and what it means
    "=": ("", np.equal),
    "<": ("under", np.less),
    "<=": ("up-to", np.less_equal),
    ">": ("over", np.greater),
    ">=": ("from", np.greater_equal),
}
MOST_NAMED = 12  # values of a label in a message


@dataclass(frozen=True)
class Condition:
    """What a label must be: a text that it equals, or a number that it equals or lies on one side of."""

    label: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.sign}{self.value}"

    @property
    def name(self) -> str:
        """A word for those that fit: `female` of gender=female, `smile-1` of smile=1, `age-under-30` of age<30."""
        said = SIGNS[self.sign][0]
        if not said and not _is_number(self.value) and NAME.fullmatch(self.value):
            return self.value
        return re.sub(r"[^A-Za-z0-9_.+-]+", "-", "-".join(filter(None, (self.label, said, self.value))))

    def known(self, labels: Mapping[str, NDArray[Any]], where: str) -> Rows:
        """Tell which pictures [N] have this label at all. Raises DistillError for a label that is not there."""
        values = self._values(labels, where)
        if values.dtype.kind == "U":
            return np.asarray(values != "")
        return np.isfinite(values.astype(np.float64))

    def holds(self, labels: Mapping[str, NDArray[Any]], where: str) -> Rows:
        """Tell of which pictures [N] it is true; never of those whose label is not known.

        `where` names the set in messages. Raises DistillError for a label that is not there, and where no picture
        fits, naming what there is.
        """
        values = self._values(labels, where)
        numbers = values.dtype.kind != "U"
        if numbers != _is_number(self.value) and (numbers or self.sign != "="):
            kind = "numbers" if numbers else "words"
            raise DistillError(f"{self}: the label {self.label!r} of {where} holds {kind}; {_range(values)}")
        wanted = float(self.value) if numbers else self.value
        found: Rows = np.asarray(SIGNS[self.sign][1](values, wanted), np.bool_)
        if not found.any():
            raise DistillError(f"no picture of {where} has {self}; {self.label} is {_range(values)}")
        return found

    def _values(self, labels: Mapping[str, NDArray[Any]], where: str) -> NDArray[Any]:
        if not labels:
            raise DistillError(
                f"{where} has no labels for {self}: make an image set with distill prepare-images --labels FILE.csv"
            )
        if self.label not in labels:
            raise DistillError(f"{where} has no label {self.label!r}; its labels are {', '.join(labels)}")
        return labels[self.label]


def parse_condition(text: str) -> Condition:
    """Read LABEL=VALUE, or with <, <=, > or >= and a number. Raises DistillError for anything else."""
    found = FORM.fullmatch(text.strip())
    if not found:
        raise DistillError(
            f"{text[:80]!r}: LABEL=VALUE is needed, such as gender=female, or age<30; no VALUE has a comma"
        )
    condition = Condition(*found.groups())
    if condition.sign != "=" and not _is_number(condition.value):
        raise DistillError(f"{condition}: after {condition.sign} comes a number")
    return condition


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d{1,12}(\.\d{1,12})?", text) is not None


def _range(values: NDArray[Any]) -> str:
    """Say what a label is: from least to most, or the words with their counts."""
    if values.dtype.kind != "U":
        known = values[np.isfinite(values.astype(np.float64))]
        return f"from {known.min():g} to {known.max():g}" if len(known) else "unknown for every picture"
    counts = Counter(values.tolist())
    missing = counts.pop("", 0)
    said = [f"{value} ({count})" for value, count in counts.most_common(MOST_NAMED)]
    more = [f"{plural(len(counts) - len(said), 'other word')}"] if len(counts) > len(said) else []
    return ", ".join([*said, *more, *([f"unknown ({missing})"] if missing else [])])
