"""Data sets of measured changes that a small network can learn: bars that are as bright as an attribute is large."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from data_sets import recipe_of
from numpy.typing import NDArray

from distill.shards.digest import digest_of
from distill.shards.folder import write_manifest
from distill.shards.layout import ShardContent
from distill.shards.write import commit_shard

KINDS = {"age": "value", "yaw": "value"}
FULL = {"age": 60.0, "yaw": 40.0}  # of an attribute that is a value: from darkest to brightest
NAMES = ("gender", "age", "smile")


def drawn(levels_NK: NDArray[np.float32], colours_N3: NDArray[np.float32], side: int) -> NDArray[np.uint8]:
    """Draw pictures [N, side, side, 3]: a ground of a colour, a bar an attribute, as bright as its level."""
    images = np.broadcast_to(0.2 + 0.6 * colours_N3[:, None, None], (len(levels_NK), side, side, 3)).copy()
    for place, column in enumerate(levels_NK.T):
        high = side // levels_NK.shape[1]
        bar = slice(place * high + 1, (place + 1) * high - 1)
        images[:, bar, 2:-2] = column[:, None, None, None]
    return (255 * images).astype(np.uint8)


def scores_of(names: Sequence[str], levels_NPK: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Give levels in 0..1 of source and target as the columns of shards, [N, 2] an attribute."""
    return {
        f"scores/{name}": (levels_NPK[:, :, place] * FULL.get(name, 1.0)).astype(np.float32)
        for place, name in enumerate(names)
    }


def measured_recipe(names: Sequence[str] = NAMES, *, side: int = 16) -> dict[str, object]:
    kinds = [KINDS.get(name, "probability") for name in names]
    return recipe_of(
        task="attributes",
        inputs=["source"],
        target="target",
        resolution=side,
        edit={"name": "directions"},
        select={"name": "measured", "attributes": list(names), "kinds": kinds, "scorer": "builtin"},
    )


def make_measured(
    folder: Path,
    *,
    names: Sequence[str] = NAMES,
    rows: int = 48,
    per_shard: int = 16,
    side: int = 16,
) -> Path:
    """Write a data set of pairs with scores of each attribute."""
    recipe = measured_recipe(names, side=side)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(recipe))
    random = np.random.default_rng(0)
    levels = random.uniform(0, 1, (rows, 2, len(names))).astype(np.float32)
    colours = random.uniform(0, 1, (rows, 3)).astype(np.float32)
    scores = scores_of(names, levels)
    reports = []
    for shard, first in enumerate(range(0, rows, per_shard)):
        part = slice(first, min(first + per_shard, rows))
        count = part.stop - first
        content = ShardContent(
            index=shard,
            digest=digest_of(recipe),
            recipe_json=json.dumps(recipe),
            codec="raw",
            resolution=side,
            images={
                role: drawn(levels[part, k], colours[part], side)
                for k, role in enumerate(("source", "target"))
            },
            columns={
                "candidate": np.arange(count),
                **{name: column[part] for name, column in scores.items()},
            },
            tried={"candidate": np.arange(count), "reason": np.zeros(count, np.uint8)},
            reasons=("accepted",),
        )
        reports.append(commit_shard(folder, content))
    write_manifest(folder, recipe=recipe, digest=digest_of(recipe), n=rows, reports=reports)
    return folder
