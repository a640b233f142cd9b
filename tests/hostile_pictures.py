"""Pictures in every format that is read, and files that only claim to be some: bombs, loops, broken metadata."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from picture_files import chunk, linear_profile, png
from PIL import ExifTags, Image, PngImagePlugin

Make = Callable[[np.ndarray], bytes]


def saved(form: str, mode: str = "RGB", **options: object) -> Make:
    """Return what saves pixels in a format."""

    def make(pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(buffer, form, **options)
        return buffer.getvalue()

    return make


def exif() -> bytes:
    found = Image.Exif()
    found[ExifTags.Base.Orientation] = 6
    found[ExifTags.Base.Make] = "camera"
    found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (1.0, 2.0, 3.0)
    return found.tobytes()


def texts() -> PngImagePlugin.PngInfo:
    found = PngImagePlugin.PngInfo()
    found.add_text("a", "b" * 100, zip=True)
    found.add_itxt("c", "d" * 100, zip=True)
    return found


PICTURES: Mapping[str, Make] = {
    "plain.png": saved("PNG", pnginfo=texts(), exif=exif(), icc_profile=linear_profile("x")),
    "alpha.png": saved("PNG", "RGBA"),
    "palette.png": saved("PNG", "P", transparency=0),
    "deep.png": lambda pixels: png(16, 2, np.repeat(pixels, 2, axis=2)),
    "plain.jpg": saved("JPEG", exif=exif(), icc_profile=linear_profile("x"), dpi=(72, 72)),
    "progressive.jpg": saved("JPEG", progressive=True),
    "cmyk.jpg": saved("JPEG", "CMYK"),
    "plain.tif": saved("TIFF", exif=exif()),
    "deflated.tif": saved("TIFF", "L", compression="tiff_adobe_deflate"),
    "float.tif": saved("TIFF", "F"),
    "jpeg.tif": saved("TIFF", compression="jpeg"),
    "lossless.webp": saved("WEBP", lossless=True, exif=exif(), icc_profile=linear_profile("x")),
    "lossy.webp": saved("WEBP", "RGBA"),
    "plain.gif": saved("GIF", "P"),
    "plain.bmp": saved("BMP"),
    "plain.ppm": saved("PPM"),
    "plain.jp2": saved("JPEG2000"),
    "plain.avif": saved("AVIF"),
}


def png_bomb(width: int, height: int, *, colour: int = 0, bits: int = 8) -> bytes:
    """A PNG whose pixels are zeros: a thousandth of their size in the file."""
    packed = zlib.compressobj(9)
    row = bytes(1 + (width * bits * {0: 1, 2: 3, 6: 4}[colour] + 7) // 8)
    data = b"".join(packed.compress(row) for _ in range(min(height, 20_000))) + packed.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def with_chunk(kind: bytes, content: bytes) -> Callable[[], bytes]:
    """A small PNG with a chunk before its pixels."""
    return lambda: png(8, 2, np.zeros((8, 24), np.uint8), (kind, content))


def jpeg_with_exif(data: bytes) -> Callable[[], bytes]:
    return lambda: saved("JPEG", exif=b"Exif\0\0" + data)(np.zeros((8, 8, 3), np.uint8))


def tiff(entries: list[tuple[int, int, int, int]], *, after: int = 0, more: bytes = b"") -> bytes:
    """A TIFF directory of (tag, type, count, value)."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + struct.pack("<I", after) + more


def tiff_of(width: int, height: int, **more: int) -> Callable[[], bytes]:
    entries = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 64}
    entries |= {int(tag.removeprefix("t")): value for tag, value in more.items()}
    return lambda: tiff([(tag, 4, 1, value) for tag, value in sorted(entries.items())], more=bytes(64))


def scans_without_end() -> bytes:
    """A progressive JPEG of 8,000 px a side whose scans come again and again."""
    data = saved("JPEG", progressive=True)(np.zeros((16, 16, 3), np.uint8))
    at = data.index(b"\xff\xc2")
    data = data[: at + 5] + struct.pack(">HH", 8_000, 8_000) + data[at + 9 :]
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 3_000 + b"\xff\xd9"


def many_frames() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("P", (4, 4), k % 256) for k in range(300)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


LOOP = tiff([(0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8)], after=8)
HOSTILE_PICTURES: Mapping[str, Callable[[], bytes]] = {
    "bomb.png": lambda: png_bomb(60_000, 60_000),
    "bomb-of-largest.png": lambda: png_bomb(13_000, 13_000, colour=2),
    "bomb-clear.png": lambda: png_bomb(13_000, 13_000, colour=6),
    "bomb-deep.png": lambda: png_bomb(12_000, 12_000, bits=16),
    "bomb-claimed.png": lambda: png_bomb(2**31 - 1, 1),
    "no-side.png": lambda: png_bomb(0, 8),
    "text.png": with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(300 << 20))),
    "itext.png": with_chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(300 << 20))),
    "profile.png": with_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(300 << 20))),
    "no-profile.png": with_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"acsp" * 64)),
    "gamma-0.png": with_chunk(b"gAMA", bytes(4)),
    "gamma-large.png": with_chunk(b"gAMA", b"\xff" * 4),
    "exif-loop.png": with_chunk(b"eXIf", LOOP),
    "resolution.png": with_chunk(b"pHYs", b"\xff" * 9),
    "exif-loop.jpg": jpeg_with_exif(LOOP),
    "exif-short.jpg": jpeg_with_exif(b"II*\0\x08"),
    "exif-far.jpg": jpeg_with_exif(b"II*\0\xff\xff\xff\xff"),
    "exif-count.jpg": jpeg_with_exif(tiff([(0x0112, 3, 2**32 - 1, 8), (0x010F, 2, 2**31, 4)])),
    "exif-orientation.jpg": jpeg_with_exif(tiff([(0x0112, 4, 1, 2**32 - 1)])),
    "exif-text.jpg": jpeg_with_exif(tiff([(0x0112, 2, 3, 0x414141)])),
    "scans.jpg": scans_without_end,
    "loop.tif": lambda: tiff([(256, 4, 1, 8), (257, 4, 1, 8)], after=8),
    "large.tif": tiff_of(2**32 - 1, 2**32 - 1),
    "wide.tif": tiff_of(13_000, 13_000),
    "strips.tif": tiff_of(8, 8, t278=0),
    "far.tif": tiff_of(8, 8, t273=2**32 - 1),
    "packed.tif": tiff_of(8, 8, t259=32_946),
    "unknown.tif": tiff_of(8, 8, t259=60_000),
    "planes.tif": tiff_of(8, 8, t284=2, t277=65_535),
    "frames.gif": many_frames,
    "large.gif": lambda: b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0xF7, 0, 0) + bytes(768) + b";",
    "large.bmp": lambda: (
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 58, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24, *[0] * 6) + bytes(4)
    ),
    "digits.ppm": lambda: b"P6 " + b"9" * 5_000 + b" 1 255\n",
    "comment.ppm": lambda: b"P6\n#" + b"x" * 10_000_000,
    "large.ppm": lambda: b"P6 100000 100000 255\n" + bytes(100),
    "large.webp": lambda: (
        b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8L" + struct.pack("<IBI", 10, 0x2F, 2**28 - 1) + bytes(8)
    ),
    "empty.jpg": lambda: b"",
    "start.jpg": lambda: b"\xff\xd8\xff",
    "script.eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(x) run\n",
    "script.svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
}
