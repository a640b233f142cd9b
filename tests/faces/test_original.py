"""Pasting back changes the faces of a photo and nothing else that a PNG holds."""

from __future__ import annotations

import io

import numpy as np
import pytest
from picture_files import RAMP, linear_profile, png
from PIL import Image, ImageCms

from distill.faces.decode import PhotoError, read_photo
from distill.faces.original import paste_into
from distill.faces.paste import FaceEdit

QUAD = np.array([[8, 6], [8, 26], [28, 26], [28, 6.0]])
SMOOTH = np.repeat(np.linspace(60, 190, 40)[None, :, None], 30, axis=0).repeat(3, axis=2).astype(np.uint8)
RED = FaceEdit(quad=QUAD, pixels=np.full((32, 32, 3), (200, 40, 40), np.uint8))


def pasted(path, *edits):
    data, changes = paste_into(path, read_photo(path), edits or [RED])
    return Image.open(io.BytesIO(data)), changes


def saved(tmp_path, image, suffix="png", **options):
    path = tmp_path / f"photo.{suffix}"
    image.save(path, **options)
    return path


def test_transparency_is_kept(tmp_path):
    alpha = np.linspace(0, 255, 30 * 40).reshape(30, 40, 1).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(np.concatenate([RAMP, alpha], axis=2)))
    image, changes = pasted(path)
    result = np.asarray(image)
    assert changes == ()
    assert (result[..., 3:] == alpha).all()
    outside = np.ones((30, 40), bool)
    outside[6:27, 8:29] = False
    assert (result[outside, :3] == RAMP[outside]).all()
    assert result[25, 18, 0] != RAMP[25, 18, 0] or result[16, 18, 0] != RAMP[16, 18, 0]


def test_the_profile_stays_and_the_edit_is_brought_to_it(tmp_path):
    profile = linear_profile("wide")
    path = saved(tmp_path, Image.fromarray(SMOOTH), icc_profile=profile)
    image, changes = pasted(path)
    assert changes == ()
    assert image.info["icc_profile"] == profile
    result = np.asarray(image)
    assert (result[:5] == SMOOTH[:5]).all()
    assert (result[:, 30:] == SMOOTH[:, 30:]).all()
    image.save(tmp_path / "again.png", icc_profile=profile)
    assert np.abs(read_photo(tmp_path / "again.png")[16, 18].astype(int) - (200, 40, 40)).max() <= 3


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_exif_and_resolution_are_kept_and_say_upright(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2020:01:02 03:04:05"
    if suffix != "tiff":
        exif.get_ifd(0x8769)[0x9003] = "2019:01:02 03:04:05"
    path = saved(tmp_path, Image.fromarray(SMOOTH), suffix, exif=exif, dpi=(300, 300))
    image, changes = pasted(path)
    assert changes == ()
    assert image.size == (30, 40)
    kept = image.getexif()
    assert kept[0x0132] == "2020:01:02 03:04:05"
    assert 0x0112 not in kept
    assert 0x0100 not in kept  # the width of a TIFF's strips is no fact of the photo
    if suffix != "tiff":
        assert kept.get_ifd(0x8769)[0x9003] == "2019:01:02 03:04:05"
    assert suffix == "webp" or image.info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_the_small_picture_inside_a_photo_goes_for_it_shows_the_face_as_it_was(tmp_path):
    small = io.BytesIO()
    Image.fromarray(RAMP).save(small, "JPEG")
    exif = Image.Exif()
    exif[0x0132] = "2020:01:02 03:04:05"
    exif.get_ifd(1)[0x0201] = small.getvalue()
    image, _ = pasted(saved(tmp_path, Image.fromarray(RAMP), "jpg", exif=exif))
    assert not image.getexif().get_ifd(1)


def test_what_a_png_of_eight_bits_does_not_hold_is_told(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(png(16, 2, RAMP.astype(">u2") * 257))
    assert pasted(path)[1] == ("8 bits a channel",)
    path.write_bytes(png(8, 2, RAMP, (b"gAMA", (100_000).to_bytes(4, "big"))))
    assert pasted(path)[1] == ("colours in sRGB",)
    assert pasted(saved(tmp_path, Image.fromarray(RAMP).convert("CMYK"), "jpg"))[1] == ("colours in sRGB",)


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_grey_and_palette_become_colour_with_all_else_as_it_was(tmp_path, mode):
    image = Image.fromarray(SMOOTH).convert(mode)
    result, changes = pasted(saved(tmp_path, image))
    assert changes == ()
    assert (np.asarray(result)[:5] == np.asarray(image.convert("RGB"))[:5]).all()


@pytest.mark.parametrize("profile", [b"nonsense", "LAB"])
def test_a_broken_profile_is_not_kept(tmp_path, profile):
    if profile == "LAB":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image, _ = pasted(saved(tmp_path, Image.fromarray(SMOOTH), icc_profile=profile))
    assert "icc_profile" not in image.info


def test_a_photo_that_was_replaced_meanwhile_is_told(tmp_path):
    path = saved(tmp_path, Image.fromarray(RAMP))
    seen = read_photo(path)
    Image.fromarray(RAMP[:20]).save(path)
    with pytest.raises(PhotoError, match="has changed since it was read"):
        paste_into(path, seen, [RED])
