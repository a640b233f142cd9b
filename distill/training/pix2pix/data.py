"""Triplets for a trainer: read by several threads ahead of the step, and kept in memory where they fit.

Shapes: B triplets of this process, R roles (inputs, then the target), 3 colours, H W image.
"""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.shards.dataset import TripletDataset
from distill.training.position import RunPosition
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


@dataclass(frozen=True, eq=False)
class Triplets:
    """Draws this process's part of each batch as uint8 [B, R, 3, H, W]."""

    reader: TripletReader
    rows: Rows  # that are trained on
    sampler: Sampler
    batch: int  # of all processes
    rank: int = 0
    world: int = 1
    pinned: bool = False  # in memory that a GPU copies from while it computes

    def draw(self, place: RunPosition) -> Tensor:
        share = self.batch // self.world
        chosen, _ = self.sampler.draw(place.samples + self.rank * share, share)
        batch = self.reader.read(self.rows[chosen])
        return batch.pin_memory() if self.pinned else batch
