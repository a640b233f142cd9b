"""How far a method's pictures are, as a set, from real pictures of the target.

N, M pictures, D features.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.faces.decode import read_photo
from distill.faces.outputs import OutputFolder
from distill.files import read_regular
from distill.metrics.features import Features
from distill.metrics.frechet import frechet_distance, moments
from distill.metrics.kernel import SUBSETS, subset_distances
from distill.weights.npy import read_npz

Floats = NDArray[np.float64]

BATCH = 16
WIDTH = 1.96  # standard deviations on either side of a 95 % interval
MAX_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class SetDistance:
    """Kernel distance: `value` ± `half_width` (95 %), the mean over draws of `subset` pictures; Fréchet distance.

    A draw holds half of the smaller side, so that the draws spread by about the standard error of the whole.
    """

    value: float
    half_width: float
    subset: int
    frechet: float
    count: int  # of pictures beside the real ones


def set_distance(pictures_ND: Floats, real_MD: Floats, *, seed: int = 0) -> SetDistance:
    """Compare two sets of features, of at least 4 rows each."""
    subset = min(len(pictures_ND), len(real_MD)) // 2
    draws = subset_distances(pictures_ND, real_MD, seed=seed, subsets=SUBSETS, most=subset)
    return SetDistance(
        value=float(draws.mean()),
        half_width=WIDTH * float(draws.std(ddof=1)),
        subset=subset,
        frechet=frechet_distance(moments(pictures_ND), moments(real_MD)),
        count=len(pictures_ND),
    )


def halves(rows_ND: Floats, *, seed: int = 0) -> tuple[Floats, Floats]:
    """Split a set in two at random: what equal sources score."""
    order = np.random.RandomState(seed).permutation(len(rows_ND))
    middle = len(order) // 2
    return rows_ND[order[:middle]], rows_ND[order[middle:]]


def features_of(
    paths: Sequence[Path],
    features: Features,
    *,
    outputs: OutputFolder,
    below: str,
    key: str,
    advance: Callable[[int], object] = lambda count: None,
) -> Floats:
    """Return the features of pictures [N, D], from the folder `below` where an earlier run left them for `key`."""
    name = f"features-{features.name}.npz"
    kept = _read(outputs.folder / below / name, key, len(paths))
    if kept is not None:
        advance(len(paths))
        return kept

    def batches() -> Iterator[torch.Tensor]:
        for first in range(0, len(paths), BATCH):
            images = [read_photo(path) for path in paths[first : first + BATCH]]
            yield torch.from_numpy(np.stack(images))
            advance(len(images))

    found = features.of(batches())
    buffer = io.BytesIO()
    np.savez(buffer, features=found.astype(np.float32), key=np.frombuffer(key.encode(), np.uint8))
    outputs.write_file(buffer.getvalue(), name, below=below)
    return found.astype(np.float32).astype(np.float64)


def _read(path: Path, key: str, count: int) -> Floats | None:
    try:
        data = read_npz(memoryview(read_regular(path)), most=MAX_BYTES)
    except (OSError, DistillError):
        return None
    if set(data) != {"features", "key"} or data["key"].tobytes() != key.encode():
        return None
    found = data["features"]
    return found.astype(np.float64) if len(found) == count else None
