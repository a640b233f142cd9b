from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from picture_files import RAMP, chunk, linear_profile, png
from PIL import Image, ImageCms, ImageOps

from distill.faces.decode import PhotoError, read_photo


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


def test_light_that_is_stored_linearly_becomes_srgb_whatever_its_profile_is_called(tmp_path):
    grey = np.full((8, 8, 3), 55, np.uint8)  # 21.6 % of the light: 128 in sRGB
    profile = linear_profile("sRGB")
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    photo = read_photo(saved(tmp_path, Image.fromarray(grey), icc_profile=profile))
    assert np.abs(photo.astype(int) - 128).max() <= 1
    photo = read_photo(saved(tmp_path, Image.fromarray(grey), "jpg", icc_profile=profile, quality=100))
    assert np.abs(photo.astype(int) - 128).max() <= 3


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([(b"gAMA", struct.pack(">I", 100_000))], 128),
        ([(b"gAMA", struct.pack(">I", 45_455))], 55),
        ([(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000))], 55),
        ([(b"gAMA", struct.pack(">I", 0))], 55),
    ],
)
def test_a_gamma_counts_where_nothing_better_is_said(tmp_path, chunks, expected):
    path = tmp_path / "photo.png"
    for colour, channels in ((2, 3), (0, 1)):
        path.write_bytes(png(8, colour, np.full((8, 8, channels), 55, np.uint8), *chunks))
        assert np.abs(read_photo(path).astype(int) - expected).max() <= 1


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
    path = tmp_path / "bomb.png"
    for side in (13_100, 100_000):
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


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def test_heic_is_known_by_its_bytes_and_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("distill.faces.formats.find_spec", lambda name: None)
    path = tmp_path / "IMG_1.jpg"
    path.write_bytes(HEIC)
    with pytest.raises(
        PhotoError, match=r"HEIC: pip install 'distill\[heic\]', or export it as JPEG"
    ) as caught:
        read_photo(path)
    assert caught.value.reason == "format not read"


def test_heic_is_read_upright_where_the_extra_is_installed(tmp_path):
    path, exif = tmp_path / "IMG_2.jpg", Image.Exif()
    exif[0x0112] = 6
    heic = pillow_heif.from_pillow(Image.fromarray(RAMP))
    heic.info["exif"] = exif.tobytes()
    heic.save(path.with_suffix(".heic"))
    path.with_suffix(".heic").rename(path)
    turned = np.asarray(Image.fromarray(RAMP).transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert np.abs(read_photo(path) - turned).mean() < 6
    path.write_bytes(HEIC)
    assert reason(path) == "damaged"


@pytest.mark.parametrize(
    ("channels", "kind", "said"),
    [
        (3, np.float32, "TIFF of 3 channels, 32 bits, floating point"),
        (2, np.uint16, "TIFF of 2 channels, 16 bits"),
        (2, np.float32, "TIFF of 2 channels, 32 bits, floating point"),
        (1, np.float64, "TIFF of 1 channel, 64 bits, floating point"),
    ],
)
def test_a_tiff_that_is_not_read_is_told_by_what_it_holds(tmp_path, channels, kind, said):
    pixels = RAMP[..., :channels].astype(kind).squeeze()
    extra = ["unassalpha"] if channels == 2 else []
    path = tmp_path / "photo.tif"
    tifffile.imwrite(
        path, pixels, photometric="rgb" if channels == 3 else "minisblack", extrasamples=extra or None
    )
    with pytest.raises(PhotoError, match=f"{said}: save it as RGB or grey of 8 or 16 bits, or as PNG"):
        read_photo(path)


def test_channels_apart_are_read_right_or_refused(tmp_path):
    path = tmp_path / "photo.tif"
    for kind, scale in ((np.uint8, 1), (np.uint16, 257)):
        planes = np.ascontiguousarray((RAMP.astype(kind) * scale).transpose(2, 0, 1))
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate")
        if kind == np.uint8:
            assert (read_photo(path) == RAMP).all()
        else:
            assert reason(path) == "format not read"


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\0\0\0\x20ftypisom", "a video"),
        (b"8BPS\0\x01", "Photoshop file: export it"),
        (b"\xff\x0a\0", "JPEG XL: export it"),
        (b"II*\0\x10\0\0\0CR\2\0", "raw file of a camera: export it"),
        (b"II*\0\xff\xff\xff\xff", "TIFF of an unknown kind: save it"),
    ],
)
def test_other_files_are_called_by_what_they_are(tmp_path, head, said):
    path = tmp_path / "photo.jpg"
    path.write_bytes(head + bytes(40))
    with pytest.raises(PhotoError, match=said):
        read_photo(path)


def test_sixteen_bit_colour_and_grey_with_transparency_are_read(tmp_path):
    path = tmp_path / "photo"
    path.write_bytes(png(16, 2, RAMP.astype(">u2") * 257))
    assert np.abs(read_photo(path).astype(int) - RAMP).max() <= 1
    grey, opaque = RAMP[..., :1].astype(">u2") * 257, np.full((30, 40, 1), 65535, ">u2")
    path.write_bytes(png(16, 4, np.concatenate([grey, opaque], axis=2)))
    assert np.abs(read_photo(path).astype(int) - RAMP[..., :1]).max() <= 1
    clear = np.concatenate([RAMP[..., :1], np.zeros((30, 40, 1), np.uint8)], axis=2)
    Image.fromarray(clear).save(path, "TIFF")
    assert read_photo(path).min() == 255


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
        assert outcome(path) in {
            "photo",
            "damaged",
            "not an image",
            "format not read",
            "too large",
            "animated",
        }


def outcome(path):
    try:
        read_photo(path)
    except PhotoError as skip:
        return skip.reason
    return "photo"
