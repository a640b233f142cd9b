from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest

from distill.errors import DiskFull, DistillError
from distill.shards.images.read import open_images
from distill.shards.images.write import ImageWriter, check_output

RNG = np.random.default_rng(5)
IMAGES = RNG.integers(0, 256, (70, 8, 8, 3), dtype=np.uint8)


def write(path, images=IMAGES, *, weight=None, labels=None, source=None):
    if labels is None:
        labels = {"kind": ["ä", ""] * (len(images) // 2), "age": np.arange(len(images), dtype=np.int16)}
    with ImageWriter(path, images.shape[1]) as writer:
        for image in images:
            writer.add(image)
        return writer.commit(
            names=[f"{i}.png" for i in range(len(images))],
            labels=labels,
            weight=weight,
            source={"kind": "test", **(source or {})},
        )


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "set.h5"
    weight = np.linspace(0.5, 1.5, 70, dtype=np.float32)
    written = write(path, weight=weight)
    assert (written.count, written.resolution, written.bytes) == (70, 8, path.stat().st_size)
    with open_images(path) as images:
        assert len(images) == 70
        assert images.resolution == 8
        assert images.source["kind"] == "test"
        assert images.label_names == ["age", "kind"]
        assert images.names()[69] == "69.png"
        assert images.label("kind").tolist()[:2] == ["ä", ""]
        assert images.label("age").dtype == np.int16
        np.testing.assert_array_equal(images.images([69, 0, 3]), IMAGES[[69, 0, 3]])
        np.testing.assert_array_equal(np.concatenate(list(images.blocks(32))), IMAGES)
        np.testing.assert_array_equal(images.weights(), weight)
        with pytest.raises(DistillError, match="no label 'hair'; its labels are age, kind"):
            images.label("hair")
        with pytest.raises(IndexError):
            images.image(70)


def test_without_weights_all_are_equal(tmp_path):
    write(tmp_path / "set.h5")
    with open_images(tmp_path / "set.h5") as images:
        assert images.weights().tolist() == [1.0] * 70


def test_same_images_same_bytes_and_the_sidecar_names_them(tmp_path):
    first, second = write(tmp_path / "a.h5"), write(tmp_path / "b.h5")
    assert first.sha256 == second.sha256 == hashlib.sha256((tmp_path / "a.h5").read_bytes()).hexdigest()
    assert (tmp_path / "a.h5.sha256").read_text() == f"{first.sha256}  a.h5\n"


def test_plain_h5py_reads_it(tmp_path):
    write(tmp_path / "set.h5")
    with h5py.File(tmp_path / "set.h5") as file:
        np.testing.assert_array_equal(file["images"][...], IMAGES)
        assert file["labels/kind"].asstr()[0] == "ä"
        assert file["images"].chunks == (1, 8, 8, 3)
        assert file["images"].fletcher32
        assert file.attrs["count"] == 70


def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "set.h5"
    write(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="entries for 70 images"):
        write(path, labels={"kind": ["a", "b", "c"]})
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["set.h5", "set.h5.sha256"]


def test_an_image_set_can_be_pickled(tmp_path):
    write(tmp_path / "set.h5")
    with open_images(tmp_path / "set.h5") as images, pickle.loads(pickle.dumps(images)) as copy:
        np.testing.assert_array_equal(copy.image(3), images.image(3))


def test_a_flipped_bit_in_a_pixel_is_found(tmp_path):
    path = tmp_path / "set.h5"
    write(path)
    data = bytearray(path.read_bytes())
    place = data.index(IMAGES[3].tobytes())
    data[place + 5] ^= 1
    path.write_bytes(data)
    with open_images(path) as images:
        images.image(2)
        with pytest.raises(DistillError, match=r"set\.h5: image 3"):
            images.image(3)
        with pytest.raises(DistillError, match=r"set\.h5"):
            images.verify()


def change(path, action):
    with h5py.File(path, "r+") as file:
        action(file)


def add(name, data):
    return lambda file: file.create_dataset(name, data=data)


def replace_images(**kwargs):
    def action(file):
        del file["images"]
        file.create_dataset("images", data=IMAGES, **kwargs)

    return action


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (add("secret", [1]), "'secret'"),
        (lambda file: file.__setitem__("labels/link", h5py.SoftLink("/images")), "link to another place"),
        (
            lambda file: file.__setitem__("labels/link", h5py.ExternalLink("x.h5", "/")),
            "link to another place",
        ),
        (lambda file: file.attrs.__setitem__("count", np.int64(71)), "has no place here"),
        (lambda file: file.attrs.__setitem__("count", np.int64(0)), "counts 0 images"),
        (lambda file: file.attrs.__setitem__("schema_version", np.int64(2)), "schema version is 2"),
        (lambda file: file.attrs.__setitem__("resolution", np.int64(12)), "resolution 12"),
        (lambda file: file.attrs.__setitem__("more", 1), "6 attributes"),
        (lambda file: file.__delitem__("name"), "no data set 'name'"),
        (replace_images(chunks=(1, 8, 8, 3), compression="gzip"), "filters"),
        (replace_images(), "not stored in chunks"),
        (replace_images(chunks=(70, 8, 8, 3), fletcher32=True), "chunks"),
        (lambda file: file.create_group("more"), "'more'"),
    ],
)
def test_another_structure_is_refused_in_one_line(tmp_path, action, message):
    path = tmp_path / "set.h5"
    write(path)
    change(path, action)
    with pytest.raises(DistillError, match=message) as caught:
        open_images(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
def test_no_hdf5_file_is_refused(tmp_path, content):
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    with pytest.raises(DistillError, match=r"x\.h5: not an image set"):
        open_images(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "set.h5"
    write(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DistillError, match=r"set\.h5"):
        open_images(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DistillError, match="no such file"):
        open_images(tmp_path / "none.h5")


@pytest.mark.parametrize("weight", [0, -1, np.nan])
def test_weights_that_cannot_be_drawn_by_are_not_written(tmp_path, weight):
    with pytest.raises(ValueError, match="positive"):
        write(tmp_path / "set.h5", weight=np.full(70, weight, np.float32))
    assert list(tmp_path.iterdir()) == []


def test_output_is_checked_before_the_work(tmp_path):
    (tmp_path / "old.h5").touch()
    check = {"overwrite": False, "images": 10, "resolution": 64}
    with pytest.raises(DistillError, match="no such folder"):
        check_output(tmp_path / "none" / "set.h5", **check)
    with pytest.raises(DistillError, match="is a folder"):
        check_output(tmp_path, **check)
    with pytest.raises(DistillError, match="--overwrite"):
        check_output(tmp_path / "old.h5", **check)
    check_output(tmp_path / "old.h5", overwrite=True, images=10, resolution=64)
    with pytest.raises(DiskFull, match="free some space"):
        check_output(tmp_path / "big.h5", overwrite=False, images=10**12, resolution=1024)


FILE_LIMIT = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from distill.errors import DistillError
from distill.shards.images.write import ImageWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with ImageWriter(Path(sys.argv[1]), 64) as writer:
        for _ in range(200):
            writer.add(np.ones((64, 64, 3), np.uint8))
        writer.commit(names=["x"] * 200, labels={}, weight=None, source={})
except DistillError as error:
    print("refused:", error)
"""


def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path):
    path = tmp_path / "set.h5"
    result = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert f"refused: {path}: cannot be written (File too large)" in result.stdout
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []
