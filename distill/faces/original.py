"""A photo as its file has it, and its faces edited in it: all else stays as it was, as far as a PNG holds it.

The edits were made in sRGB on white; here their change is brought to the file's own colours and added to its own
pixels. Kept are transparency, colour profile, EXIF and resolution; the picture is upright, and EXIF says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from distill.faces.alignment import Pixels
from distill.faces.colour import from_srgb, in_srgb, is_of_rgb
from distill.faces.decode import PhotoError, eight_bits, in_mode, open_photo, pixels_of, upright
from distill.faces.paste import FaceEdit, paste_back
from distill.pixels import Mark, encode_png

OF_TIFF = (  # about the photo; the other tags of a TIFF say how its pixels are stored
    *(ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software),
    *(ExifTags.Base.DateTime, ExifTags.Base.Artist, ExifTags.Base.Copyright),
)
PARTS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


@dataclass(frozen=True, kw_only=True, eq=False)
class Original:
    """The upright pixels [H, W, 3] in the file's own colours, its alpha [H, W], and what else it says.

    `changes` tells what a PNG of 8 bits a channel does not hold of it.
    """

    pixels: Pixels
    alpha: NDArray[np.uint8] | None
    profile: bytes | None
    exif: bytes | None
    dpi: tuple[float, float] | None
    changes: tuple[str, ...]


def paste_into(
    photo: Path, seen: Pixels, edits: Sequence[FaceEdit], mark: Mark | None = None
) -> tuple[bytes, tuple[str, ...]]:
    """Return the photo with its faces edited as a PNG, and what else changed; `seen` is what `read_photo` returned.

    `mark` says who drew the faces.
    Raises PhotoError where the file is another one by now.
    """
    original = open_photo(photo, read_original)
    if original.pixels.shape != seen.shape:
        raise PhotoError(photo, "changed", "the file has changed since it was read")
    pixels = with_change(original, seen, paste_back(seen, edits))
    if original.alpha is not None:
        pixels = np.concatenate([pixels, original.alpha[..., None]], axis=2)
    facts = {"icc_profile": original.profile, "exif": original.exif, "dpi": original.dpi}
    given = {name: fact for name, fact in facts.items() if fact}
    return encode_png(pixels, mark and replace(mark, partly=True), **given), original.changes


def with_change(original: Original, before: Pixels, after: Pixels) -> Pixels:
    """Return the original's pixels changed as `before` was to `after` (both sRGB)."""
    changed = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not len(rows):
        return original.pixels
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    old, new = before[box], after[box]
    if original.profile and (transform := from_srgb(original.profile)):
        old, new = (_applied(part, transform) for part in (old, new))
    result = original.pixels.copy()
    result[box] = np.clip(original.pixels[box].astype(np.int16) + new - old.astype(np.int16), 0, 255)
    return result


def read_original(image: Image.Image) -> Original:
    """Take the pixels of an open picture as they are stored, and what a PNG holds beside them."""
    deep = image.mode.startswith("I") or image.mode == "F" or ";16" in str(getattr(image, "tile", ""))
    image.load()
    changes = ["8 bits a channel"] if deep else []
    exif, dpi, profile, alpha = _exif(image), image.info.get("dpi"), image.info.get("icc_profile"), None
    picture = eight_bits(image) if image.mode.startswith("I") or image.mode == "F" else image
    if picture.has_transparency_data:
        picture = in_mode(picture, "RGBA")
        alpha = np.array(upright(picture.getchannel("A"), image))
    if picture.mode in ("L", "CMYK") or not profile or not is_of_rgb(profile):
        # A PNG in colour has no place for another profile.
        own = picture if picture.mode in ("L", "RGB", "CMYK") else picture.convert("RGB")
        converted = in_srgb(own, image.info)
        if converted is not own or own.mode == "CMYK":
            changes.append("colours in sRGB")
        picture, profile = converted, None
    pixels = pixels_of(upright(in_mode(picture, "RGB"), image))
    return Original(
        pixels=pixels, alpha=alpha, profile=profile, exif=exif, dpi=_dpi(dpi), changes=tuple(changes)
    )


def _applied(pixels: Pixels, transform: ImageCms.ImageCmsTransform) -> Pixels:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(ImageCms.applyTransform(picture, transform) or picture)


def _exif(image: Image.Image) -> bytes | None:
    """The EXIF of a picture that is upright now; None where there is none, or it is broken."""
    try:
        found = image.getexif()
        kept = Image.Exif()
        for tag in OF_TIFF if image.format == "TIFF" else list(found):
            if tag in found and tag not in PARTS and tag != ExifTags.Base.Orientation:
                kept[tag] = found[tag]
        for part in PARTS:
            if facts := found.get_ifd(part):
                kept.get_ifd(part).update(facts)
        return kept.tobytes() if kept or any(map(kept.get_ifd, PARTS)) else None
    except Exception:  # broken metadata may raise anything from within the reader
        return None


def _dpi(dpi: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError):
        return None
    return (across, down) if 0 < across < 1e5 and 0 < down < 1e5 else None
