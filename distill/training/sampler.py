"""Which image comes when: a pure function of the seed and of how many images were seen before.

One epoch draws as many images as there are. Each is drawn in proportion to its weight, to within one (systematic
sampling), in shuffled order: with equal weights every image comes exactly once. N images, B of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distill.training.position import stream_seed


@dataclass(eq=False)
class Sampler:
    """`weights` [N] are relative and above 0; `mirror` flips every other draw on average."""

    weights: NDArray[np.float64]
    seed: int
    mirror: bool = False
    _epochs: dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]] = field(default_factory=dict)

    def draw(self, start: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return (image numbers [B], mirrored or not [B]) of draws `start` to `start + count - 1`."""
        n, rows = len(self.weights), []
        while count:
            epoch, at = divmod(start, n)
            take = min(count, n - at)
            order, flips = self._epoch(epoch)
            rows.append((order[at : at + take], flips[at : at + take]))
            start, count = start + take, count - take
        return np.concatenate([r[0] for r in rows]), np.concatenate([r[1] for r in rows])

    def _epoch(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        if epoch not in self._epochs:
            while len(self._epochs) > 1:
                del self._epochs[min(self._epochs)]
            random = np.random.Generator(np.random.Philox(stream_seed(self.seed, epoch, "order")))
            n = len(self.weights)
            edges = np.cumsum(self.weights) / self.weights.sum()
            chosen = np.searchsorted(edges, (np.arange(n) + random.random()) / n, side="right")
            flips = random.random(n) < (0.5 if self.mirror else 0.0)
            self._epochs[epoch] = random.permutation(chosen.clip(max=n - 1)), flips
        return self._epochs[epoch]
