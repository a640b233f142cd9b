"""What goes into a shard comes out of it, and the same content gives the same bytes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distill.shards.codec import decode_image, encode_images
from distill.shards.read import open_shard
from distill.shards.write import build_shard


@pytest.fixture(params=["raw", "jpeg", "webp"])
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_images_and_columns_come_back(make_content: Any, tmp_path: Path, codec: str) -> None:
    content = make_content(7, codec=codec)
    path = tmp_path / "shard-00007.h5"
    path.write_bytes(build_shard(content))
    with open_shard(path) as reader:
        assert (reader.index, reader.rows, reader.roles) == (7, 3, ("content", "style", "mixed"))
        assert reader.recipe["task"] == "style-mix"
        assert reader.attrs["tried"] == 6
        assert reader.attrs["dropped"] == {"ssim.nothing-changed": 3}
        for role, images in content.images.items():
            for row in range(3):
                error = np.abs(reader.image(role, row).astype(int) - images[row])
                assert error.max() <= (12 if codec == "jpeg" else 0)
        for name, values in content.columns.items():
            np.testing.assert_array_equal(reader.column(name), values.astype(reader.column(name).dtype))
            np.testing.assert_array_equal(reader.value(name, 2), reader.column(name)[2])
        assert sorted(reader.columns()) == sorted(content.columns)
        assert sorted(reader.tried_columns()) == sorted(content.tried)
        np.testing.assert_array_equal(reader.tried("reason"), content.tried["reason"])


def test_columns_have_the_documented_types(make_content: Any, tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    path.write_bytes(build_shard(make_content()))
    with open_shard(path) as reader:
        types = {name: reader.column(name).dtype.str for name in reader.columns()}
    assert types == {
        "candidate": "<i8",
        "latents/content": "<f2",
        "latents/style": "<f4",
        "params/crossover": "<i2",
        "scores/ssim": "<f4",
        "scores/face.confidence": "<f4",
        "landmarks/content": "<f4",
        "quads/content": "<f4",
    }


def test_the_same_content_gives_the_same_bytes(make_content: Any, codec: str) -> None:
    first = build_shard(make_content(codec=codec), threads=1)
    content = make_content(codec=codec)
    shuffled = dict(reversed(content.columns.items()))
    second = build_shard(make_content(codec=codec, columns=shuffled), threads=4)
    assert first == second


def test_another_process_gives_the_same_bytes(make_content: Any, tmp_path: Path) -> None:
    content = make_content()
    stored = tmp_path / "content.npz"
    np.savez(
        stored,
        **{f"i:{k}": v for k, v in content.images.items()},
        **{f"c:{k}": v for k, v in content.columns.items()},
        **{f"t:{k}": v for k, v in content.tried.items()},
    )
    script = f"""
import hashlib, time, numpy as np
from distill.shards.layout import ShardContent
from distill.shards.write import build_shard
time.sleep(1.1)
data = np.load({str(stored)!r})
part = lambda p: {{k[2:]: data[k] for k in data.files if k.startswith(p)}}
content = ShardContent(index=0, digest={content.digest!r}, recipe_json={content.recipe_json!r}, codec="raw",
    resolution=16, images=part("i:"), columns=part("c:"), tried=part("t:"), reasons={content.reasons!r})
print(hashlib.sha256(build_shard(content)).hexdigest())
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == hashlib.sha256(build_shard(content)).hexdigest()


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_images_encoded_before_give_the_same_shard(make_content: Any, codec: str) -> None:
    content = make_content(codec=codec)
    encoded = {role: encode_images(images, codec) for role, images in content.images.items()}
    assert build_shard(make_content(codec=codec, images=encoded)) == build_shard(content)


def test_one_row_and_columns_of_no_length_work(make_content: Any, tmp_path: Path) -> None:
    content = make_content(rows=1)
    columns = {**content.columns, "scores/none": np.zeros((1, 0), np.float32)}
    path = tmp_path / "shard.h5"
    path.write_bytes(build_shard(make_content(rows=1, columns=columns)))
    with open_shard(path) as reader:
        assert reader.column("scores/none").shape == (1, 0)
        assert reader.image("mixed", 0).shape == (16, 16, 3)


