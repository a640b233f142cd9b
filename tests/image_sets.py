"""Small data sets of plain images, and what stands in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.shards.collect import Collection, Entry, collect
from distill.shards.columns import texts_of
from distill.shards.dataset import TripletDataset
from distill.shards.folder import manifest_reports, read_json, read_manifest, shard_path
from distill.shards.images.image_set import LabelColumn, image_entry, image_recipe
from distill.shards.read import open_shard


def write_image_set(
    folder: Path,
    images: NDArray[np.uint8],
    *,
    labels: Mapping[str, LabelColumn] | None = None,
    weights: NDArray[np.float32] | None = None,
    shard_size: int = 5,
    codec: str = "raw",
) -> Path:
    """Write images [N, H, W, 3] called "0.png", "1.png", …"""

    def entries(first: int) -> Iterator[Entry]:
        for number in range(first, len(images)):
            yield image_entry(number, images[number], f"{number}.png", labels or {}, weights)

    height, width = images.shape[1:3]
    recipe = image_recipe(resolution=height, width=width, codec=codec, source={"kind": "test"})
    recipe["shard_size"] = shard_size
    collect(Collection(folder=folder, recipe=recipe, candidates=len(images), entries=entries))
    return folder


def read_image_set(folder: Path) -> dict[str, Any]:
    """Return everything in a set: images [N, R, R, 3], each column [N] by its name, the source."""
    found: dict[str, list[Any]] = {}
    for report in manifest_reports(read_manifest(folder)):
        with open_shard(shard_path(folder, report.index), report=report) as reader:
            for name in reader.columns():
                values = reader.column(name)
                found.setdefault(name, []).append(texts_of(values) if values.dtype.kind == "S" else values)
    data = TripletDataset(folder)
    images = np.stack([data[row]["image"].permute(1, 2, 0).numpy() for row in range(len(data))])
    columns = {name: np.concatenate(parts) for name, parts in found.items()}
    return {"images": images, **columns, "source": read_json(folder / "recipe.json")["source"]}


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
