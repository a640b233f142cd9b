"""Triplets come as stored, whatever reads them; each once an epoch; processes share a batch between them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from triplet_sets import make_triplets, triplets

from distill.errors import ShardCorrupt
from distill.shards.dataset import TripletDataset
from distill.shards.read import open_shard
from distill.training.pix2pix.data import TripletReader, Triplets
from distill.training.position import RunPosition
from distill.training.sampler import Sampler


@pytest.mark.parametrize("memory", [0, 1 << 30], ids=["from disk", "kept"])
@pytest.mark.parametrize("codec", ["raw", "webp"])
def test_pixels_are_those_of_the_shards(tmp_path: Path, memory: int, codec: str) -> None:
    dataset = TripletDataset(make_triplets(tmp_path, rows=40, codec=codec))
    reader = TripletReader(dataset, memory=memory)
    rows = np.asarray([39, 0, 17, 0, 16, 5])
    for _ in range(2):
        batch = reader.read(rows)
        assert (batch.shape, batch.dtype) == ((6, 3, 3, 16, 16), torch.uint8)
        stored = triplets(rows)
        for number, role in enumerate(("content", "style", "mixed")):
            assert np.array_equal(batch[:, number].permute(0, 2, 3, 1).numpy(), stored[role])
    reader.close()


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    dataset = TripletDataset(make_triplets(tmp_path, rows=64))
    for memory in (0, 1 << 30):
        reader = TripletReader(dataset, memory=memory, threads=3)
        with ThreadPoolExecutor(4) as pool:
            orders = [np.random.default_rng(n).permutation(64) for n in range(8)]
            found = list(pool.map(reader.read, orders))
        for order, batch in zip(orders, found, strict=True):
            assert np.array_equal(batch[:, 2].permute(0, 2, 3, 1).numpy(), triplets(order)["mixed"])
        reader.close()


def test_an_epoch_shows_each_row_once_and_two_processes_make_one_batch(tmp_path: Path) -> None:
    dataset = TripletDataset(make_triplets(tmp_path, rows=48))
    rows = np.arange(0, 48, 2)
    reader = TripletReader(dataset, memory=1 << 30)

    def batches(rank: int, world: int) -> list[torch.Tensor]:
        data = Triplets(
            reader=reader,
            train_on=rows,
            held_out=rows[:0],
            sampler=Sampler(np.ones(len(rows)), 5),
            batch=8,
            rank=rank,
            world=world,
        )
        place, found = RunPosition(seed=5, updates=0, samples=0), []
        for _ in range(3):
            found.append(data.draw(place).images)
            place = place.next(8)
        return found

    whole = batches(0, 1)
    halves = zip(batches(0, 2), batches(1, 2), strict=True)
    for one, parts in zip(whole, halves, strict=True):
        assert torch.equal(one, torch.cat(parts))
    seen = {image.numpy().tobytes() for image in torch.cat(whole)[:, 2]}
    wanted = {image.transpose(2, 0, 1).copy().tobytes() for image in triplets(rows)["mixed"]}
    assert seen == wanted
    reader.close()


def test_a_row_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    dataset = TripletDataset(make_triplets(tmp_path, rows=16, codec="webp"))
    path = tmp_path / "shard-00000.h5"
    with open_shard(path) as shard:
        image = shard.encoded("mixed", 3)
    data = bytearray(path.read_bytes())
    start = data.index(image)
    data[start : start + 12] = bytes(12)
    path.write_bytes(data)
    reader = TripletReader(dataset)
    with pytest.raises(ShardCorrupt, match=r"shard-00000\.h5: image \d+ of 'mixed'"):
        reader.read(np.arange(16))
    reader.close()
