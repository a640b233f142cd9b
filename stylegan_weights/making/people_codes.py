"""Latents that spell rendered people: from the numbers of a person to z and w, and back from z to w.

Every number of a person has a number of z of its own: its rank among all people, or among those that share another
kind (a beard is ranked among men, a hair style among people of the same sex), as a number of a normal distribution.
So z drawn from a normal distribution spells people as they occur in the data. Its w says the same plainly:

- a measure that depends on no other: the number of z itself, plus `SHIFT`;
- a measure that does (a beard): its value, SHIFT on average and 1 of spread;
- a kind (a hair style): a number for each of its values, `LIT` where it is that value and 0 elsewhere;
- light and place in the frame: the 4×4 mean colours and the crop, as far as the rest does not tell them, turned into
  numbers that do not depend on each other.

N people, M numbers of z that are owned, Z and D the widths of z and w, B a batch.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

LIT = 2.0
SHIFT = 4.0  # keeps measures above 0, where a mapping network is made of straight lines
STEPS = 65  # quantiles kept of a measure's values in one group
AGE_BANDS = 12  # that grey hair is ranked within
RIDGE = 10.0
# kinds, and the kind within whose values they are ranked
KINDS = {
    "eth": "", "expr": "", "hair": "sex", "haircolor": "eth", "brow": "", "eye": "eth", "lash": "",
    "beardstyle": "", "clothes": "sex", "hairmirror": "",
}  # fmt: skip
# measures whose values go together with a kind
GIVEN = {
    "race.0": "eth", "race.1": "eth", "race.2": "eth", "grey": "age", "beard": "sex", "lipstick": "sex",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """A number of z and what it spells: a measure's value by its rank in each group, or a kind.

    `groups` [N] tells in which of G groups a person is ranked; `order` is the name of what makes them, or "".
    `quantiles` [G, STEPS] of a measure; `shares` [G, K + 1] where the K values of a kind begin and end.
    """

    name: str
    values: Floats  # [N]: of a measure; of a kind its number
    given: str
    groups: NDArray[np.int64]
    plain: bool = False  # w is the number of z itself
    kinds: Sequence[str] = ()
    quantiles: Floats | None = None
    shares: Floats | None = None

    @property
    def width(self) -> int:
        """Numbers of w."""
        return len(self.kinds) or 1


@dataclass(frozen=True, kw_only=True, eq=False)
class PeopleCodes:
    """What z spells, column by column; `sexes` comes with the gender, `bands` with the age."""

    columns: Sequence[Column]
    sex_edge: float  # of the number of z of gender: above is male
    band_edges: Floats  # of the number of z of age

    @property
    def w_width(self) -> int:
        return sum(column.width for column in self.columns)

    def place(self, name: str) -> tuple[int, int]:
        """The first number of w of a column, and the number of z."""
        at = 0
        for number, column in enumerate(self.columns):
            if column.name == name:
                return at, number
            at += column.width
        raise KeyError(name)

    def of_kinds(self, w_dim: int) -> torch.Tensor:
        """Tell which numbers [D] of w tell kinds."""
        found = torch.zeros(w_dim, dtype=torch.bool)
        kinds = [np.full(column.width, bool(column.kinds)) for column in self.columns]
        found[: self.w_width] = torch.from_numpy(np.concatenate(kinds))
        return found

    def steps(self) -> list[tuple[int, float]]:
        """Where one kind goes over into the next: (number of z, its value there)."""
        found = [(self.place("gender")[1], self.sex_edge)]
        for number, column in enumerate(self.columns):
            if column.shares is not None:
                edges = np.unique(column.shares[:, 1:-1].round(2))
                found += [(number, float(ndtri(edge))) for edge in edges if 0 < edge < 1]
        return found

    def bends(self) -> list[tuple[int, float]]:
        """Where measures that w has by their values bend: (number of z, its value there)."""
        return [
            (number, bend)
            for number, column in enumerate(self.columns)
            if not column.plain and not column.kinds
            for bend in (-1.0, 0.0, 1.0)
        ]

    def latents(self, people: NDArray[np.int64], z_dim: int, rng: np.random.Generator) -> torch.Tensor:
        """Draw latents [B, Z] of length √Z that spell these people: what has equal values gets any of its ranks."""
        z = rng.standard_normal((len(people), z_dim))
        for number in range(len(self.columns)):
            low, high = self._ranks[number][people].T
            z[:, number] = ndtri(np.clip(low + rng.random(len(people)) * (high - low), 1e-5, 1 - 1e-5))
        owned, free = z[:, : len(self.columns)], z[:, len(self.columns) :]
        left = np.maximum(z_dim - np.square(owned).sum(axis=1, keepdims=True), 1.0)
        z = np.concatenate([owned, free * np.sqrt(left / np.square(free).sum(axis=1, keepdims=True))], axis=1)
        return torch.from_numpy(z).float()

    @cached_property
    def _ranks(self) -> list[Floats]:
        return [ranks(column) for column in self.columns]

    def w_of(self, z: Floats) -> Floats:
        """Return the w [B, D'] that latents [B, Z] of length √Z spell."""
        z = z * np.sqrt(z.shape[1] / np.square(z).sum(axis=1, keepdims=True))
        by_name = {column.name: z[:, number] for number, column in enumerate(self.columns)}
        groups: dict[str, NDArray[np.int64]] = {
            "": np.zeros(len(z), dtype=np.int64),
            "sex": (by_name["gender"] > self.sex_edge).astype(np.int64),
            "age": np.searchsorted(self.band_edges, by_name["age"]),
        }
        parts = []
        for number, column in enumerate(self.columns):
            group, rank = groups[column.given], ndtr(z[:, number])
            if column.plain:
                parts.append(z[:, number : number + 1] + SHIFT)
            elif column.shares is not None:
                value = (rank[:, None] >= column.shares[group, 1:-1]).sum(axis=1)
                groups[column.name] = value
                parts.append(LIT * np.eye(len(column.kinds))[value])
            else:
                assert column.quantiles is not None
                steps = np.linspace(0, 1, STEPS)
                value = np.empty(len(z))
                for one in np.unique(group):
                    here = group == one
                    value[here] = np.interp(rank[here], steps, column.quantiles[one])
                parts.append((value[:, None] - column.values.mean()) / column.values.std() + SHIFT)
        return np.concatenate(parts, axis=1)


def ranks(column: Column) -> Floats:
    """Return the shares [N, 2] of the group that lie below, and not above, each person's value."""
    found = np.empty((len(column.values), 2))
    for group in np.unique(column.groups):
        here = column.groups == group
        ordered = np.sort(column.values[here])
        for side, where in enumerate(("left", "right")):
            found[here, side] = np.searchsorted(ordered, column.values[here], where) / len(ordered)  # type: ignore[call-overload]
    return found


def read_people(folder: Path, pictures: Any) -> tuple[PeopleCodes, list[str]]:
    """Make the codes of the people in `pictures` (people_pictures) by the tables in `folder`, and each one's split.

    A row of `labels.csv` and one of `labels.npz` are the same person.
    """
    with (folder / "labels.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    rows = [table[number] for number in pictures["index"]]
    stored = np.load(folder / "labels.npz")
    measures = stored["values"][pictures["index"]].astype(np.float64)
    names = [str(name) for name in stored["names"]]
    moving = [at for at in range(len(names)) if measures[:, at].std() > 0]
    names, measures = [names[at] for at in moving], measures[:, moving]

    columns: list[Column] = []
    groups: dict[str, NDArray[np.int64]] = {"": np.zeros(len(rows), dtype=np.int64)}
    gender, age = (scores(measures[:, names.index(name)]) for name in ("gender", "age"))
    male = np.array([row["sex"] == "male" for row in rows])
    groups["sex"] = male.astype(np.int64)
    sex_edge = float((gender[male].min() + gender[~male].max()) / 2)
    band_edges = ndtri(np.linspace(0, 1, AGE_BANDS + 1)[1:-1])
    groups["age"] = np.searchsorted(band_edges, age)
    for kind, given in KINDS.items():
        found, values = np.unique([row[kind] for row in rows], return_inverse=True)
        groups[kind] = values
        columns.append(of_kind(kind, values, [str(name) for name in found], given, groups[given]))
    for at, name in enumerate(names):
        columns.append(of_measure(name, measures[:, at], GIVEN.get(name, ""), groups))
    codes = PeopleCodes(columns=columns, sex_edge=sex_edge, band_edges=band_edges)
    rest = left_over(np.concatenate([pictures["crops"], pictures["colours"]], axis=1), spelled(columns))
    columns += [of_measure(f"light.{at}", rest[:, at], "", groups) for at in range(rest.shape[1])]
    return codes, [row["split"] for row in rows]


def of_kind(
    name: str, values: NDArray[np.int64], kinds: Sequence[str], given: str, groups: NDArray[np.int64]
) -> Column:
    counts = np.stack(
        [np.bincount(values[groups == group], minlength=len(kinds)) for group in range(groups.max() + 1)]
    )
    shares = np.cumsum(counts / counts.sum(axis=1, keepdims=True), axis=1)
    shares = np.concatenate([np.zeros((len(shares), 1)), shares], axis=1)
    return Column(
        name=name, values=values.astype(np.float64), given=given, groups=groups, kinds=kinds, shares=shares
    )


def of_measure(name: str, values: Floats, given: str, groups: dict[str, NDArray[np.int64]]) -> Column:
    """A measure by its rank; one with many equal values, or that depends on a kind, by its value in w."""
    group = groups[given]
    tied = len(np.unique(values)) < 0.9 * len(values)
    if not given and not tied:
        return Column(name=name, values=values, given="", groups=group, plain=True)
    quantiles = np.stack(
        [np.quantile(values[group == one], np.linspace(0, 1, STEPS)) for one in range(group.max() + 1)]
    )
    return Column(name=name, values=values, given=given, groups=group, quantiles=quantiles)


def spelled(columns: Sequence[Column]) -> Floats:
    """Return w [N, D'] of the people themselves."""
    parts = []
    for column in columns:
        if column.kinds:
            parts.append(LIT * np.eye(len(column.kinds))[column.values.astype(int)])
        elif column.plain:
            parts.append(scores(column.values)[:, None] + SHIFT)
        else:
            parts.append(((column.values - column.values.mean()) / column.values.std())[:, None] + SHIFT)
    return np.concatenate(parts, axis=1)


def scores(values: Floats) -> Floats:
    """Ranks [N] as numbers of a normal distribution."""
    order = np.empty(len(values))
    order[np.argsort(values, kind="stable")] = (np.arange(len(values)) + 0.5) / len(values)
    return np.asarray(ndtri(order))


def left_over(values: Floats, known: Floats) -> Floats:
    """Return what `known` [N, K] does not tell of `values` [N, V] by lines: V numbers without correlation."""
    x = np.concatenate([known, np.ones((len(known), 1))], axis=1)
    slopes = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ values)
    rest = values - x @ slopes
    rest -= rest.mean(axis=0)
    crops, colours = rest[:, :4], rest[:, 4:]
    _, _, turn = np.linalg.svd(colours, full_matrices=False)
    return np.concatenate([crops, colours @ turn.T], axis=1)
