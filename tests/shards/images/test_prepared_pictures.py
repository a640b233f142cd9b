from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.errors import DistillError, Interrupted
from distill.shards.images.picture import PictureSettings, find_pictures, is_grey, prepare_picture
from distill.shards.images.prepare import PrepareImagesRequest, plan_preparation, prepare
from distill.shards.images.read import open_images

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


def run(folder, out, *, most_skips=0, stop=None, resolution=16, **request):
    wanted = PrepareImagesRequest(
        folder=folder, out=out, resolution=resolution, max_skips=str(most_skips), **{"workers": 1, **request}
    )
    result = prepare(plan_preparation(wanted), stop=stop or threading.Event())
    return result.written, result.tally


def test_pictures_are_written_in_the_order_of_their_names(folder, tmp_path):
    written, tally = run(folder, tmp_path / "set.h5")
    with open_images(written.path) as images:
        assert images.names() == ["Z.webp", "a.png", "b.png", "grey.png", "sub/c.jpg"]
        assert images.source["kept"] == 5
        expected = prepare_picture(("b.png", folder / "b.png"), PictureSettings(resolution=16))
        np.testing.assert_array_equal(images.image(2), expected.image)
    assert (tally.grey, tally.grey_dropped, tally.skips) == (1, 0, [])


@pytest.mark.cluster
def test_workers_change_nothing(folder, tmp_path):
    one, _ = run(folder, tmp_path / "one.h5")
    two, _ = run(folder, tmp_path / "two.h5", workers=2)
    assert one.sha256 == two.sha256


def test_grey_pictures_are_left_out_when_asked(folder, tmp_path):
    written, tally = run(folder, tmp_path / "set.h5", drop_grey=True)
    with open_images(written.path) as images:
        assert "grey.png" not in images.names()
        assert images.source["grey_dropped"] == 1
    assert tally.kept == 4


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
    written, tally = run(folder, tmp_path / "set.h5", most_skips=3)
    assert tally.reasons == {"animated": 1, "damaged": 1, "not an image": 1}
    assert [skip.name for skip in tally.skips] == ["cut.jpg", "empty.png", "moving.gif"]
    with open_images(written.path) as images:
        assert images.source["skipped"] == tally.reasons
        assert len(images) == 5


def test_too_many_skips_end_it_and_nothing_is_written(folder, tmp_path):
    out = tmp_path / "out" / "set.h5"
    out.parent.mkdir()
    with pytest.raises(
        DistillError, match=r"skipped 1 of 5 pictures, at most 0 .*no face 1; the first is Z\.webp"
    ):
        run(folder, out, align="ffhq")
    assert list(out.parent.iterdir()) == []


def test_nothing_left_is_an_error(tmp_path):
    picture(tmp_path / "in" / "grey.png", mode="L")
    with pytest.raises(DistillError, match="none of 1 pictures is left"):
        run(tmp_path / "in", tmp_path / "set.h5", drop_grey=True)


def test_a_stop_leaves_nothing(folder, tmp_path):
    stop = threading.Event()
    stop.set()
    out = tmp_path / "out" / "set.h5"
    out.parent.mkdir()
    with pytest.raises(Interrupted, match="nothing was written"):
        run(folder, out, stop=stop)
    assert list(out.parent.iterdir()) == []


def test_folders_without_pictures(tmp_path):
    out = tmp_path / "set.h5"
    with pytest.raises(DistillError, match="no such folder"):
        find_pictures(tmp_path / "none", out)
    (tmp_path / "file").touch()
    with pytest.raises(DistillError, match="not a folder"):
        find_pictures(tmp_path / "file", out)
    with pytest.raises(DistillError, match="no pictures among its 1 files"):
        find_pictures(tmp_path, out)


@pytest.mark.parametrize(
    ("colour", "grey"), [((90, 90, 90), True), ((90, 93, 90), True), ((120, 90, 80), False)]
)
def test_grey(colour, grey):
    assert is_grey(np.full((8, 8, 3), colour, np.uint8)) is grey
