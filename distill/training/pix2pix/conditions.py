"""Measured changes of pairs as conditions of a student: ranges, how often a row comes, which way a pair is learnt.

N rows that are trained on, B samples, K attributes. A condition is a change divided by its range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import DistillError
from distill.files import path_text
from distill.networks.edits import MIRRORED, EditCondition, condition_of
from distill.shards.changes import attribute_kinds, measured_attributes
from distill.shards.dataset import TripletDataset
from distill.training.pix2pix.settings import Pix2PixSettings
from distill.training.position import RunPosition
from distill.training.request import TrainRequest

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

COVERED = 98  # per cent of the changes of a value that lie within its range
THIRDS = 3  # of the range: small, middling and large changes
MOST_OFTEN = 4.0  # times as often as on average a row comes at most


@dataclass(frozen=True, kw_only=True, eq=False)
class RowConditions:
    """How much each row of a data set changes, [n, K]; of `share` of the samples nothing is to change."""

    conditions: tuple[EditCondition, ...]
    scaled: Floats  # by the ranges of the conditions
    share: float

    def of(self, rows: Rows) -> Tensor:
        return torch.from_numpy(self.scaled[rows])

    def in_units(self, rows: Rows) -> Floats:
        return (self.scaled[rows] * [condition.high for condition in self.conditions]).astype(np.float32)


def check_measured(recipe: Mapping[str, Any], request: TrainRequest, settings: Pix2PixSettings) -> None:
    """Raise DistillError for settings that are not for a data set with, or without, measured changes."""
    where = path_text(request.needed_data())
    if not measured_attributes(recipe):
        if "identity_share" in request.changes:
            raise DistillError(
                f"identity_share is for data sets with measured changes (distill generate --task attributes); {where}"
                " has none: leave it out"
            )
        return
    named = [name for name in ("inputs", "target", "reverse") if getattr(settings, name)]
    if named:
        raise DistillError(
            f"the pairs of {where} are learnt both ways round, source to target and back: leave out {named[0]}"
        )
    if request.changes.get("norm") == "instance":
        raise DistillError(
            f"{where} has measured changes, which a student sees as constant planes, and instance normalisation"
            " removes these: leave out norm, or set it to batch"
        )


def measured_changes(dataset: TripletDataset, changes: Floats, train_on: Rows, share: float) -> RowConditions:
    """Scale the changes of all rows by what those that are trained on need. Raises as `conditions_of`."""
    try:
        conditions = conditions_of(dataset.recipe, changes[train_on])
    except DistillError as error:
        raise DistillError(f"{path_text(dataset.folder)}: {error}") from error
    return RowConditions(conditions=conditions, scaled=scaled(changes, conditions), share=share)


def conditions_of(recipe: Mapping[str, Any], changes_NK: Floats) -> tuple[EditCondition, ...]:
    """Name the conditions of a student that learns these changes, in units, with their ranges.

    Raises DistillError for an attribute that no row changes.
    """
    found = []
    for name, kind, column in zip(
        measured_attributes(recipe), attribute_kinds(recipe), changes_NK.T, strict=True
    ):
        limit = 1.0 if kind == "probability" else round_number(float(np.percentile(np.abs(column), COVERED)))
        if not limit or not column.any():
            raise DistillError(
                f"{name} is the same in source and target of all {len(column):,} pairs to train on: nothing can be"
                " learnt of it; make a data set without it"
            )
        found.append(condition_of(name, cast(Literal["probability", "value"], kind), limit))
    return tuple(found)


def round_number(value: float) -> float:
    """Round to half of the leading decimal place: 23.7 -> 25, 4.1 -> 4, 0.33 -> 0.35."""
    if value <= 0:
        return 0.0
    step = 10.0 ** math.floor(math.log10(value)) / 2
    return float(f"{round(value / step) * step:.6g}")


def scaled(changes_NK: Floats, conditions: Sequence[EditCondition]) -> Floats:
    """Divide changes by their ranges."""
    return (changes_NK / [condition.high for condition in conditions]).astype(np.float32)


def balanced_weights(conditions_NK: Floats) -> NDArray[np.float64]:
    """Weigh rows so that each attribute, way and amount comes equally often, as far as MOST_OFTEN allows.

    A row counts for the attribute that changes most of its range, up or down, by a third of the range or two or all.
    """
    rows = np.arange(len(conditions_NK))
    largest = np.abs(conditions_NK).argmax(axis=1)
    value = conditions_NK[rows, largest]
    amount = np.clip((np.abs(value) * THIRDS).astype(np.int64), 0, THIRDS - 1)
    kinds = (largest * 2 + (value > 0)) * THIRDS + amount
    _, place, count = np.unique(kinds, return_inverse=True, return_counts=True)
    weights = 1.0 / count[place]
    limited: NDArray[np.float64] = np.minimum(weights / weights.mean(), MOST_OFTEN)
    return limited


def learnt_ways(
    images_BRCHW: Tensor,
    conditions_BK: Tensor,
    identity_share: float,
    position: RunPosition,
    *,
    first: int,
    whole: int,
) -> tuple[Tensor, Tensor]:
    """Turn pairs [B, 2, 3, H, W] round, by a coin each, and let some stay as they are: source as target, change 0.

    The B samples are those from `first` on of a batch of `whole`, so that processes share what one would draw.
    """
    random = torch.rand(2, whole, generator=position.generator("ways"))[:, first : first + len(images_BRCHW)]
    turned, still = random[0] < 0.5, random[1] < identity_share
    images = torch.where(turned[:, None, None, None, None], images_BRCHW.flip(1), images_BRCHW)
    images = torch.where(still[:, None, None, None, None], images[:, :1], images)
    conditions = torch.where(turned[:, None], -conditions_BK, conditions_BK)
    return images, conditions.masked_fill(still[:, None], 0.0) + 0.0  # no -0


def mirrored(conditions_BK: Tensor, flipped_B: Tensor, conditions: Sequence[EditCondition]) -> Tensor:
    """Negate what a flip of the picture turns round, such as yaw."""
    turns = torch.tensor([condition.name in MIRRORED for condition in conditions])
    both = flipped_B.to(conditions_BK.device)[:, None] & turns.to(conditions_BK.device)
    return torch.where(both, -conditions_BK, conditions_BK)
