"""How files are opened and written: regular ones alone, whole or not at all, whatever the file system offers."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from data_sets import make_data_set

from distill import files
from distill.attributes.scorer_files import read_scorer
from distill.directions.file import read_direction
from distill.directions.foreign import read_array
from distill.errors import DistillError, FolderGone
from distill.evaluation.card_section import with_section
from distill.faces.decode import photo_size, read_photo
from distill.generation.cluster_settings import scheduler_address
from distill.networks.face_api import load_face_api
from distill.networks.onnx_network import read_onnx_bytes
from distill.networks.toml_file import read_toml
from distill.shards.folder import read_json, read_manifest, read_report
from distill.shards.images.labels import read_labels
from distill.shards.read import open_shard
from distill.training.checkpoint import load_checkpoint
from distill.training.curves import read_curves
from distill.weights.checkpoint import read_checkpoint
from distill.weights.state_files import read_state

READERS: dict[str, Callable[[Path], Any]] = {
    "card": lambda path: with_section(path, "text", "assessment"),
    "checkpoint of a teacher": read_checkpoint,
    "cluster": lambda path: scheduler_address(str(path)),
    "csv": read_labels,
    "curves": read_curves,
    "direction": read_direction,
    "face-api": load_face_api,
    "json": read_json,
    "onnx": read_onnx_bytes,
    "photo": read_photo,
    "published direction": read_array,
    "scorer": read_scorer,
    "shard": open_shard,
    "size of a photo": photo_size,
    "state": read_state,
    "toml": read_toml,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_refused_at_once_by_every_reader(reader: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with pytest.raises(DistillError, match=r"pipe\.json.*\bnot a file") as refusal:
        READERS[reader](pipe)
    assert "\n" not in str(refusal.value)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (os.mkfifo, "a named pipe"),
        (Path.mkdir, "a folder"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
)
def test_what_is_no_file_is_named(
    make: Callable[[Path], None], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    make(Path("x"))
    for refused in (files.open_regular, files.read_regular, files.check_regular, files.file_sha256):
        with pytest.raises(OSError, match=f"{what}, not a file") as refusal:
            refused(Path("x"))
        assert refusal.value.filename == "x"


def test_a_file_that_became_a_pipe_meanwhile_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "x")
    monkeypatch.setattr(files, "check_regular", lambda path: 0)
    with pytest.raises(OSError, match="a named pipe, not a file"):
        files.open_regular(tmp_path / "x")


def test_a_folder_of_pipes_is_no_data_set_and_no_run(tmp_path: Path) -> None:
    for name in ("shard-00000.json", "manifest.json", "recipe.json", "checkpoint.json"):
        os.mkfifo(tmp_path / name)
    assert read_report(tmp_path, 0) is None
    with pytest.raises(DistillError, match=r"checkpoint\.json: a named pipe, not a file"):
        load_checkpoint(tmp_path)
    with pytest.raises(DistillError, match=r"no recipe\.json"):
        read_manifest(tmp_path)


def test_a_shard_that_somebody_has_locked_is_read(tmp_path: Path) -> None:
    """As where a file system has no locks: none is asked for."""
    make_data_set(tmp_path, shards=1)
    shard = tmp_path / "shard-00000.h5"
    with shard.open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with open_shard(shard) as reader:
            assert reader.rows > 0


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_files_are_written_where_nothing_can_be_synced(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_sync(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", no_sync)
    files.atomic_write(tmp_path / "x", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"content"


def test_another_fault_of_the_disk_names_the_file_and_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"old")

    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error") as error:
        files.atomic_write(tmp_path / "x", b"new")
    assert error.value.filename == str(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_name_is_taken_once_without_hard_links(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "mine").write_text(json.dumps({"pid": 1}))
    assert files.link_new(tmp_path / "mine", tmp_path / "lock")
    assert not files.link_new(tmp_path / "mine", tmp_path / "lock")
    assert json.loads((tmp_path / "lock").read_text()) == {"pid": 1}


def test_a_pipe_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(OSError, match="a named pipe, not a file"):
        files.atomic_write(tmp_path / "x", b"content")
    with pytest.raises(DistillError, match="a named pipe, not a file"):
        files.check_file(tmp_path / "x", overwrite=True)
    assert (tmp_path / "x").is_fifo()


@pytest.mark.parametrize("write", [files.atomic_write, files.append])
def test_a_folder_that_is_gone_ends_the_work(write: Callable[[Path, bytes], None], tmp_path: Path) -> None:
    with pytest.raises(FolderGone, match="gone: no such folder") as error:
        write(tmp_path / "gone" / "x", b"content")
    assert (error.value.fatal, error.value.exit_code) == (True, 2)


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nothing")
    for check in (files.check_folder, files.make_folder, partial(files.check_file, overwrite=True)):
        with pytest.raises(
            DistillError, match=r"out is a link to .*nothing, which does not exist: create it"
        ):
            check(tmp_path / "out")


def test_folders_that_stay_empty_go_again(tmp_path: Path) -> None:
    with files.made_folder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with files.made_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "x").touch()
    with files.made_folder(tmp_path / "a"):
        pass
    assert (tmp_path / "a" / "b" / "x").exists()


def test_a_home_that_nobody_has_stays_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert files.user_path("~/x") == Path("/home/me/x")
    assert files.user_path("~nosuchuser/x") == Path("~nosuchuser/x")
