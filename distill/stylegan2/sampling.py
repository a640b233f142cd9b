"""Random numbers that depend on what they are for, never on where or when they are drawn.

Every number comes from a Philox counter (Salmon et al. 2011): the key is (seed, stream), the counter is
(shard, candidate). A new stream never shifts another one, and the raw 64-bit words are turned into floats here,
so that no library's change of its normal sampler changes a data set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Streams are part of the data format: never give one another number. An edit of a data set names those of its own
# parents and choices (1 to 12 are taken); what other rooms draw stands here.
CONTENT = 1  # z of faces
DIRECTION = 20  # z that directions are fitted to
SAMPLE_NOISE = 40  # noise maps of the samples that a generator is measured by
PATH_START, PATH_END, PATH_PLACE, PATH_NOISE = (
    41,
    42,
    43,
    44,
)  # latents of path lengths, places between, noise maps
REGION_SAMPLES, REGION_PIXELS, REGION_CLUSTERS = 45, 46, 47  # z, pixels of each, first centres of clusters

MAX_SEED = 2**63 - 1
_TO_UNIT = 2.0**-53


def raw_words(seed: int, stream: int, shard: int, candidate: int, count: int) -> NDArray[np.uint64]:
    """Draw `count` 64-bit words from one candidate's own stream."""
    bits = np.random.Philox(key=[seed, stream], counter=[0, candidate, shard, 0])
    words: NDArray[np.uint64] = np.asarray(bits.random_raw(count), dtype=np.uint64)
    return words


def uniform(seed: int, stream: int, shard: int, candidate: int, count: int) -> NDArray[np.float64]:
    """Draw `count` numbers in [0, 1) with 53 random bits each."""
    return (raw_words(seed, stream, shard, candidate, count) >> np.uint64(11)).astype(np.float64) * _TO_UNIT


def normal(seed: int, stream: int, shard: int, candidate: int, count: int) -> NDArray[np.float32]:
    """Draw `count` standard normal numbers as float32, by the Box-Muller transform in float64."""
    pairs = (count + 1) // 2
    u = uniform(seed, stream, shard, candidate, 2 * pairs)
    radius = np.sqrt(-2.0 * np.log1p(-u[:pairs]))  # 1 - u lies in (0, 1]: the logarithm is finite
    angle = 2.0 * np.pi * u[pairs:]
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return both[:count].astype(np.float32)


def sample_z(
    seed: int, shard: int, candidates: Sequence[int], streams: Sequence[int], z_dim: int
) -> NDArray[np.float32]:
    """Draw z [N candidates, P parents, Z], a stream for each parent."""
    return np.stack(
        [
            np.stack([normal(seed, stream, shard, candidate, z_dim) for stream in streams])
            for candidate in candidates
        ]
    )


def sample_integers(
    seed: int, stream: int, shard: int, candidates: Sequence[int], low: int, high: int
) -> NDArray[np.int64]:
    """Draw one integer in [low, high], both included, per candidate: [N]."""
    span = high - low + 1
    draws = [low + int(uniform(seed, stream, shard, candidate, 1)[0] * span) for candidate in candidates]
    return np.asarray(draws, dtype=np.int64)
