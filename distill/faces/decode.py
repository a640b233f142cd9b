"""A picture file of unknown origin → upright RGB pixels, or the reason why not.

Dimensions are checked before anything is decoded; formats that would start another program are not opened. Colours
are brought to sRGB by `colour`.
"""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.colour import in_srgb
from distill.faces.formats import HEAD, is_deep_in_planes, is_heic, refusal, register_heic, scans
from distill.files import open_regular

LARGEST_PHOTO = (
    170_000_000  # pixels: 510 MB decoded, some four times as much meanwhile; Pillow ends at 179 million
)
STRIP, STRIPPED = 256, 50_000_000  # rows copied at a time, of pictures of more pixels
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF")
MOST_SCANS = 100  # of a progressive JPEG, which has about ten: each goes over all pixels
STILL_WITH_PARTS = ("MPO", "HEIF")  # with a depth map or a preview behind it, as telephones write them
MOST_PIXELS = f"{LARGEST_PHOTO // 10**6} million pixels"
UPRIGHT = {  # EXIF orientation → what turns the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ON_THEIR_SIDE = (5, 6, 7, 8)  # orientations that exchange height and width
T = TypeVar("T")


class PhotoError(DistillError):
    """One photo that cannot be used: `reason` is short and countable, `detail` speaks of this file."""

    def __init__(self, path: Path, reason: str, detail: str) -> None:
        self.path, self.reason = path, reason
        self.detail = " ".join(detail.split())[:200]
        super().__init__(f"{path}: {reason} ({self.detail})")

    def __reduce__(self) -> tuple[type[PhotoError], tuple[Path, str, str]]:
        return PhotoError, (self.path, self.reason, self.detail)


def read_photo(path: Path) -> Pixels:
    """Return the upright photo as sRGB [H, W, 3].

    EXIF orientation, colour profile and gamma are applied, transparency is laid on white, greyscale, palette, CMYK
    and 16-bit files are converted. Raises PhotoError for what is unreadable, no picture, of a format that is not
    read, animated, damaged or of more than 170 million pixels.
    """
    return open_photo(path, _decoded)


def photo_size(path: Path) -> tuple[int, int]:
    """Return height and width of the upright photo, from its header alone. Raises PhotoError as `read_photo`."""
    return open_photo(path, _upright_size)


def open_photo(path: Path, take: Callable[[Image.Image], T]) -> T:
    """Take something from the open picture, not yet loaded. Raises PhotoError as `read_photo`."""
    try:
        with open_regular(path) as file, _without_warnings():
            return _read(path, file, take)
    except OSError as error:
        raise PhotoError(path, "unreadable", error.strerror or str(error)) from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence Pillow, which warns of oddities that do not matter here and of large sizes, on any threads at once.

    What Python has for that holds for all threads, so the first of them begins it and the last ends it.
    """
    with _silence.lock:
        if not _silence.readers:
            _silence.held.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _silence.readers += 1
    try:
        yield
    finally:
        with _silence.lock:
            _silence.readers -= 1
            if not _silence.readers:
                _silence.held.close()


class _Silence:
    def __init__(self) -> None:
        self.lock, self.readers, self.held = threading.Lock(), 0, ExitStack()


_silence = _Silence()


def _read(path: Path, file: BufferedReader, take: Callable[[Image.Image], T]) -> T:
    Image.init()
    head = file.read(HEAD)
    file.seek(0)
    if is_heic(head):
        register_heic()
    try:
        with Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
            if image.width * image.height > LARGEST_PHOTO:
                raise PhotoError(path, "too large", f"{image.width}×{image.height}; {MOST_PIXELS} at most")
            if getattr(image, "is_animated", False) and image.format not in STILL_WITH_PARTS:
                raise PhotoError(
                    path, "animated", "more than one picture in the file; save one as PNG or JPEG"
                )
            if image.info.get("progressive") and (count := scans(file)) > MOST_SCANS:
                raise PhotoError(path, "damaged", f"a JPEG of {count} scans; {MOST_SCANS} at most")
            if image.format == "TIFF" and is_deep_in_planes(image):
                raise PhotoError(path, "format not read", "TIFF of 16 bits in planes: save it as PNG")
            return take(image)
    except PhotoError:
        raise
    except UnidentifiedImageError as error:
        raise PhotoError(path, *refusal(path, head)) from error
    except Image.DecompressionBombError as error:
        raise PhotoError(path, "too large", f"{MOST_PIXELS} at most") from error
    except Exception as error:  # a damaged file may raise anything from within a decoder
        raise PhotoError(path, "damaged", str(error) or type(error).__name__) from error


def _decoded(image: Image.Image) -> Pixels:
    image.load()
    picture = in_srgb(_opaque(image), image.info)
    return pixels_of(upright(in_mode(picture, "RGB"), image))


def in_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Convert a picture; one of that mode is not copied, as Pillow would."""
    return picture if picture.mode == mode else picture.convert(mode)


def upright(picture: Image.Image, image: Image.Image) -> Image.Image:
    """Turn a picture made of the pixels of `image` as that one's EXIF says."""
    turn = UPRIGHT.get(_orientation(image))
    return picture if turn is None else picture.transpose(turn)


def pixels_of(picture: Image.Image) -> Pixels:
    """Copy a picture to an array, a large one strip by strip: Pillow's own copy takes twice the memory."""
    if picture.width * picture.height <= STRIPPED:
        return np.array(picture)
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for top in range(0, picture.height, STRIP):
        bottom = min(top + STRIP, picture.height)
        pixels[top:bottom] = np.asarray(picture.crop((0, top, picture.width, bottom)))
    return pixels


def _upright_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    if width == height:  # no need to look: for the orientation of a PNG, Pillow may decode it
        return height, width
    return (width, height) if _orientation(image) in ON_THEIR_SIDE else (height, width)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, struct.error):
        return 1  # broken metadata does not spoil the picture
    return value if isinstance(value, int) else 1


