"""Which files are photos: links, folders that cannot be read, folders that hold none, pictures of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distill.errors import DistillError
from distill.faces.align_photos import AlignRequest, align_photos
from distill.faces.find import find_photos
from distill.faces.outputs import OutputFolder
from distill.faces.photo_results import PhotoResults, count_reasons

PIXEL = b"\x89PNG\r\n\x1a\n"


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(found, folder):
    return [str(path.relative_to(folder)) for path in found.files]


def test_folders_are_walked_in_order_each_file_once(tmp_path):
    touch(tmp_path, "b.jpg", "a/2.jpg", "a/1.jpg", ".hidden.jpg", ".Trash-0/x.jpg", "out/old.png")
    found = find_photos([tmp_path, tmp_path / "a", tmp_path / "a" / "1.jpg"], tmp_path / "out")
    assert names(found, tmp_path) == ["b.jpg", "a/1.jpg", "a/2.jpg"]
    assert found.left_out == []


@pytest.mark.parametrize("folder", ["@eaDir", "#recycle", ".Trash-1000", "lost+found", "__MACOSX"])
def test_folders_of_storage_boxes_and_systems_hold_no_photos(tmp_path, folder):
    touch(tmp_path, "a.jpg", f"{folder}/a.jpg", f"below/{folder}/a.jpg")
    assert names(find_photos([tmp_path], tmp_path / "out"), tmp_path) == ["a.jpg"]


def test_linked_folders_are_entered_once_and_loops_end(tmp_path):
    touch(tmp_path, "photos/a.jpg", "elsewhere/b.jpg", "elsewhere/more/c.jpg")
    (tmp_path / "photos" / "album").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "again").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path / "photos")
    (tmp_path / "elsewhere" / "self").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "linked").symlink_to(tmp_path / "photos")
    for source in ("photos", "linked"):
        found = find_photos([tmp_path / source], tmp_path / "out")
        assert sorted(path.name for path in found.files) == ["a.jpg", "b.jpg", "c.jpg"]


def test_links_that_lead_nowhere_are_photos_to_skip(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "loop").symlink_to(photos / "loop")
    (photos / "gone").symlink_to(photos / "nothing")
    out = tmp_path / "out"
    results = align_photos(AlignRequest(photos=(photos,), out=out), find_photos([photos], out)).results
    assert count_reasons(results) == {"unreadable": 2}


@pytest.fixture
def locked(monkeypatch):
    """Folders called locked cannot be listed, as without permission (root may read everything)."""
    scandir = os.scandir

    def refusing(folder):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)


def test_a_folder_that_cannot_be_read_is_skipped_and_counted(tmp_path, locked):
    touch(tmp_path, "a.jpg", "locked/b.jpg", "more/c.jpg")
    found = find_photos([tmp_path], tmp_path / "out")
    assert names(found, tmp_path) == ["a.jpg", "more/c.jpg"]
    (skip,) = found.left_out
    assert (skip.reason, skip.detail, skip.photo) == (
        "unreadable folder",
        "Permission denied",
        tmp_path / "locked",
    )
    with pytest.raises(DistillError, match="locked: Permission denied"):
        found.complete()
    with pytest.raises(DistillError, match="locked: Permission denied"):
        find_photos([tmp_path / "locked"], tmp_path / "out")


def made(folder, command, *stems):
    """A folder with pictures of these photos, as a command leaves it."""
    outputs = OutputFolder(folder, command)
    with outputs:
        outputs.stems([Path(f"{stem}.jpg") for stem in stems], sheet=command == "translate")
        for stem in stems:
            outputs.write(PIXEL, stem)
            if command == "translate":
                outputs.write(PIXEL, f"{stem}_01", below="compare")
                outputs.write(PIXEL, stem, below="pasted")
        if command == "translate":
            outputs.write(PIXEL, "sheet")
    return folder


def test_pictures_of_earlier_runs_are_left_out_and_told(tmp_path):
    touch(tmp_path, "a.jpg", "young/mine.png", "young/compare/mine.jpg")
    made(tmp_path / "young", "translate", "a", "b")
    found = find_photos([tmp_path], tmp_path / "out")
    assert names(found, tmp_path) == ["a.jpg", "young/mine.png", "young/compare/mine.jpg"]
    assert [skip.detail.split()[0] for skip in found.left_out] == ["3", "2", "2"]
    assert found.left_out[0].detail == "3 files made by distill translate"
    told = list(PhotoResults(photos=3, results=found.left_out, landmarks_sha256="").lines(all_faces=False))
    assert told[0] == "skipped 7: own outputs 7", "the files of the three lines below it"
    made(tmp_path / "only" / "young", "translate", "a")
    with pytest.raises(DistillError, match=r"but those left out: .*made by distill translate"):
        find_photos([tmp_path / "only"], tmp_path / "out")


def test_faces_that_were_cut_out_go_on_where_their_folder_is_named(tmp_path):
    faces, young = made(tmp_path / "faces", "align", "a"), made(tmp_path / "young", "translate", "a")
    assert names(find_photos([faces], tmp_path / "out"), faces) == ["a.png"]
    assert names(find_photos([young], tmp_path / "out"), young) == ["a.png"]


def test_sources_that_cannot_be_meant_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    photo = tmp_path / "a.PNG"
    photo.touch()
    for sources, out, message in [
        ([tmp_path / "nope"], "out", "nope: no such file"),
        ([tmp_path / "empty"], "out", "no files"),
        ([tmp_path], ".", "same folder"),
        ([photo], ".", "could be replaced"),
    ]:
        with pytest.raises(DistillError, match=message):
            find_photos(sources, tmp_path / out)
