"""What the parts of a data set say of each other: recipe, manifest, conditions, and what every shard holds of them.

Nothing here is signed, so all of it shows accidents and mistakes; whoever forges a data set makes its parts agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from distill.files import path_text
from distill.schema import flat
from distill.shards.read import ShardReader
from distill.shards.summary import edit_of, ring_of, roles_of, strengths_of

SHOWN = 80  # characters of a value
LONGEST_KEY = 80
NOTHING = "nothing"  # what one of two says that does not have a key


def difference(mine: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return the first key, dotted, that two recipes do not share, with what each says; None where they agree."""
    for here, there in ((flat(dict(mine)), flat(dict(other))), (mine, other)):
        for key in sorted(
            {*here, *there}, key=lambda key: (key.endswith("sha256"), key)
        ):  # a hash says least
            if key not in here or key not in there or here[key] != there[key]:
                return _name(key), _shown(here, key), _shown(there, key)
    return None


def shard_problem(reader: ShardReader) -> str | None:
    """Say where a shard is another than the recipe in it has it, or None."""
    recipe = reader.recipe
    wanted = {"resolution": reader.resolution, "codec": reader.codec}
    for key, found in wanted.items():
        if recipe.get(key, found) != found:
            return f"its {key} is {found}, the recipe says {recipe[key]}"
    if "target" in recipe and [*reader.roles] != roles_of(recipe):
        return f"its roles are {', '.join(reader.roles)}, the recipe's {', '.join(roles_of(recipe))}"
    return None


def columns_problem(reader: ShardReader, first: Sequence[str], name: str) -> str | None:
    """Say which column a shard has that the `first` shard, the file `name`, has not, or the other way round."""
    mine = reader.columns()
    if lacking := set(first) - set(mine):
        return f"has no column {min(lacking)!r}, which {name} has"
    if more := set(mine) - set(first):
        return f"has a column {min(more)!r}, which {name} does not have"
    return None


def range_problems(reader: ShardReader) -> Iterator[str]:
    """Yield what the recipe of a shard does not allow its columns to hold, and candidates out of their order."""
    for name, (low, high) in _bounds(reader.recipe).items():
        if name in reader.columns():
            values = reader.column(name).astype(np.int64)
            if low > values.min() or values.max() > high:
                yield f"{name} goes from {values.min()} to {values.max()}, the recipe says {low} to {high}"
    if ring_of(reader.recipe) and "ring" not in reader.columns():
        yield "it has no column 'ring', which keeps the rows of a ring together"
    if "refiltered" not in reader.recipe and (np.diff(reader.tried("candidate").astype(np.int64)) <= 0).any():
        yield "the numbers of its candidates do not rise"


def _bounds(recipe: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return the lowest and highest value of each column that a recipe bounds."""
    bounds = {}
    crossover = edit_of(recipe).get("crossover")
    if isinstance(crossover, Mapping) and isinstance(crossover.get("lo"), int):
        bounds["params/crossover"] = (crossover["lo"], int(crossover.get("hi", crossover["lo"])))
    if pictures := len(strengths_of(recipe)):
        bounds |= dict.fromkeys(("params/source_picture", "params/target_picture"), (0, pictures - 1))
    return bounds


def _name(key: str) -> str:
    """A key as a line takes it, however it came there."""
    return path_text(key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}…")


def _shown(fields: Mapping[str, Any], key: str) -> str:
    return _text(fields[key]) if key in fields else NOTHING


def _text(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
