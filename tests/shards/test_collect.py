"""A data set made of images that are there already: resumed, refused, read back by the same reader."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from distill.errors import DistillError, Interrupted
from distill.shards.card import CARD_NAME
from distill.shards.collect import Collection, Entry, collect, text_value
from distill.shards.dataset import TripletDataset
from distill.shards.folder import shard_path
from distill.shards.read import open_shard
from distill.shards.verify import verify_folder


def entries(first: int, *, count: int = 10) -> Iterator[Entry]:
    """Candidates 0, 3, 6 and 9 are unreadable."""
    for number in range(first, count):
        if number % 3 == 0:
            yield Entry(candidate=number, reason="unreadable")
            continue
        images = {"image": np.full((8, 8, 3), number, np.uint8)}
        columns = {
            "name": text_value(f"face-{number}.png"),
            "labels/age": np.float32(number if number % 2 else np.nan),
            "labels/gender": text_value("" if number == 1 else "wömen"),
            "weight": np.float32(number),
        }
        yield Entry(candidate=number, images=images, columns=columns)


def collection(folder: Path, **changes: object) -> Collection:
    recipe = {
        **{
            "task": "images",
            "inputs": [],
            "target": "image",
            "resolution": 8,
            "codec": "raw",
            "shard_size": 2,
        },
        **{"source": {"kind": "pictures", "sha256": "a" * 64}},
        **changes,
    }
    return Collection(folder=folder, recipe=recipe, candidates=10, entries=entries)


def test_rows_come_back_with_names_labels_and_weights(tmp_path: Path) -> None:
    reports = collect(collection(tmp_path / "a"))
    assert [(report.rows, report.tried, report.dropped) for report in reports] == [
        *((2, 4, {"unreadable": 2}), (2, 3, {"unreadable": 1}), (2, 3, {"unreadable": 1})),
    ]
    assert verify_folder(tmp_path / "a", full=True).ok
    data = TripletDataset(tmp_path / "a", columns=("labels/age", "weight"))
    assert [int(data[row]["image"][0, 0, 0]) for row in range(len(data))] == [1, 2, 4, 5, 7, 8]
    assert [data[row]["labels/age"].item() for row in (0, 2, 4)] == [1, pytest.approx(np.nan, nan_ok=True), 7]
    with open_shard(shard_path(tmp_path / "a", 0)) as shard:
        assert shard.column("name").tolist() == [b"face-1.png", b"face-2.png"]
        assert [value.decode() for value in shard.column("labels/gender").tolist()] == ["", "wömen"]
    card = (tmp_path / "a" / CARD_NAME).read_text()
    assert "# images: 6 images" in card
    assert "Synthetic" not in card
    assert "generator" not in card


def test_a_stopped_collection_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    stop = threading.Event()
    taken: list[int] = []

    def advance(count: int) -> None:
        taken.append(count)
        if sum(taken) == 8:
            stop.set()

    with pytest.raises(Interrupted):
        collect(collection(tmp_path / "a"), stop=stop, advance=advance)
    assert not (tmp_path / "a" / "manifest.json").exists()
    skipped, done = [], []
    collect(collection(tmp_path / "a"), advance=done.append, skip=skipped.append)
    assert sum(skipped) > 0
    assert sum(skipped) + sum(done) == 10  # what is there does not count as done by this call
    collect(collection(tmp_path / "b"))
    names = sorted(path.name for path in (tmp_path / "b").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "a").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_another_data_set_in_the_folder_is_refused_with_the_difference(tmp_path: Path) -> None:
    collect(collection(tmp_path / "a"))
    with pytest.raises(DistillError, match="its shard_size is 2, now it is 3; choose another --out"):
        collect(collection(tmp_path / "a", shard_size=3))


def test_a_fault_of_the_source_leaves_nothing(tmp_path: Path) -> None:
    def failing(first: int) -> Iterator[Entry]:
        yield from entries(first, count=8)
        raise DistillError("too many are unreadable")

    broken = Collection(
        folder=tmp_path / "a", recipe=collection(tmp_path).recipe, candidates=10, entries=failing
    )
    with pytest.raises(DistillError, match="too many"):
        collect(broken)
    assert not (tmp_path / "a").exists()


def test_a_fault_of_the_source_leaves_what_an_earlier_call_had_made(tmp_path: Path) -> None:
    stop, taken = threading.Event(), 0

    def advance(count: int) -> None:
        nonlocal taken
        taken += count
        if taken == 8:
            stop.set()

    with pytest.raises(Interrupted):
        collect(collection(tmp_path / "a"), stop=stop, advance=advance)
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").glob("shard-*")}
    assert len(before) == 4  # two shards and their sidecars

    def failing(first: int) -> Iterator[Entry]:
        yield from entries(first, count=8)
        raise DistillError("the disk with the pictures is gone")

    recipe = collection(tmp_path).recipe
    with pytest.raises(DistillError, match="is gone"):
        collect(Collection(folder=tmp_path / "a", recipe=recipe, candidates=10, entries=failing))
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").glob("shard-*")} == before
