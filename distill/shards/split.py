"""Split a data set into a part to train on and a part held out, so that no face is on both sides.

N rows. A row's side hangs on the latent of its source alone, or on its ring where faces are shared around one: rows
made from one face stay together, and a data set that grows moves no row to the other side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.shards.dataset import TripletDataset, recipe_roles
from distill.shards.folder import manifest_reports, read_manifest, shard_path
from distill.shards.read import ShardReader, open_shard

Rows = NDArray[np.int64]


def split_rows(dataset: TripletDataset, *, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Return (rows to train on, rows held out), both sorted int64, about `fraction` of the faces held out.

    The source is the recipe's first input. Where its latents are not stored, its pixels are hashed instead, which
    reads every image once. Raises DistillError for a fraction outside 0 to 1 (1 excluded), and where nothing is
    left to train on; ShardCorrupt by name for a broken shard.
    """
    if not 0 <= fraction < 1:
        raise DistillError(f"a held-out fraction of {fraction} is not in 0 <= fraction < 1")
    if fraction == 0:
        return np.arange(len(dataset)), np.zeros(0, np.int64)
    source = recipe_roles(dataset.recipe)[0]
    places = np.fromiter(_places(dataset, source, seed), np.float64, count=len(dataset))
    held = places < fraction
    if held.all():
        raise DistillError(
            f"{dataset.folder}: all {len(dataset)} rows fall into the held-out {fraction:.0%}; hold out less, or"
            " make a larger data set"
        )
    return np.flatnonzero(~held).astype(np.int64), np.flatnonzero(held).astype(np.int64)


def _places(dataset: TripletDataset, source: str, seed: int) -> Iterator[float]:
    """Give each row a place in [0, 1): equal for equal sources, evenly spread over different ones."""
    for report in manifest_reports(read_manifest(dataset.folder)):
        with open_shard(shard_path(dataset.folder, report.index), report=report) as reader:
            for data in _identities(reader, source):
                digest = hashlib.blake2b(f"{seed}/held-out/".encode() + data, digest_size=8).digest()
                yield int.from_bytes(digest, "big") / 2.0**64


def _identities(reader: ShardReader, source: str) -> Iterator[bytes]:
    """Yield bytes that are equal where the source is the same face, or one of a ring that shares its faces."""
    name = f"latents/{source}"
    if "ring" in reader.columns():
        yield from (b"ring" + ring.tobytes() for ring in reader.column("ring"))
    elif name in reader.columns():
        yield from (np.ascontiguousarray(latent).tobytes() for latent in reader.column(name))
    else:
        yield from (reader.image(source, row).tobytes() for row in range(reader.rows))
