"""A broken or hostile file is refused by name; no flipped byte ever gives other pixels or numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hostile_shards import HOSTILE

from distill.errors import ShardCorrupt
from distill.shards.folder import ShardReport
from distill.shards.read import open_shard
from distill.shards.verify import read_everything
from distill.shards.write import build_shard, commit_shard

NAME = "shard-00000.h5"


def everything(path: Path) -> dict[str, Any]:
    """Read all that a shard gives, as a reader would."""
    with open_shard(path) as reader:
        read_everything(reader)
        found: dict[str, Any] = {name: reader.column(name) for name in reader.columns()}
        found |= {f"tried/{name}": reader.tried(name) for name in reader.tried_columns()}
        found |= {f"{role}/{i}": reader.image(role, i) for role in reader.roles for i in range(reader.rows)}
        return {"attrs": reader.attrs, **found}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def flip_everywhere(data: bytes, path: Path, places: np.ndarray, bits: np.ndarray) -> tuple[int, int]:
    """Flip bits of one byte at a time; return how many were refused and how many changed nothing."""
    path.write_bytes(data)
    truth = everything(path)
    refused, harmless = [], 0
    for place, mask in zip(places.tolist(), bits.tolist(), strict=True):
        broken = bytearray(data)
        broken[place] ^= mask
        path.write_bytes(broken)
        try:
            found = everything(path)
        except ShardCorrupt as error:
            refused.append(str(error))
        else:
            assert same(found, truth), f"byte {place} ^ {mask}: other content, no error"
            harmless += 1
    assert all(message.startswith(f"{path}: ") for message in refused)
    return len(refused), harmless


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_a_flipped_byte_is_refused_or_harmless(codec: str, make_content: Any, tmp_path: Path) -> None:
    data = build_shard(make_content(rows=2, side=8, codec=codec))
    generator = np.random.default_rng(0)
    head = generator.integers(0, 4096, 100)
    places = np.concatenate([head, generator.integers(0, len(data), 100)])
    refused, harmless = flip_everywhere(data, tmp_path / NAME, places, generator.integers(1, 256, 200))
    assert refused > 10
    assert refused + harmless == 200


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["raw", "jpeg", "webp"])
def test_every_byte_flipped_is_refused_or_harmless(codec: str, make_content: Any, tmp_path: Path) -> None:
    data = build_shard(make_content(rows=1, side=8, codec=codec))
    places = np.arange(len(data))
    bits = np.random.default_rng(1).integers(1, 256, len(data))
    refused, harmless = flip_everywhere(data, tmp_path / NAME, places, bits)
    assert refused + harmless == len(data)


def test_a_truncated_shard_is_refused(make_content: Any, tmp_path: Path) -> None:
    data = build_shard(make_content())
    path = tmp_path / NAME
    for length in (0, 1, 8, 100, 4096, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ShardCorrupt, match=NAME):
            open_shard(path)


@pytest.mark.parametrize("data", [b"", b"not HDF5 at all" * 100, b"\x89HDF\r\n\x1a\n" + bytes(4096)])
def test_a_file_that_is_no_shard_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(data)
    with pytest.raises(ShardCorrupt, match="not readable as HDF5"):
        open_shard(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardCorrupt, match="missing"):
        open_shard(tmp_path / NAME)
    (tmp_path / NAME).mkdir()
    with pytest.raises(ShardCorrupt, match="a folder, not a file"):
        open_shard(tmp_path / NAME)


def test_a_shard_under_the_name_of_another_is_refused(make_content: Any, tmp_path: Path) -> None:
    (tmp_path / "shard-00003.h5").write_bytes(build_shard(make_content(2)))
    with pytest.raises(ShardCorrupt, match="holds shard 2, its name says 3"):
        open_shard(tmp_path / "shard-00003.h5")


@pytest.mark.parametrize(
    "change", [{"rows": 2}, {"digest": "a" * 12}, {"bytes": 1}, {"tried": 7}, {"index": 1}]
)
def test_a_shard_that_differs_from_its_report_is_refused(
    change: dict[str, Any], make_content: Any, tmp_path: Path
) -> None:
    report = commit_shard(tmp_path, make_content())
    fields = {name: getattr(report, name) for name in ShardReport.__dataclass_fields__}
    with pytest.raises(ShardCorrupt, match="its sidecar says"):
        open_shard(tmp_path / NAME, report=ShardReport(**{**fields, **change}))


@pytest.mark.parametrize(("harm", "complaint"), HOSTILE, ids=[harm.__name__ for harm, _ in HOSTILE])
def test_a_hostile_file_is_refused_before_its_data_is_read(
    harm: Callable[[h5py.File], None], complaint: str, make_content: Any, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    path.write_bytes(build_shard(make_content()))
    with h5py.File(path, "a", libver=("v110", "v110")) as file:
        harm(file)
    with pytest.raises(ShardCorrupt, match=complaint) as caught:
        open_shard(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("ends", [[0, 5, 3], [1, 2, 3], [0, 2, 2], [0, 2**63, 2**64 - 1]])
def test_offsets_that_do_not_rise_to_the_end_are_refused(
    ends: list[int], make_content: Any, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    path.write_bytes(build_shard(make_content(rows=2, codec="jpeg")))
    with h5py.File(path, "a", libver=("v110", "v110")) as file:
        file["offsets/mixed"][...] = np.array(ends, "<u8")
    with open_shard(path) as reader:
        reader.image("content", 0)
        with pytest.raises(ShardCorrupt, match="offsets of its images"):
            reader.image("mixed", 0)


def test_an_image_of_another_size_is_refused_when_read(make_content: Any, tmp_path: Path) -> None:
    from distill.shards.codec import encode_images

    content = make_content(codec="webp")
    wrong = encode_images(np.zeros((3, 8, 8, 3), np.uint8), "webp")
    path = tmp_path / NAME
    path.write_bytes(build_shard(make_content(codec="webp", images={**content.images, "mixed": wrong})))
    with open_shard(path) as reader, pytest.raises(ShardCorrupt, match="8x8 px where 16x16 belongs"):
        reader.image("mixed", 0)
