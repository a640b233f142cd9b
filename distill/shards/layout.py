"""What stands in a shard: names, types and shapes. Writer and reader both follow this table.

n accepted rows, m candidates tried, H W image (H = W unless the recipe has a `width`), L w+ layers, D latent width.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "distill-shard"
SCHEMA_VERSION = 2
ACCEPTED = "accepted"  # reasons[0]
CODECS = ("raw", "jpeg", "webp")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{12}")
CHUNK_BYTES = 65536  # one read of a row should not fetch and check much more than the row
MAX_ATTRIBUTE_BYTES = 1 << 20
MAX_RESOLUTION = 16384
MAX_TEXT_BYTES = 4096  # of one label or name
TEXT = "|S"
MAX_SHARDS = 100_000  # of a data set: their names have five digits
MAX_ROWS = 1_000_000_000  # of a data set
MAX_NAMES = 64  # roles, or data sets in a group

Images = NDArray[np.uint8] | Sequence[bytes]


@dataclass(frozen=True, kw_only=True)
class ShardContent:
    """Everything a shard stores. Arrays are checked when the shard is built, not here.

    `images`: role → uint8 [n, H, W, 3], or n encoded images where the codec is jpeg or webp. `columns`: name
    → first axis n. `tried`: the ledger of all candidates, first axis m; `reason` indexes `reasons`, 0 =
    accepted. `conditions_json`: an object that says how it was drawn, {} where nobody knows.
    """

    index: int
    digest: str
    recipe_json: str
    codec: str
    resolution: int
    images: Mapping[str, Images]
    columns: Mapping[str, NDArray[np.generic]]
    tried: Mapping[str, NDArray[np.generic]]
    reasons: Sequence[str]
    conditions_json: str = "{}"

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the images."""
        return image_sides(json.loads(self.recipe_json), self.resolution)


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """The attributes on the root of a shard, one HDF5 attribute each; lists and dicts are stored as JSON."""

    format: str
    schema_version: int
    digest: str
    recipe: str
    conditions: str
    index: int
    rows: int
    codec: str
    roles: list[str]
    resolution: int
    tried: int
    dropped: dict[str, int]
    reasons: list[str]


ATTRIBUTE_NAMES = tuple(field.name for field in fields(Attributes))


@dataclass(frozen=True)
class Kind:
    """Types a column may have, and its shapes after the first axis; None stands for any length.

    The type TEXT stands for utf-8 of any fixed length up to MAX_TEXT_BYTES, padded with zeros.
    """

    dtypes: tuple[str, ...]
    tails: tuple[tuple[int | None, ...], ...]

    def accepts(self, dtype: np.dtype[np.generic], tail: tuple[int, ...]) -> bool:
        known = dtype.str in self.dtypes or (
            TEXT in self.dtypes and dtype.kind == "S" and dtype.itemsize <= MAX_TEXT_BYTES
        )
        return known and any(_fits(tail, pattern) for pattern in self.tails)


_FLAT_OR_FEW: tuple[tuple[int | None, ...], ...] = ((), (None,))
_NUMBERS = ("|u1", "<i2", "<i4", "<i8", "<f4", "<f8")

# A name without "/" is the data set itself; any other key is a group of data sets of that kind.
KINDS: dict[str, Kind] = {
    "candidate": Kind(("<i8",), ((),)),
    "ring": Kind(
        ("<i8",), ((),)
    ),  # rows of one number share faces: training keeps them on one side of its split
    "name": Kind((TEXT,), ((),)),  # of the picture that a row was made of
    "weight": Kind(("<f4",), ((),)),  # how often a row is drawn in training, relative to the others; above 0
    "labels/": Kind(("<i2", "<f4", TEXT), ((),)),  # NaN or "": not known
    "latents/": Kind(("<f2", "<f4"), ((None, None),)),
    "params/": Kind(_NUMBERS, _FLAT_OR_FEW),
    "scores/": Kind(("<f4",), _FLAT_OR_FEW),
    "landmarks/": Kind(("<f4",), ((68, 2),)),
    "quads/": Kind(("<f4",), ((4, 2),)),
    "tried/candidate": Kind(("<i8",), ((),)),
    "tried/reason": Kind(("|u1",), ((),)),
    "tried/scores/": Kind(("<f4",), _FLAT_OR_FEW),
}
GROUPS = (
    *("images", "offsets", "labels", "latents", "params", "scores", "landmarks", "quads"),
    *("tried", "tried/scores"),
)


def kind_of(name: str) -> Kind | None:
    """Return what a column of this name must be, or None for a name that has no place in a shard."""
    if name in KINDS and not name.endswith("/"):
        return KINDS[name]
    group, _, leaf = name.rpartition("/")
    return KINDS.get(f"{group}/") if NAME.fullmatch(leaf) else None


def image_sides(recipe: Mapping[str, Any], resolution: int) -> tuple[int, int]:
    """Return height and width of the images in px: `resolution` is the height, and the width where there is none."""
    return resolution, recipe.get("width", resolution)


def image_kind(codec: str, sides: tuple[int, int]) -> Kind:
    """Return what `images/<role>` must be: pixels [n, H, W, 3], or all encoded images back to back."""
    return Kind(("|u1",), ((*sides, 3),) if codec == "raw" else ((),))


OFFSETS = Kind(("<u8",), ((),))


def chunk_shape(name: str, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...] | None:
    """Return the chunks of a data set: one image, else as many rows as fit into 64 KiB; None when empty."""
    if math.prod(shape) == 0:
        return None
    row_bytes = itemsize * math.prod(shape[1:])
    rows = 1 if name.startswith("images/") and len(shape) > 1 else CHUNK_BYTES // row_bytes
    return (min(max(1, rows), shape[0]), *shape[1:])


def shard_name(index: int) -> str:
    """Return the file name of a shard; no path is ever taken from a file's content."""
    return f"shard-{index:05d}.h5"


def _fits(tail: tuple[int, ...], pattern: tuple[int | None, ...]) -> bool:
    return len(tail) == len(pattern) and all(
        want in (None, have) for have, want in zip(tail, pattern, strict=True)
    )
