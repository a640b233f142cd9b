from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from distill.faces.decode import PhotoError, read_photo

RAMP = np.linspace(0, 255, 40 * 30 * 3).reshape(30, 40, 3).astype(np.uint8)


def saved(tmp_path, image, suffix="png", **options):
    path = tmp_path / f"photo.{suffix}"
    image.save(path, **options)
    return path


def reason(path):
    with pytest.raises(PhotoError) as caught:
        read_photo(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, suffix, orientation):
    image = Image.fromarray(RAMP)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, image, suffix, exif=exif)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image)).astype(int)
    photo = read_photo(path)
    assert photo.shape == upright.shape
    assert np.abs(photo - upright).mean() < 6  # compression


def test_greyscale_palette_and_bilevel_become_rgb(tmp_path):
    for mode in ("L", "P", "1"):
        photo = read_photo(saved(tmp_path, Image.fromarray(RAMP).convert(mode)))
        assert photo.shape == (30, 40, 3)
        assert photo.dtype == np.uint8
        assert photo.flags.c_contiguous


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(tmp_path, mode):
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert(mode)
    options = {"transparency": 0} if mode == "P" else {}
    assert read_photo(saved(tmp_path, clear, **options)).min() == 255


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    grey = (np.arange(1200).reshape(30, 40) * 54).astype(np.uint16)
    photo = read_photo(saved(tmp_path, Image.fromarray(grey)))
    assert np.abs(photo[..., 0] - grey / 257).max() <= 0.51


def test_floats_reach_to_one_or_255(tmp_path):
    grey = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    for full in (1, 255):
        assert read_photo(saved(tmp_path, Image.fromarray(grey * full), "tiff")).max() == 255
    assert reason(saved(tmp_path, Image.fromarray(grey - 5), "tiff")) == "damaged"


def test_cmyk_becomes_rgb(tmp_path):
    photo = read_photo(saved(tmp_path, Image.new("RGB", (16, 16), (200, 40, 60)).convert("CMYK"), "jpg"))
    assert np.abs(photo[8, 8].astype(int) - (200, 40, 60)).max() < 12


def test_a_broken_colour_profile_does_not_matter(tmp_path):
    for profile in (b"nonsense", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()):
        photo = read_photo(saved(tmp_path, Image.fromarray(RAMP), icc_profile=profile))
        assert (photo == RAMP).all()


def test_an_srgb_profile_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (read_photo(saved(tmp_path, Image.fromarray(RAMP), icc_profile=profile)) == RAMP).all()


def test_broken_exif_does_not_matter(tmp_path):
    path = saved(tmp_path, Image.fromarray(RAMP), "jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read_photo(path).shape == (30, 40, 3)


def test_a_jpeg_with_a_second_picture_is_still_a_photo(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.fromarray(RAMP).save(path, "MPO", save_all=True, append_images=[Image.fromarray(RAMP)])
    assert read_photo(path).shape == (30, 40, 3)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animations_are_skipped(tmp_path, suffix):
    frames = [Image.fromarray(RAMP), Image.fromarray(255 - RAMP)]
    path = saved(tmp_path, frames[0], suffix, save_all=True, append_images=frames[1:])
    assert reason(path) == "animated"


def test_a_bomb_is_refused_by_its_dimensions(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path = tmp_path / "bomb.png"
    for side in (10_001, 100_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")))
        assert reason(path) == "too large"


def test_truncated_foreign_and_missing_files(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(RAMP).save(whole, "PNG")
    path = tmp_path / "photo"
    path.write_bytes(whole.getvalue()[:-60])
    assert reason(path) == "damaged"
    for data in (b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        path.write_bytes(data)
        assert reason(path) == "not an image"
    assert reason(tmp_path / "absent.jpg") == "unreadable"
    assert reason(tmp_path) == "unreadable"


def test_heic_is_named(tmp_path):
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(PhotoError, match="export it as JPEG"):
        read_photo(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000"])
def test_damaged_files_are_photos_or_named_skips(tmp_path, kind):
    whole = io.BytesIO()
    Image.fromarray(RAMP).save(whole, kind)
    draw = np.random.default_rng(len(kind))
    path = Path(tmp_path / "photo")
    for _ in range(60):
        data = np.frombuffer(whole.getvalue(), np.uint8).copy()
        places = draw.integers(0, draw.choice([60, len(data)]), size=3)
        data[places] = draw.integers(0, 256, size=3)
        path.write_bytes(data.tobytes())
        assert outcome(path) in {"photo", "damaged", "not an image", "too large", "animated"}


def outcome(path):
    try:
        read_photo(path)
    except PhotoError as skip:
        return skip.reason
    return "photo"
