"""Measured changes of a data set: how much of each attribute lies between the source and the target of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError, ShardCorrupt
from distill.shards.dataset import TripletDataset
from distill.shards.folder import manifest_reports, read_manifest, shard_path
from distill.shards.read import open_shard


def measured_attributes(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the attributes whose changes a data set holds, in the order asked for; () for one without."""
    return tuple(map(str, _measured(recipe).get("attributes", ())))


def attribute_kinds(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return "probability" or "value" for each of the measured attributes."""
    return tuple(map(str, _measured(recipe).get("kinds", ())))


def read_changes(dataset: TripletDataset) -> NDArray[np.float32]:
    """Read target - source of each of K attributes: [n, K], in the order of the recipe; NaN where it is not known.

    Raises DistillError for a data set without measured changes, ShardCorrupt by name for a broken shard.
    """
    names = measured_attributes(dataset.recipe)
    if not names:
        raise DistillError(
            f"{dataset.folder}: no measured change of an attribute: it is no data set of distill generate --task"
            " attributes"
        )
    parts = []
    for report in manifest_reports(read_manifest(dataset.folder)):
        with open_shard(shard_path(dataset.folder, report.index), report=report) as reader:
            scores = [np.asarray(reader.column(f"scores/{name}"), np.float32) for name in names]
            for name, column in zip(names, scores, strict=True):
                if column.shape != (reader.rows, 2):
                    raise ShardCorrupt(
                        reader.path, f"scores/{name} has shape {list(column.shape)}, not [{reader.rows}, 2]"
                    )
            parts.append(np.stack([column[:, 1] - column[:, 0] for column in scores], axis=1))
    return np.concatenate(parts)


def _measured(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    selection = recipe.get("select")
    return selection if isinstance(selection, Mapping) and selection.get("name") == "measured" else {}
