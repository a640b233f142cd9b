"""The content of a refiltered shard, read from the shards that it takes rows from.

Images stay the bytes they are. n rows of the new shard, m entries of its ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import ShardCorrupt
from distill.schema import canonical_json
from distill.shards.folder import shard_path
from distill.shards.layout import ACCEPTED, ShardContent
from distill.shards.read import ShardReader, open_shard
from distill.shards.refilter.plan import REASON, Part, Refilter

ORIGIN = (
    "params/from_shard"  # the shard of the drawn data set in whose stream a row's candidate has its number
)
Array = NDArray[np.generic]


def content_of(plan: Refilter, index: int) -> ShardContent:
    """Read the parts of a new shard, one source shard after another. Raises ShardCorrupt by name."""
    rows, ledger = _Rows(), _Ledger()
    for part in plan.shards[index]:
        with open_shard(shard_path(plan.source, part.shard), report=plan.reports[part.shard]) as reader:
            ledger.add(reader, part)
            if len(part.rows):
                rows.add(reader, part)
    return ShardContent(
        index=index,
        digest=plan.digest,
        recipe_json=canonical_json(plan.recipe),
        conditions_json=canonical_json(rows.conditions),
        codec=rows.codec,
        resolution=rows.resolution,
        images={role: np.stack(some) if rows.codec == "raw" else some for role, some in rows.images.items()},
        columns={name: np.concatenate(some) for name, some in rows.columns.items()},
        tried=ledger.joined(),
        reasons=tuple(ledger.reasons),
    )


@dataclass(eq=False)
class _Rows:
    """Rows of several shards: images by role as they are stored, pieces of each column, conditions of them all."""

    codec: str = ""
    resolution: int = 0
    conditions: dict[str, Any] = field(default_factory=dict)
    images: dict[str, list[Any]] = field(default_factory=dict)
    columns: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, reader: ShardReader, part: Part) -> None:
        pieces = {name: reader.column(name)[part.rows] for name in reader.columns()}
        pieces.setdefault(ORIGIN, np.full(len(part.rows), part.shard, np.int32))
        if not self.codec:
            self.codec, self.resolution = reader.codec, reader.resolution
            self.conditions = reader.conditions
            self.images = {role: [] for role in reader.roles}
            self.columns = {name: [] for name in pieces}
        mine = (self.codec, self.resolution, [*self.images], set(self.columns))
        if mine != (reader.codec, reader.resolution, [*reader.roles], set(pieces)):
            raise ShardCorrupt(
                reader.path, "its codec, size, roles or columns are not those of the shards before it"
            )
        self.conditions = _shared(self.conditions, reader.conditions)
        for name, values in pieces.items():
            self.columns[name].append(values)
        read = reader.image if reader.codec == "raw" else reader.encoded
        for role, some in self.images.items():
            some += [read(role, int(row)) for row in part.rows]


def _shared(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What two shards say alike."""
    return {key: value for key, value in one.items() if other.get(key) == value}


@dataclass(eq=False)
class _Ledger:
    """Runs of the ledgers of several shards, and the names of all their reasons."""

    reasons: list[str] = field(default_factory=lambda: [ACCEPTED])
    pieces: list[dict[str, Array]] = field(default_factory=list)

    def add(self, reader: ShardReader, part: Part) -> None:
        self.reasons = list(dict.fromkeys((*self.reasons, *reader.reasons, REASON)))
        fate = np.asarray([self.reasons.index(name) for name in reader.reasons])[reader.tried("reason")]
        accepted = np.flatnonzero(fate == 0)
        fate[accepted] = self.reasons.index(REASON)
        fate[accepted[part.rows]] = 0
        names = [name for name in reader.tried_columns() if name != "reason"]
        run = slice(part.first, part.last)
        self.pieces.append({**{name: reader.tried(name)[run] for name in names}, "reason": fate[run]})

    def joined(self) -> dict[str, Array]:
        """Join the runs; a score that one of them lacks is NaN there."""
        like = {name: values for piece in self.pieces for name, values in piece.items()}
        return {
            name: np.concatenate([_run(piece, name, values) for piece in self.pieces])
            for name, values in like.items()
        }


def _run(piece: Mapping[str, Array], name: str, like: Array) -> Array:
    if name in piece:
        return piece[name]
    return np.full((len(piece["reason"]), *like.shape[1:]), np.nan, like.dtype)
