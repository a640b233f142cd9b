"""Triplets for a trainer: read by several threads ahead of the step, and kept in memory where they fit.

Shapes: B triplets of this process, R roles (inputs, then the target), 3 colours, H W image. A data set of measured
changes has K conditions a row.
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import DistillError
from distill.networks.edits import EditCondition, conditions_text
from distill.shards.changes import measured_attributes, read_changes
from distill.shards.dataset import TripletDataset, recipe_roles
from distill.shards.split import split_rows
from distill.shards.summary import sample_word
from distill.training import processes
from distill.training.pix2pix.conditions import (
    RowConditions,
    balanced_weights,
    check_measured,
    learnt_ways,
    measured_changes,
)
from distill.training.pix2pix.settings import Pix2PixSettings
from distill.training.position import RunPosition
from distill.training.request import TrainRequest
from distill.training.sampler import Sampler

THREADS = 4  # each keeps its own files open, up to 128
GIB = 1024**3

Rows = NDArray[np.int64]


class TripletReader:
    """Reads rows of a data set as uint8 [B, R, 3, H, W], in any order, from any thread.

    Every thread has its own handles. Where all triplets fit into `memory` bytes, each is decoded once.
    """

    def __init__(self, dataset: TripletDataset, *, threads: int = THREADS, memory: int = 0) -> None:
        self.dataset, self.threads = dataset, max(1, threads)
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="decode")
        self._shape = (len(dataset.roles), 3, dataset.resolution, dataset.resolution)
        self._kept: Tensor | None = None
        self._known = np.zeros(len(dataset), np.bool_)
        if len(dataset) * int(np.prod(self._shape)) <= memory:
            self._kept = torch.empty((len(dataset), *self._shape), dtype=torch.uint8)

    def read(self, rows: Rows) -> Tensor:
        """Read rows [B]. Raises ShardCorrupt by name for one that cannot be decoded."""
        if self._kept is None:
            batch = torch.empty((len(rows), *self._shape), dtype=torch.uint8)
            self._decode(rows, batch, np.arange(len(rows)))
            return batch
        missing = np.unique(rows[~self._known[rows]])
        self._decode(missing, self._kept, missing)
        self._known[missing] = True
        return self._kept[torch.from_numpy(rows)]

    def _decode(self, rows: Rows, into: Tensor, places: Rows) -> None:
        """Decode rows into the given places of a tensor, each thread its share."""
        if not len(rows):
            return
        shares = zip(np.array_split(rows, self.threads), np.array_split(places, self.threads), strict=True)
        for done in [
            self._pool.submit(self._decode_some, some, into, at) for some, at in shares if len(some)
        ]:
            done.result()

    def _decode_some(self, rows: Rows, into: Tensor, places: Rows) -> None:
        if not hasattr(self._own, "dataset"):
            self._own.dataset = copy.copy(self.dataset)  # without the handles of another thread
        for row, place in zip(rows, places, strict=True):
            item = self._own.dataset[int(row)]
            for number, role in enumerate(self.dataset.roles):
                into[place, number] = item[role]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class TripletBatch:
    """A part of a batch: uint8 [B, R, 3, H, W], and [B, K] of a data set of measured changes."""

    images: Tensor
    conditions: Tensor | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Triplets:
    """The rows of a data set, split; draws this process's part of each batch."""

    reader: TripletReader
    train_on: Rows
    held_out: Rows
    sampler: Sampler
    batch: int  # of all processes
    rank: int = 0
    world: int = 1
    changes: RowConditions | None = None

    @property
    def conditions(self) -> tuple[EditCondition, ...]:
        return self.changes.conditions if self.changes else ()

    @property
    def dataset(self) -> TripletDataset:
        return self.reader.dataset

    @property
    def rows(self) -> int:
        return len(self.train_on)

    def draw(self, position: RunPosition) -> TripletBatch:
        share = self.batch // self.world
        chosen, _ = self.sampler.draw(position.samples + self.rank * share, share)
        rows = self.train_on[chosen]
        batch = TripletBatch(images=self.reader.read(rows))
        if self.changes:
            images, conditions = learnt_ways(
                batch.images,
                self.changes.of(rows),
                self.changes.share,
                position,
                first=self.rank * share,
                whole=self.batch,
            )
            batch = TripletBatch(images=images, conditions=conditions)
        return batch

    def shared(self) -> dict[str, Any]:
        changes = self.changes
        measured = (
            {"conditions": list(map(str, self.conditions)), "identity_share": changes.share}
            if changes
            else {}
        )
        return {
            **measured,
            "roles": list(self.dataset.roles),
            "resolution": self.dataset.resolution,
            "data_digest": self.dataset.digest,
            "rows": self.rows,
        }

    def facts(self) -> dict[str, object]:
        *inputs, target = self.dataset.roles
        noun = sample_word(self.dataset.roles)
        return {
            "inputs": ", ".join(inputs),
            "target": target,
            **({"conditions": conditions_text(self.conditions)} if self.changes else {}),
            f"{noun}s": self.rows,
            "held_out": len(self.held_out),
            "resolution": self.dataset.resolution,
        }

    def close(self) -> None:
        self.reader.close()


def roles_of(recipe: dict[str, Any], settings: Pix2PixSettings) -> tuple[str, ...]:
    """Return the inputs and last the target that a student learns. Raises DistillError for no pair to reverse."""
    *inputs, target = recipe_roles(recipe)
    if not settings.reverse:
        return (*(settings.inputs or inputs), settings.target or target)
    if len(inputs) != 1:
        raise DistillError(
            f"{' + '.join(inputs)} → {target} cannot be reversed, since a student draws one image: --reverse is for"
            " pairs; name --inputs and --target"
        )
    return (target, *inputs)


def open_triplets(
    request: TrainRequest, settings: Pix2PixSettings, device: str, note: Callable[[str], None]
) -> Triplets:
    """Open a data set with the roles and the resolution asked for, and split it. Raises DistillError."""
    data = request.needed_data()
    check_measured(TripletDataset(data).recipe, request, settings)
    roles = roles_of(TripletDataset(data).recipe, settings)
    stored = TripletDataset(data, roles=roles)
    if len(set(stored.roles)) < len(stored.roles) or len(stored.roles) < 2:
        raise DistillError(
            f"inputs and target are {', '.join(stored.roles)}: two or more are needed, each named once"
        )
    side = settings.resolution or min(stored.resolution, settings.max_resolution)
    dataset = TripletDataset(data, roles=stored.roles, resolution=side)
    train_on, held_out = split_rows(dataset, fraction=settings.val_fraction, seed=request.seed)
    changes, weights = None, np.ones(len(train_on))
    if measured_attributes(dataset.recipe):
        values = read_changes(dataset)
        changes = measured_changes(dataset, values, train_on, settings.identity_share)
        weights = balanced_weights(changes.scaled[train_on])
    memory = int(settings.cache_gib * GIB) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return Triplets(
        reader=TripletReader(dataset, memory=memory),
        train_on=train_on,
        held_out=held_out,
        sampler=Sampler(weights, request.seed),
        batch=settings.batch,
        rank=processes.rank(),
        world=processes.world_size(),
        changes=changes,
    )
