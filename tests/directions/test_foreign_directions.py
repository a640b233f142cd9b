"""Published arrays are read in their shapes, and nothing in their files runs."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from distill.directions.foreign import read_array, rows_of
from distill.errors import DistillError

ROW = np.arange(1, 7, dtype=np.float32)
WRITERS = {
    "d.npy": lambda path: np.save(path, ROW),
    "d.npz": lambda path: np.savez(path, direction=ROW),
    "packed.npz": lambda path: np.savez_compressed(path, direction=ROW),
    "tensor.pt": lambda path: torch.save(torch.from_numpy(ROW), path),
    "named.pt": lambda path: torch.save({"gender": torch.from_numpy(ROW)}, path),
    "old.pt": lambda path: torch.save(torch.from_numpy(ROW), path, _use_new_zipfile_serialization=False),
    "d.safetensors": lambda path: save_file({"gender": ROW}, path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_its_array(tmp_path, name):
    WRITERS[name](tmp_path / name)
    np.testing.assert_array_equal(read_array(tmp_path / name), ROW)


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


def objects_npy():
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def two_arrays():
    buffer = io.BytesIO()
    np.savez(buffer, a=ROW, b=ROW)
    return buffer.getvalue()


def torch_pickle():
    buffer = io.BytesIO()
    torch.save({"x": Bomb()}, buffer)
    return buffer.getvalue()


def large_archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(65 << 20))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (objects_npy, "no array of numbers"),
        (two_arrays, r"has 2 \(a, b\)"),
        (torch_pickle, "x"),
        (lambda: pickle.dumps(Bomb()), "are read"),
        (large_archive, "unpacks to more than"),
        (lambda: b"", "the file is empty"),
        (lambda: b"\x93NUMPY\x01\x00", "no array of numbers"),
        (lambda: b"PK\x03\x04 and no more", "x"),
    ],
    ids=["objects", "two", "code", "pickle", "bomb", "empty", "cut", "half-zip"],
)
def test_other_files_are_refused_in_one_line(tmp_path, data, words):
    path = tmp_path / "x.npy"
    path.write_bytes(data())
    with pytest.raises(DistillError, match=words) as caught:
        read_array(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(6,), (1, 6), (1, 1, 6)])
def test_one_row_goes_to_the_chosen_layers(shape):
    rows = rows_of(ROW.reshape(shape), num_ws=4, w_dim=6, layers=(1, 2))
    np.testing.assert_array_equal(rows, [np.zeros(6), ROW, ROW, np.zeros(6)])


def test_rows_stay_with_their_layers():
    array = np.arange(24.0).reshape(4, 6)
    np.testing.assert_array_equal(rows_of(array, num_ws=4, w_dim=6, layers=(0, 3)), array)
    np.testing.assert_array_equal(rows_of(array[None], num_ws=4, w_dim=6, layers=(2, 3))[2:], array[2:])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones(512), r"shape \[512\], this generator takes \[6\]"),
        (np.ones((18, 6)), r"shape \[18, 6\], this generator takes \[6\], \[1, 6\] or \[4, 6\]"),
        (np.array(["a"] * 6), "not of numbers"),
        (np.full(6, np.nan), "finite numbers"),
        (np.zeros(6), "not all 0"),
    ],
    ids=["width", "layers", "text", "nan", "zeros"],
)
def test_what_does_not_fit_is_refused_with_both_numbers(array, words):
    with pytest.raises(DistillError, match=words):
        rows_of(array, num_ws=4, w_dim=6, layers=(0, 3))
