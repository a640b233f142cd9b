"""The loader alone, for train_pix2pix.py: its triplets/s, and a data set of random images where none is named."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch

from distill.shards.codec import encode_images
from distill.shards.dataset import TripletDataset
from distill.shards.digest import digest_of
from distill.shards.folder import RECIPE_FILE, write_manifest
from distill.shards.layout import ShardContent
from distill.shards.write import commit_shard
from distill.training.pix2pix.data import TripletReader, Triplets
from distill.training.position import RunPosition
from distill.training.sampler import Sampler

SEED = 0
ROLES = ("content", "style", "mixed")
MADE_ROWS, MADE_SHARDS = 64, 2
KEPT_ROWS, MEMORY = 2048, 8 << 30  # rows that are drawn from; bytes of a data set that may be kept


def make_data(folder: Path, side: int) -> None:
    """Write triplets of smooth random images, raw up to 128 px, else JPEG as generation stores them."""
    codec = "raw" if side <= 128 else "jpeg"
    recipe = {
        "task": "style-mix",
        "inputs": list(ROLES[:-1]),
        "target": ROLES[-1],
        "resolution": side,
        "codec": codec,
    }
    (folder / RECIPE_FILE).write_text(json.dumps(recipe))
    random, reports = np.random.default_rng(SEED), []
    for shard in range(MADE_SHARDS):
        coarse = random.integers(0, 256, (len(ROLES), MADE_ROWS, 3, 8, 8), dtype=np.uint8)
        images = {}
        for role, small in zip(ROLES, torch.from_numpy(coarse).float(), strict=True):
            large = torch.nn.functional.interpolate(small, (side, side), mode="bicubic").clamp(0, 255)
            pixels = large.to(torch.uint8).permute(0, 2, 3, 1).numpy()
            images[role] = pixels if codec == "raw" else encode_images(pixels, codec)
        ids = np.arange(MADE_ROWS, dtype=np.int64)
        content = ShardContent(
            index=shard, digest=digest_of(recipe), recipe_json=json.dumps(recipe), codec=codec, resolution=side,
            images=images, columns={"candidate": ids},
            tried={"candidate": ids, "reason": np.zeros(MADE_ROWS, np.uint8)}, reasons=("accepted",),
        )  # fmt: skip
        reports.append(commit_shard(folder, content))
    write_manifest(
        folder, recipe=recipe, digest=digest_of(recipe), n=MADE_ROWS * MADE_SHARDS, reports=reports
    )


def measure_loader(dataset: TripletDataset, batch: int, seconds: float) -> dict[str, float]:
    """Draw batches alone: triplets/s that are decoded each time, and where they fit that are kept in memory."""
    rows = np.arange(min(len(dataset), KEPT_ROWS))
    size = len(dataset) * len(dataset.roles) * 3 * dataset.resolution**2
    rates = {}
    for name, memory in (("decoded", 0), ("from memory", size)):
        if memory > MEMORY:
            continue
        reader = TripletReader(dataset, memory=memory)
        triplets = Triplets(
            reader=reader,
            train_on=rows,
            held_out=rows[:0],
            sampler=Sampler(np.ones(len(rows)), SEED),
            batch=batch,
        )
        seen = -(-len(rows) // batch) * batch if memory else 2 * batch  # the first epoch fills the memory
        for samples in range(0, seen, batch):
            triplets.draw(RunPosition(seed=SEED, updates=0, samples=samples))
        since, drawn = time.perf_counter(), 0
        while time.perf_counter() - since < seconds:
            triplets.draw(RunPosition(seed=SEED, updates=0, samples=seen + drawn))
            drawn += batch
        rates[name] = drawn / (time.perf_counter() - since)
        reader.close()
    return rates
