"""What a file is that could not be read as a picture, by its first bytes and not by its name, and what to do."""

from __future__ import annotations

from importlib.util import find_spec
from io import BufferedReader
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from distill.files import open_regular

HEAD = 32  # bytes that tell formats apart
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"miaf")
VIDEO = (
    *(b"qt  ", b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"M4V ", b"avc1", b"dash"),
    *(b"MSNV", b"XAVC", b"3gp4", b"3gp5", b"3gp6", b"3g2a"),
)
BEGINNINGS = (
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF"),
    (b"FUJIFILM", "a raw file of a camera"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML, perhaps SVG"),
)
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDTH, BITS, CHANNELS, PLANES, SAMPLE_FORMAT, DNG_VERSION = 256, 258, 277, 284, 339, 50706  # tags of a TIFF
KINDS = {1: "bits", 2: "bits, signed", 3: "bits, floating point"}
KNOWN = "JPEG, PNG, WebP, TIFF, BMP, GIF, PPM, JPEG 2000 and AVIF"


def is_heic(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in HEIC


def is_video_head(head: bytes) -> bool:
    """Tell whether these are the first bytes of MP4 or MOV, Matroska or WebM, AVI, or Flash."""
    return (
        (head[4:8] == b"ftyp" and head[8:12] in VIDEO)
        or head.startswith((b"\x1a\x45\xdf\xa3", b"FLV\x01"))
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
    )


def register_heic() -> None:
    """Let Pillow read HEIC, where the extra `heic` is installed."""
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()


def is_deep_in_planes(image: Image.Image) -> bool:
    """Tell whether a TIFF keeps channels of more than 8 bits apart: Pillow mixes them up."""
    tags = image.getexif()
    return bool(tags.get(PLANES) == 2 and np.max(tags.get(BITS, 8)) > 8)


def scans(file: BufferedReader) -> int:
    """Count how often a progressive JPEG goes over its pixels; the place in the file stays."""
    place = file.tell()
    file.seek(0)
    count = file.read().count(b"\xff\xda")  # in data of pixels a zero follows each \xff
    file.seek(place)
    return count


def refusal(path: Path, head: bytes) -> tuple[str, str]:
    """Return the reason and the detail for a file that is read as no picture."""
    if not head:
        return "not an image", "the file is empty"
    if is_heic(head):
        if find_spec("pillow_heif"):
            return "damaged", "HEIC that cannot be read"
        return "format not read", "HEIC: pip install 'distill[heic]', or export it as JPEG"
    if is_video_head(head):
        return "not an image", "a video"
    if head[4:12] == b"ftypcrx " or head[8:10] == b"CR":
        return "format not read", "a raw file of a camera: export it as JPEG or PNG"
    for beginning, name in BEGINNINGS:
        if head.startswith(beginning):
            return "format not read", f"{name}: export it as JPEG or PNG"
    if head[:4] in TIFF:
        return "format not read", f"{_tiff(path)}: save it as RGB or grey of 8 or 16 bits, or as PNG"
    return "not an image", f"known are {KNOWN}"


def _tiff(path: Path) -> str:
    """Say what a TIFF holds: "TIFF of 2 channels, 16 bits"."""
    try:
        with open_regular(path) as file:
            directory = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
            file.seek(directory.next)
            directory.load(file)
        if DNG_VERSION in directory:
            return "a raw file of a camera (DNG)"
        if WIDTH not in directory:
            return "TIFF of an unknown kind"
        bits, kind = directory.get(BITS, (1,)), directory.get(SAMPLE_FORMAT, (1,))
        channels = directory.get(CHANNELS, 1)
        return f"TIFF of {channels} channel{'s'[: channels > 1]}, {max(bits)} {KINDS.get(max(kind), 'bits')}"
    except Exception:  # a damaged file may raise anything from within a reader
        return "TIFF of an unknown kind"
