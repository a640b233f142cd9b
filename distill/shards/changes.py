"""What pairs of the task `attributes` changed, as a scorer measured it: the score of the target less the source's.

N rows, K attributes, in the order in which the recipe names them. A probability changes by -1 to 1, a value by years
or degrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError, ShardCorrupt
from distill.shards.folder import manifest_reports, read_manifest, shard_path
from distill.shards.read import ShardReader, open_shard

if TYPE_CHECKING:
    from distill.shards.dataset import TripletDataset

MEASURED = "measured"  # the selection whose recipe names attributes and their kinds
KINDS = ("probability", "value")


def measured_attributes(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the attributes whose changes a data set holds; () for one without measured changes."""
    return tuple(name for name, _ in _measured(recipe))


def attribute_kinds(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the kind of each measured attribute's score, "probability" or "value", in the same order."""
    return tuple(kind for _, kind in _measured(recipe))


def read_changes(dataset: TripletDataset) -> NDArray[np.float32]:
    """Read the measured change of every row, float32 [N, K].

    Raises DistillError for a data set without measured changes, ShardCorrupt by name for a broken shard.
    """
    if not measured_attributes(dataset.recipe):
        raise DistillError(
            f"{dataset.folder}: no measured changes in it; `distill generate --task attributes` makes such a data set"
        )
    parts = []
    for report in manifest_reports(read_manifest(dataset.folder)):
        with open_shard(shard_path(dataset.folder, report.index), report=report) as reader:
            parts.append(changes_of(reader))
    return np.concatenate(parts)


def changes_of(reader: ShardReader) -> NDArray[np.float32]:
    """Read the measured changes of one shard, float32 [n, K]. Raises ShardCorrupt where scores are missing."""
    names = measured_attributes(reader.recipe)
    changes_NK = np.zeros((reader.rows, len(names)), dtype=np.float32)
    for k, name in enumerate(names):
        scores_N2 = _column(reader, f"scores/{name}", (2,))
        changes_NK[:, k] = scores_N2[:, 1] - scores_N2[:, 0]
    if not np.isfinite(changes_NK).all():
        raise ShardCorrupt(reader.path, "a measured change is not a number")
    return changes_NK


def asked_of(reader: ShardReader) -> NDArray[np.float32]:
    """Read the strength that was asked of each attribute, float32 [n, K]; 0 where nothing was."""
    names = measured_attributes(reader.recipe)
    asked_NK = np.zeros((reader.rows, len(names)), dtype=np.float32)
    for k, name in enumerate(names):
        asked_NK[:, k] = _column(reader, f"params/{asked_column(name)}", ())
    return asked_NK


def check_measured(reader: ShardReader) -> None:
    """Raise ShardCorrupt where a shard lacks what was asked of an attribute, or its two scores."""
    for name in measured_attributes(reader.recipe):
        _check(reader, f"params/{asked_column(name)}", ())
        _check(reader, f"scores/{name}", (2,))


def asked_column(attribute: str) -> str:
    """Name the parameter that holds the strength which was asked of an attribute."""
    return f"strength_{attribute}"


def _column(reader: ShardReader, name: str, tail: tuple[int, ...]) -> NDArray[Any]:
    _check(reader, name, tail)
    return reader.column(name)


def _check(reader: ShardReader, name: str, tail: tuple[int, ...]) -> None:
    if name not in reader.columns() or reader.shape(name)[1] != tail:
        raise ShardCorrupt(reader.path, f"has no column {name} of {tail[0] if tail else 1} a row")


def _measured(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Attributes and kinds of a recipe that says both, one kind an attribute."""
    select = recipe.get("select")
    if not isinstance(select, Mapping) or select.get("name") != MEASURED:
        return []
    names, kinds = (select.get(key) for key in ("attributes", "kinds"))
    if not isinstance(names, list | tuple) or not isinstance(kinds, list | tuple) or len(names) != len(kinds):
        return []
    pairs = list(zip(names, kinds, strict=True))
    return pairs if all(isinstance(name, str) and kind in KINDS for name, kind in pairs) else []
