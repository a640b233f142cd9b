from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from image_sets import files_of, read_image_set
from PIL import Image

from distill.errors import DistillError, Interrupted
from distill.shards.images.picture import PictureSettings, find_pictures, is_grey, prepare_picture
from distill.shards.images.prepare import prepare
from distill.shards.images.prepare_plan import PrepareImagesRequest, find_source, plan_preparation
from distill.shards.status import folder_status

ASTRONAUT = Path(__file__).parents[2] / "golden" / "alignment" / "astronaut.png"
RNG = np.random.default_rng(1)


def picture(path, size=(40, 30), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = () if mode == "L" else (3,)
    pixels = RNG.integers(0, 256, (size[1], size[0], *channels), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    for name in ("b.png", "a.png", "sub/c.jpg", "Z.webp"):
        picture(folder / name)
    picture(folder / "grey.png", mode="L")
    (folder / "notes.txt").write_text("x")
    return folder


def run(folder, out, *, most_skips=0, stop=None, resolution=16, progress=lambda pictures: None, **request):
    wanted = PrepareImagesRequest(
        folder=folder, out=out, resolution=resolution, max_skips=str(most_skips), **{"workers": 1, **request}
    )
    plan = plan_preparation(wanted, find_source(wanted))
    return prepare(plan, stop=stop or threading.Event(), progress=progress)


def test_pictures_are_written_in_the_order_of_their_names(folder, tmp_path):
    result = run(folder, tmp_path / "set")
    found = read_image_set(tmp_path / "set")
    assert found["name"].tolist() == ["Z.webp", "a.png", "b.png", "grey.png", "sub/c.jpg"]
    expected = prepare_picture(("b.png", folder / "b.png"), PictureSettings(resolution=16))
    np.testing.assert_array_equal(found["images"][2], expected.image)
    assert (result.tally.grey, result.dropped) == (1, {})


@pytest.mark.cluster
def test_workers_change_nothing(folder, tmp_path):
    run(folder, tmp_path / "one")
    run(folder, tmp_path / "two", workers=2)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_a_stopped_set_goes_on_to_the_same_bytes_and_counts_all_skips(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.shards.images.image_set.rows_per_shard", lambda *_, **__: 2)
    (folder / "aa.png").touch()
    (folder / "s.png").touch()
    stop = threading.Event()
    taken = []

    def progress(pictures):
        taken.append(pictures)
        if sum(taken) == 5:
            stop.set()

    with pytest.raises(Interrupted, match="1 shard done; the same command goes on from there"):
        run(folder, tmp_path / "set", most_skips=2, stop=stop, progress=progress)
    result = run(folder, tmp_path / "set", most_skips=2)
    assert result.to_json()["kept_before"] == 2
    assert result.dropped == {"not an image": 2}
    run(folder, tmp_path / "whole", most_skips=2)
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole")


def test_skips_of_an_earlier_run_count(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.shards.images.image_set.rows_per_shard", lambda *_, **__: 2)
    (folder / "aa.png").touch()
    (folder / "t.png").touch()
    run(folder, tmp_path / "set", most_skips=2)
    for name in ("manifest.json", "shard-00002.h5"):
        (tmp_path / "set" / name).unlink()
    with pytest.raises(DistillError, match=r"skipped 2 of 7 pictures, only 1 allowed .*not an image 2"):
        run(folder, tmp_path / "set", most_skips=1)


def test_labels_have_one_type_over_all_shards(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.shards.images.image_set.rows_per_shard", lambda *_, **__: 2)
    table = tmp_path / "labels.csv"
    table.write_text(
        "file,age,shots,note\na.png,3,1,7\nb.png,4,1,8\ngrey.png,5.5,1,x\nZ.webp,1,1,9\nc.jpg,,1,\n"
    )
    run(folder, tmp_path / "set", labels=table)
    found = read_image_set(tmp_path / "set")
    np.testing.assert_array_equal(found["labels/age"], np.array([1, 3, 4, 5.5, np.nan], np.float32))
    assert found["labels/shots"].dtype == np.int16
    assert found["labels/note"].tolist() == ["9", "7", "8", "x", ""]
    table.write_text(f"file,note\na.png,{'x' * 5000}\n")
    with pytest.raises(DistillError, match="label 'note': a text of 5000 bytes, at most 4096"):
        run(folder, tmp_path / "long", labels=table)


def test_grey_pictures_are_left_out_when_asked(folder, tmp_path):
    result = run(folder, tmp_path / "set", drop_grey=True)
    assert "grey.png" not in read_image_set(tmp_path / "set")["name"].tolist()
    assert result.dropped == {"grey": 1}
    assert result.written.rows == 4


def test_the_middle_square_is_taken(tmp_path):
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = (200, 100, 50)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    outcome = prepare_picture(("wide.png", tmp_path / "wide.png"), PictureSettings(resolution=8))
    assert np.unique(outcome.image.reshape(-1, 3), axis=0).tolist() == [[200, 100, 50]]
    assert not outcome.enlarged
    assert prepare_picture(("wide.png", tmp_path / "wide.png"), PictureSettings(resolution=32)).enlarged


def test_a_face_is_cut_out_with_its_eyes_on_one_height():
    from distill.faces.alignment import framing_error
    from distill.faces.detection import FaceDetector

    outcome = prepare_picture(("me", ASTRONAUT), PictureSettings(resolution=128, align="ffhq"))
    faces = FaceDetector()(outcome.image)
    assert len(faces) == 1
    assert framing_error(faces[0].landmarks, 128) < 0.05


def test_every_skip_has_its_reason(folder, tmp_path):
    (folder / "empty.png").touch()
    (folder / "cut.jpg").write_bytes((folder / "sub/c.jpg").read_bytes()[:300])
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    result = run(folder, tmp_path / "set", most_skips=3)
    assert result.dropped == {"animated": 1, "damaged": 1, "not an image": 1}
    assert [skip.name for skip in result.tally.skips] == ["cut.jpg", "empty.png", "moving.gif"]
    assert folder_status(tmp_path / "set").dropped == result.dropped
    assert result.written.rows == 5


def test_too_many_skips_end_it_and_nothing_is_written(folder, tmp_path):
    out = tmp_path / "out" / "set"
    out.parent.mkdir()
    with pytest.raises(
        DistillError, match=r"skipped 1 of 5 pictures, only 0 .*no face 1; the first is Z\.webp"
    ):
        run(folder, out, align="ffhq")
    assert list(out.parent.iterdir()) == []


def test_nothing_left_is_an_error(tmp_path):
    picture(tmp_path / "in" / "grey.png", mode="L")
    with pytest.raises(DistillError, match="none of 1 pictures is left"):
        run(tmp_path / "in", tmp_path / "set", drop_grey=True)


def test_a_stop_leaves_nothing(folder, tmp_path):
    stop = threading.Event()
    stop.set()
    out = tmp_path / "out" / "set"
    out.parent.mkdir()
    with pytest.raises(Interrupted):
        run(folder, out, stop=stop)
    assert list(out.parent.iterdir()) == []


def test_folders_without_pictures(tmp_path):
    out = tmp_path / "set"
    with pytest.raises(DistillError, match="no such folder"):
        find_pictures(tmp_path / "none", out)
    (tmp_path / "file").touch()
    with pytest.raises(DistillError, match="not a folder"):
        find_pictures(tmp_path / "file", out)
    with pytest.raises(DistillError, match="no pictures among its 1 file "):
        find_pictures(tmp_path, out)


@pytest.mark.parametrize(
    ("colour", "grey"), [((90, 90, 90), True), ((90, 93, 90), True), ((120, 90, 80), False)]
)
def test_grey(colour, grey):
    assert is_grey(np.full((8, 8, 3), colour, np.uint8)) is grey
