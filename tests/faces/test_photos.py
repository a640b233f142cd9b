from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.errors import DiskFull, DistillError
from distill.faces.align_photos import AlignedFace, AlignRequest, align_photos
from distill.faces.find import FoundPhotos
from distill.faces.photo_results import SkippedPhoto, count_reasons
from distill.pixels import write_png

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"


def portrait(side=512):
    return Image.open(GOLDEN / "astronaut.png").convert("RGB").resize((side, side), Image.Resampling.LANCZOS)


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB")).astype(int)


def group(path):
    """A large face on the right, a smaller one on the left."""
    canvas = Image.new("RGB", (900, 512), "grey")
    canvas.paste(portrait(), (388, 0))
    canvas.paste(portrait(340), (10, 100))
    canvas.save(path)
    return path


def outcomes(photos, out, **options):
    request = AlignRequest(photos=tuple(photos), out=out, **options)
    return align_photos(request, FoundPhotos(files=photos)).results


def test_the_largest_face_is_taken_and_the_quad_tells_where(tmp_path):
    (result,) = outcomes([group(tmp_path / "group.jpg")], tmp_path / "out", size=64)
    assert isinstance(result, AlignedFace)
    assert result.output == tmp_path / "out" / "group.png"
    assert pixels(result.output).shape == (64, 64, 3)
    assert result.quad.mean(axis=0)[0] > 500
    assert result.to_json()["confidence"] > 0.25


def test_all_faces_and_the_chosen_one(tmp_path):
    photo = group(tmp_path / "group.png")
    everyone = outcomes([photo], tmp_path / "out", size=64, all_faces=True)
    assert [result.output.name for result in everyone] == ["group_01.png", "group_02.png"]
    assert everyone[0].face.area > everyone[1].face.area
    (second,) = outcomes([photo], tmp_path / "out", size=64, face_index=1)
    assert second.quad.mean(axis=0)[0] < 350
    (third,) = outcomes([photo], tmp_path / "out", size=64, face_index=2)
    assert (third.reason, third.detail) == (
        "no such face",
        "face 2 of 2, counted from 0; group.png there is of an earlier run",
    )


def test_a_photo_taken_sideways_comes_out_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    portrait().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "side.png", exif=exif)
    (result,) = outcomes([tmp_path / "side.png"], tmp_path / "out", size=256)
    expected = pixels(GOLDEN / "astronaut_ffhq256.png")
    assert np.abs(pixels(result.output) - expected).mean() < 8  # its landmarks are a pixel away


def test_chips_are_tighter_than_ffhq(tmp_path):
    portrait().save(tmp_path / "me.png")
    ((chip,), (ffhq,)) = (
        outcomes([tmp_path / "me.png"], tmp_path / mode, size=64, mode=mode) for mode in ("chip", "ffhq")
    )
    assert np.ptp(chip.quad[:, 0]) < np.ptp(ffhq.quad[:, 0])
    assert pixels(chip.output).shape == (64, 64, 3)


def test_every_photo_has_an_outcome_and_repeats_are_identical(tmp_path):
    portrait().save(tmp_path / "me.png")
    (tmp_path / "note.txt").write_text("hello")
    Image.new("RGB", (200, 200), "teal").save(tmp_path / "wall.png")
    photos = [tmp_path / name for name in ("note.txt", "wall.png", "me.png")]
    first = outcomes(photos, tmp_path / "out", size=32)
    assert [type(result) for result in first] == [SkippedPhoto, SkippedPhoto, AlignedFace]
    assert [result.photo for result in first] == photos
    assert count_reasons(first[:2]) == {"not an image": 1, "no face": 1}
    before = first[2].output.read_bytes()
    outcomes(photos, tmp_path / "out", size=32)
    assert first[2].output.read_bytes() == before
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["me.png"]


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EACCES, DistillError)])
def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch, number, kind):
    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind, match=r"a\.png") as caught:
        write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    assert type(caught.value) is kind
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DistillError, match=r"folder|Not a directory"):
            outcomes([], out)
