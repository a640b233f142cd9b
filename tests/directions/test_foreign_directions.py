"""Published arrays are read in their shapes, and nothing in their files runs."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from execution_watch import watching
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
    """Runs code in a reader that unpickles it: what is written with it must be refused."""

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
        (objects_npy, "not an array of numbers"),
        (two_arrays, r"has 2 \(a, b\)"),
        (torch_pickle, "x"),
        (lambda: pickle.dumps(Bomb()), "are read"),
        (large_archive, "unpacks to more than"),
        (lambda: b"", "the file is empty"),
        (lambda: b"\x93NUMPY\x01\x00", "not an array of numbers"),
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


def npy(header, data=bytes(24), version=1):
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode() + data


def archive(member, *, name="a.npy", packed=zipfile.ZIP_DEFLATED, change=None):
    """A zip archive; `change` sees its bytes, and where its directory begins."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as file:
        file.writestr(name, member)
    data = bytearray(buffer.getvalue())
    if change:
        change(data, data.rindex(b"PK\x01\x02"))
    return bytes(data)


def saved_npy(array=ROW):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def damaged(data, directory):
    data[80] ^= 0xFF


def encrypted(data, directory):
    data[6] |= 1
    data[directory + 8] |= 1


def another_method(data, directory):
    data[8] = data[directory + 10] = 97


def longer(data, directory):
    data[directory + 24] += 1


HEAD = "{'descr': '<f4', 'fortran_order': False, 'shape': "
LONG_ROW = saved_npy(np.random.default_rng(0).standard_normal(600))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: npy(HEAD + "(6,"), "its header names something else"),
        (lambda: npy(HEAD + "(6L"), "its header names something else"),
        (lambda: npy(HEAD + "(6,), }")[:40], "cut short"),
        (lambda: npy(HEAD + "(" + "9," * 90 + ")}"), "its shape is 9,9"),
        (lambda: npy(HEAD + "(0, 4611686018427387904, 4611686018427387904)}"), "its shape is 0, 46"),
        (lambda: npy(HEAD + "(7,)}"), "truncated: .7. needs 28 bytes, 24 are left"),
        (lambda: npy(HEAD + "(6 6,)}"), "it has no valid shape"),
        (lambda: npy("__import__('os').system('x')"), "its header names something else"),
        (lambda: npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}"), "something else"),
        (lambda: npy("x" * 20_000), "too long"),
        (lambda: npy(HEAD + "(6,)}", version=9), "not a .npy of version 1 to 3"),
        (lambda: archive(b"hello"), "not a .npy of version 1 to 3"),
        (lambda: archive(LONG_ROW, change=damaged), "damaged"),
        (lambda: archive(LONG_ROW, change=encrypted), "refused zip member a.npy: encrypted"),
        (lambda: archive(LONG_ROW, change=another_method), "packed by method 97"),
        (lambda: archive(LONG_ROW, packed=zipfile.ZIP_BZIP2), "packed by method 12"),
        (lambda: archive(LONG_ROW, packed=zipfile.ZIP_LZMA), "packed by method 14"),
        (lambda: archive(LONG_ROW, change=longer), "does not have the"),
        (lambda: archive(b"", name="a\x1b[2J.npy"), "not a .npy"),
    ],
)
def test_hostile_arrays_are_refused_in_one_line(tmp_path, data, words):
    path = tmp_path / "x.npy"
    path.write_bytes(data())
    events = []
    with pytest.raises(DistillError, match=words) as caught, watching(events):
        read_array(path)
    assert str(caught.value).startswith(str(path))
    assert not {"\n", "\x1b"} & set(str(caught.value))
    assert events == []


@pytest.mark.parametrize("kind", ["<f2", ">f4", "<f8", "<i4", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_kind_of_number_and_order_of_axes(tmp_path, kind, order):
    array = np.asarray(np.arange(24).reshape(4, 6), dtype=kind, order=order)
    np.save(tmp_path / "d.npy", array)
    np.testing.assert_array_equal(read_array(tmp_path / "d.npy"), array)


def test_the_header_of_old_python_is_read(tmp_path):
    (tmp_path / "d.npy").write_bytes(npy(HEAD + "(6L,), }     \n", ROW.tobytes()))
    np.testing.assert_array_equal(read_array(tmp_path / "d.npy"), ROW)


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
