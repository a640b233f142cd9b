"""Where a run is, and the random numbers of that position.

Every stream is a pure function of (seed, update, purpose): nothing has to be stored to resume, and a new purpose
never shifts another one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class RunPosition:
    """`updates` done so far and `samples` seen so far by all processes together."""

    seed: int
    updates: int
    samples: int

    def generator(self, purpose: str) -> torch.Generator:
        """Return a CPU generator of its own for one purpose within this update."""
        return torch.Generator().manual_seed(stream_seed(self.seed, self.updates, purpose))

    def next(self, batch: int) -> RunPosition:
        return RunPosition(seed=self.seed, updates=self.updates + 1, samples=self.samples + batch)


def kimg_text(samples: float) -> str:
    """Write thousands of samples for people: 0.012, 3.2, 91.5."""
    kimg = samples / 1000
    return f"{kimg:.1f}" if kimg >= 10 else f"{kimg:.3g}"


def stream_seed(seed: int, number: int, purpose: str) -> int:
    """Hash (seed, number, purpose) to 63 bits."""
    digest = hashlib.blake2b(f"{seed}/{number}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
