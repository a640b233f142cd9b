"""Pictures get names that replace nothing of anyone else, and what fails leaves nothing behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distill.errors import DistillError, FolderGone
from distill.faces.outputs import OutputFolder

PIXEL = b"\x89PNG\r\n\x1a\n"


def run(folder, *photos, command="align", sheet=False):
    """Write a picture of each photo; return their names and how many were replaced."""
    outputs = OutputFolder(folder, command)
    with outputs:
        stems = outputs.stems([Path(photo) for photo in photos], sheet=sheet)
        for stem in stems:
            outputs.write(PIXEL, stem)
    return stems, outputs.replaced


def test_no_two_photos_share_a_name(tmp_path):
    photos = ("x/a.jpg", "y/a.png", "A.jpeg", "a-2.jpg", "b.jpg")
    assert run(tmp_path / "out", *photos)[0] == ["a", "a-2", "A-3", "a-2-2", "b"]


def test_a_later_run_replaces_only_pictures_of_the_same_photos_and_counts_them(tmp_path):
    out = tmp_path / "out"
    assert run(out, "x/a.jpg", "y/a.jpg") == (["a", "a-2"], 0)
    assert run(out, "z/a.jpg", "y/a.jpg", "b.jpg") == (["a-3", "a-2", "b"], 1)
    assert run(out, "x/a.jpg", command="translate", sheet=True) == (["a"], 1)


def test_pictures_of_others_keep_their_names(tmp_path):
    (tmp_path / "pasted").mkdir()
    for name in ("me.png", "group_02.png", "pasted/you.png"):
        (tmp_path / name).write_bytes(b"mine")
    assert run(tmp_path, "me.jpg", "group.jpg", "you.jpg")[0] == ["me-2", "group-2", "you-2"]
    assert (tmp_path / "me.png").read_bytes() == b"mine"
    (tmp_path / "sheet.png").write_bytes(b"mine")
    with pytest.raises(DistillError, match=r"sheet\.png is another picture: choose another --out"):
        run(tmp_path, "me.jpg", sheet=True)


def test_a_very_long_name_is_cut(tmp_path):
    ((stem,), _) = run(tmp_path / "out", "ü" * 125 + ".jpg")
    assert stem == "ü" * 100


def test_folders_are_made_when_the_first_picture_is(tmp_path):
    out = tmp_path / "not" / "there" / "yet"
    run(out)
    assert list(tmp_path.iterdir()) == []
    run(out, "a.jpg")
    assert (out / "a.png").exists()


def test_what_fails_before_the_first_picture_leaves_nothing(tmp_path, monkeypatch):
    write = "distill.faces.outputs.encode_png"
    monkeypatch.setattr(write, lambda pixels, mark: (_ for _ in ()).throw(DistillError("no space")))
    for out in (tmp_path / "not" / "there", tmp_path):
        outputs = OutputFolder(out, "align")
        outputs.stems([Path("a.jpg")])
        with pytest.raises(DistillError, match="no space"), outputs:
            outputs.write(None, "a", below="compare")
        assert list(tmp_path.iterdir()) == []


def test_a_place_that_can_be_no_folder_is_refused_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DistillError, match="file is a file, but a folder is needed"):
            OutputFolder(out, "align")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(DistillError, match="no permission to write there"):
        OutputFolder(tmp_path / "new", "align")


def test_a_stamp_that_is_broken_counts_as_none(tmp_path):
    for text in ("", "[]", "{}", '{"made_by": "align", "photos": 3}'):
        (tmp_path / ".distill-outputs.json").write_text(text)
        (tmp_path / "a.png").write_bytes(b"mine")
        assert run(tmp_path, "a.jpg")[0] == ["a-2"]
        (tmp_path / "a-2.png").unlink()


def test_a_folder_that_is_removed_meanwhile_ends_the_run(tmp_path):
    with OutputFolder(tmp_path / "out", "translate") as outputs:
        outputs.write(PIXEL, "a")
        shutil.rmtree(tmp_path / "out")
        with pytest.raises(FolderGone, match="out: no such folder"):
            outputs.write(PIXEL, "b")
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_into_the_folder_is_refused_while_the_first_writes(tmp_path):
    out = tmp_path / "out"
    with OutputFolder(out, "translate") as outputs:
        (first,) = outputs.stems([Path("x/me.jpg")])
        with pytest.raises(DistillError, match="out is in use by pid"):
            run(out, "y/me.jpg")
        outputs.write(PIXEL, first)
    assert run(out, "y/me.jpg")[0] == ["me-2"]