def test_every_data_set_has_a_checksum_and_no_date(make_content: Any, tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    path.write_bytes(build_shard(make_content(codec="jpeg")))
    found = []

    def look(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(name)
            assert item.fletcher32, name
            assert not item.id.get_create_plist().get_obj_track_times()

    with h5py.File(path) as file:
        file.visititems(look)
    assert len(found) == 17


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"codec": "png"}, "no codec"),
        ({"digest": "xyz"}, "digest"),
        ({"reasons": ["accepted"]}, "beyond the 1 reasons"),
        ({"reasons": ["ssim.nothing-changed", "accepted"]}, "the first 'accepted'"),
        ({"resolution": 32}, "uint8"),
        ({"recipe_json": "[]"}, "not a JSON object"),
        ({"images": {"a/b": np.zeros((3, 16, 16, 3), np.uint8)}}, "role names"),
        ({"images": {"content": np.zeros((2, 16, 16, 3), np.uint8)}}, "2 images, not 3"),
    ],
)
def test_content_outside_the_layout_is_refused(
    make_content: Any, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        build_shard(make_content(**changes))


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("candidate", np.arange(3), "the same"),
        ("secret", np.arange(3), "no place"),
        ("params/../x", np.arange(3), "no place"),
        ("params/names", np.array(["a", "b", "c"]), "kind does not allow"),
        ("params/one", np.float32(1), "1 rows, not 3"),
        ("scores/short", np.zeros(2), "2 rows, not 3"),
        ("landmarks/content", np.zeros((3, 5, 2)), "kind does not allow"),
        ("latents/content", np.zeros((3, 4, 6)), "kind does not allow"),
        ("tried/scores/x", np.zeros(3), "no place"),
    ],
)
def test_a_column_outside_the_layout_is_refused(
    make_content: Any, name: str, values: np.ndarray, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        build_shard(make_content(columns={**make_content().columns, name: values}))


def test_rows_and_roles_outside_the_shard_are_refused(make_content: Any, tmp_path: Path) -> None:
    path = tmp_path / "shard.h5"
    path.write_bytes(build_shard(make_content()))
    with open_shard(path) as reader:
        for row in (-1, 3):
            with pytest.raises(IndexError, match="rows 0 to 2"):
                reader.image("content", row)
        with pytest.raises(KeyError, match="content, style, mixed"):
            reader.image("target", 0)
        with pytest.raises(KeyError, match="no column"):
            reader.column("latents/mixed")


@pytest.mark.parametrize("codec_name", ["jpeg", "webp"])
def test_a_small_file_that_claims_a_huge_image_is_refused_by_its_header(codec_name: str) -> None:
    data = bytearray(encode_images(np.zeros((1, 16, 16, 3), np.uint8), codec_name)[0])
    if codec_name == "webp":
        data[21:25] = (0x3FFF | 0x3FFF << 14).to_bytes(4, "little")
    else:
        start = data.index(b"\xff\xc0") + 5
        data[start : start + 4] = b"\xfe\x00\xfe\x00"
    with pytest.raises(ValueError, match="px where 16x16 belongs"):
        decode_image(bytes(data), codec_name, sides=(16, 16))


@pytest.mark.parametrize("codec_name", ["raw", "jpeg", "webp"])
@pytest.mark.parametrize("data", [b"", b"RIFF", b"\xff\xd8\xff", b"GIF89a" + bytes(40)])
def test_bytes_that_are_no_image_are_refused(codec_name: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_image(data, codec_name, sides=(16, 16))


def test_bytes_do_not_depend_on_when_python_lets_go_of_a_data_set(
    make_content: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profiler or debugger that holds on to frames keeps data sets open for longer."""
    alone = build_shard(make_content())
    kept: list[h5py.Dataset] = []
    create = h5py.Group.create_dataset

    def create_and_keep(group: h5py.Group, *args: Any, **options: Any) -> h5py.Dataset:
        kept.append(create(group, *args, **options))
        return kept[-1]

    monkeypatch.setattr(h5py.Group, "create_dataset", create_and_keep)
    assert build_shard(make_content()) == alone
    assert kept
