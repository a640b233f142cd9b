"""Folders and data sets of images: what is read, what is refused, and which image comes when."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from data_sets import make_data_set
from image_sets import write_image_set
from PIL import Image

from distill.errors import DistillError, ShardCorrupt
from distill.shards.verify import verify_folder
from distill.training.images import open_images
from distill.training.pictures import Pictures, grid, hold_out
from distill.training.position import RunPosition, stream_seed
from distill.training.sampler import Sampler


def write_images(folder: Path, count: int = 3, size: tuple[int, int] = (8, 8)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new("RGB", size, (i * 10, 0, 0)).save(folder / f"{i:03d}.png")
    return folder


def stored(folder: Path, count: int = 4, size: int = 8, **more: Any) -> Path:
    pixels = np.repeat(np.arange(count, dtype=np.uint8), size * size * 3).reshape(count, size, size, 3)
    return write_image_set(folder, pixels, shard_size=3, **more)


def test_a_folder_of_equal_images(tmp_path: Path) -> None:
    write_images(tmp_path / "a")
    write_images(tmp_path / "a" / "below", 1)
    images = open_images(tmp_path / "a")
    assert (len(images), images.resolution) == (4, 8)
    assert images.read(np.array([2, 0]))[:, 0, 0, 0].tolist() == [20, 0]


def test_mixed_sizes_are_cropped_and_resized_when_asked(tmp_path: Path) -> None:
    write_images(tmp_path)
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    with pytest.raises(DistillError, match=r"wide\.png is 24×8 px and 000\.png 8×8: give --resolution"):
        open_images(tmp_path)
    images = open_images(tmp_path, resolution=4)
    assert images.pixels.shape == (4, 4, 4, 3)
    assert images.pixels[3].min() == 200


def test_folders_without_images_and_odd_sizes(tmp_path: Path) -> None:
    with pytest.raises(DistillError, match="no such file or folder; give a folder of images"):
        open_images(tmp_path / "none")
    with pytest.raises(DistillError, match="no files in"):
        open_images(tmp_path)
    write_images(tmp_path, size=(12, 12))
    with pytest.raises(DistillError, match="give --resolution"):
        open_images(tmp_path)
    with pytest.raises(DistillError, match="resolution 12 is not a power of two"):
        open_images(tmp_path, resolution=12)


def test_unreadable_and_animated_files_are_named_and_counted(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    told: list[str] = []
    assert len(open_images(tmp_path, skipped=told.append)) == 3
    assert len(told) == 2
    assert "broken.png: not an image" in told[0]
    assert "moving.gif: animated" in told[1]
    with pytest.raises(DistillError, match="more than 1 files cannot be used"):
        open_images(tmp_path, skipped=told.append, limit=1)
    for path in tmp_path.glob("0*.png"):
        path.unlink()
    with pytest.raises(DistillError, match="none of its 2 images can be used"):
        open_images(tmp_path, skipped=told.append)


@pytest.mark.parametrize("codec", ["raw", "webp"])
@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_a_data_set_with_weights_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, memory: int
) -> None:
    monkeypatch.setattr("distill.training.images.MEMORY", memory)
    labels = {"age": np.array([1, np.nan, 3, 4], np.float32), "who": ["ä", "", "longer", "b"]}
    path = stored(tmp_path / "a", weights=np.array([1, 1, 3, 1], np.float32), labels=labels, codec=codec)
    images = pickle.loads(pickle.dumps(open_images(path)))
    assert images.weights.tolist() == [1, 1, 3, 1]
    assert images.labels["who"].tolist() == ["ä", "", "longer", "b"]
    np.testing.assert_array_equal(images.labels["age"], labels["age"])
    assert images.read(np.array([3, 1, 3]))[:, 0, 0, 0].tolist() == [3, 1, 3]
    smaller = open_images(path, resolution=4)
    assert smaller.read(np.array([2])).shape == (1, 4, 4, 3)
    assert images.digest == smaller.digest
    with pytest.raises(DistillError, match="a: resolution 16: the shards hold 8 px"):
        open_images(path, resolution=16)


def test_data_sets_that_are_not_plain_images_or_not_complete(tmp_path: Path) -> None:
    make_data_set(tmp_path / "pairs")
    with pytest.raises(DistillError, match=r"a data set of content \+ style \+ mixed; plain images"):
        open_images(tmp_path / "pairs")
    path = stored(tmp_path / "a")
    (path / "manifest.json").unlink()
    with pytest.raises(DistillError, match="not complete"):
        open_images(path)


@pytest.mark.parametrize("weight", [0, -1, np.nan, np.inf])
def test_weights_that_cannot_be_drawn_by_are_refused(tmp_path: Path, weight: float) -> None:
    path = stored(tmp_path / "a", weights=np.ones(4, np.float32))
    with h5py.File(path / "shard-00000.h5", "r+") as file:
        file["weight"][1] = weight
    with pytest.raises(
        ShardCorrupt, match=r"shard-00000\.h5: weight .* of row 1: weights are above 0 .* again"
    ):
        open_images(path)
    assert "weights are above 0 and finite" in str(verify_folder(path, full=True).problems[0])
    with pytest.raises(ValueError, match="weights are above 0"):
        stored(tmp_path / "b", weights=np.full(4, weight, np.float32))


def test_labels_that_are_no_text_and_shards_that_differ_are_refused(tmp_path: Path) -> None:
    path = stored(tmp_path / "a", labels={"who": ["aaa", "b", "c", "d"]})
    with h5py.File(path / "shard-00000.h5", "r+") as file:
        file["labels/who"][0] = np.bytes_(b"\xff\xfe")
    with pytest.raises(ShardCorrupt, match=r"shard-00000\.h5: 'labels/who' of row 0 is not utf-8 text"):
        open_images(path)


def test_equal_weights_show_every_image_once_an_epoch() -> None:
    sampler = Sampler(np.ones(11), seed=3)
    first, second = (sampler.draw(start, 11)[0] for start in (0, 11))
    assert sorted(first) == sorted(second) == list(range(11))
    assert not np.array_equal(first, second)


def test_weights_are_met_within_one_draw_an_epoch() -> None:
    weights = np.array([1.0, 4.5, 1.0, 2.0, 0.0] * 20)
    counts = np.bincount(Sampler(weights, seed=0).draw(0, 100)[0], minlength=100)
    assert np.abs(counts - 100 * weights / weights.sum()).max() < 1
    assert counts[4::5].sum() == 0


def test_a_draw_depends_on_its_position_alone() -> None:
    whole, fresh = Sampler(np.ones(7), 5, mirror=True), Sampler(np.ones(7), 5, mirror=True)
    order, flips = whole.draw(0, 40)
    again = [fresh.draw(start, 5) for start in (25, 5, 0)]
    for start, (numbers, mirrored) in zip((25, 5, 0), again, strict=True):
        assert np.array_equal(numbers, order[start : start + 5])
        assert np.array_equal(mirrored, flips[start : start + 5])
    assert 8 < flips.sum() < 32
    assert not Sampler(np.ones(7), 5).draw(0, 40)[1].any()


def test_two_processes_share_one_batch(tmp_path: Path) -> None:
    images = open_images(stored(tmp_path / "a", count=12))
    place = RunPosition(seed=0, updates=2, samples=16)

    def batch(rank: int, world: int) -> torch.Tensor:
        sampler = Sampler(images.weights, 0, mirror=True)
        return Pictures(images, np.arange(12), sampler, 8, rank, world).draw(place)

    assert torch.equal(torch.cat([batch(0, 2), batch(1, 2)]), batch(0, 1))
    assert batch(0, 1).shape == (8, 3, 8, 8)
    assert float(batch(0, 1).min()) >= -1


def test_held_out_images_are_never_trained_on() -> None:
    train_on, held = hold_out(50, 10, seed=1)
    assert sorted([*train_on, *held]) == list(range(50))
    assert np.array_equal(held, hold_out(50, 10, seed=1)[1])
    with pytest.raises(DistillError, match="50 images to hold out of 50"):
        hold_out(50, 50, seed=1)


def test_a_grid_fills_rows() -> None:
    pictures = np.stack([np.full((2, 2, 3), i + 1, np.uint8) for i in range(3)])
    sheet = grid(pictures, 2)
    assert sheet.shape == (4, 4, 3)
    assert [sheet[0, 0, 0], sheet[0, 3, 0], sheet[3, 0, 0], sheet[3, 3, 0]] == [1, 2, 3, 0]


def test_streams_differ_by_seed_update_and_purpose() -> None:
    seeds = {stream_seed(s, n, p) for s in (0, 1) for n in (0, 1) for p in ("a", "b")}
    assert len(seeds) == 8


def test_pictures_of_a_folder_are_those_of_every_command(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for folder in (tmp_path / "set", tmp_path / "set" / "@eaDir", tmp_path / "set" / ".hidden", elsewhere):
        folder.mkdir()
        Image.new("RGB", (8, 8), "navy").save(folder / "a.png")
    (tmp_path / "set" / "notes.txt").write_text("no picture")
    (tmp_path / "set" / "link").symlink_to(elsewhere)
    assert len(open_images(tmp_path / "set")) == 2  # its own, and that behind the link