def _opaque(image: Image.Image) -> Image.Image:
    """Return the picture as L, RGB or CMYK: 8 bits, no palette, no transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        return eight_bits(image)
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Lay a picture on white, strip by strip: at once it would be in memory four times."""
    picture = Image.new("RGB", image.size)
    for top in range(0, image.height, STRIP):
        part = image.crop((0, top, image.width, min(top + STRIP, image.height))).convert("RGBA")
        picture.paste(
            Image.alpha_composite(Image.new("RGBA", part.size, "white"), part).convert("RGB"), (0, top)
        )
    return picture


def eight_bits(image: Image.Image) -> Image.Image:
    """Reduce 16-bit and float greyscale: whole numbers reach to 65535, or to 255; floats to 1, or to 255."""
    image.load()
    strips = [(top, min(top + STRIP, image.height)) for top in range(0, image.height, STRIP)]

    def values(top: int, bottom: int) -> NDArray[np.float64]:  # of a strip: eight bytes for each pixel
        return np.asarray(image.crop((0, top, image.width, bottom)), dtype=np.float64)

    ends = [(part.min(), part.max()) for part in (values(*strip) for strip in strips)]
    low, high = float(np.min([low for low, _ in ends])), float(np.max([high for _, high in ends]))
    if not (low >= 0 and high <= 65535):
        raise ValueError(f"grey values from {low:g} to {high:g}: neither 8 nor 16 bits")
    if image.mode == "F":
        full = 1.0 if high <= 1 else 255.0 if high <= 255 else 65535.0
    else:
        full = 255.0 if image.mode == "I" and high <= 255 else 65535.0
    grey = np.empty((image.height, image.width), np.uint8)
    for top, bottom in strips:
        grey[top:bottom] = np.rint(values(top, bottom) * (255 / full))
    return Image.fromarray(grey)
