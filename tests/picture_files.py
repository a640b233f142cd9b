"""Picture files that Pillow does not write: 16-bit colour, a gamma, a profile of linear light."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import ImageCms

RAMP = np.linspace(0, 255, 40 * 30 * 3).reshape(30, 40, 3).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(bits, colour, pixels, *chunks):
    """A PNG written by hand: Pillow writes no 16-bit colour, and no gamma. `colour` is the type in the header."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    body = [chunk(kind, data) for kind, data in chunks]
    data = [header, *body, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(data)


def linear_profile(name):
    """sRGB's primaries, light as it is: the tone curves of Pillow's own sRGB profile made straight."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for k in range(struct.unpack(">I", data[128:132])[0]):
        tag, start, _ = struct.unpack(">4sII", data[132 + 12 * k : 144 + 12 * k])
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            data[start : start + 12] = b"curv" + bytes(8)  # a curve of no entries is the identity
        if tag == b"desc":
            text = name.ljust(4).encode("utf-16-be")
            data[start + 28 : start + 28 + len(text)] = text
    return bytes(data)
