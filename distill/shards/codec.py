"""Images to bytes and back: raw pixels, JPEG (quality 95, 4:4:4) and lossless WebP."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from distill.shards.layout import CODECS

__all__ = ["CODECS", "decode_image", "encode_images"]

JPEG_QUALITY = 95  # 41 dB at 256 px, a fifth of the raw size
Pixels = NDArray[np.uint8]
T = TypeVar("T")


def encode_images(images_NHWC: Pixels | Sequence[Pixels], codec: str, *, threads: int = 2) -> list[bytes]:
    """Encode uint8 images [N, H, W, 3] in a few threads; the bytes do not depend on their number."""
    encode = _lookup(ENCODERS, codec)
    if threads <= 1 or len(images_NHWC) <= 1:
        return [encode(image) for image in images_NHWC]
    with ThreadPoolExecutor(min(threads, len(images_NHWC))) as pool:
        return list(pool.map(encode, images_NHWC))


def decode_image(data: bytes, codec: str, *, sides: tuple[int, int] | None = None) -> Pixels:
    """Decode one image to uint8 [H, W, 3].

    `sides` (H, W), where known, are compared with the header before a pixel is decoded: a few bytes cannot
    ask for gigabytes. Raises ValueError for anything that is not such an image.
    """
    height, width = _lookup(HEADERS, codec)(data)
    if sides is not None and (height, width) != sides:
        raise ValueError(f"{codec} image of {width}x{height} px where {sides[1]}x{sides[0]} belongs")
    image = DECODERS[codec](data)
    if image.shape != (height, width, 3):
        raise ValueError(f"{codec} image decodes to shape {image.shape}, its header says {width}x{height} px")
    return image


def _encode_jpeg(image: Pixels) -> bytes:
    image = np.ascontiguousarray(image)
    data: bytes = simplejpeg.encode_jpeg(
        image, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="444"
    )
    return data


def _encode_webp(image: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "WEBP", lossless=True, method=0, exact=True)
    return buffer.getvalue()


def _decode_jpeg(data: bytes) -> Pixels:
    image: Pixels = simplejpeg.decode_jpeg(data, colorspace="RGB")
    return image


def _decode_webp(data: bytes) -> Pixels:
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
            if image.mode != "RGB":
                raise ValueError(f"webp image of mode {image.mode}, not RGB")
            return np.array(image)
    except (OSError, SyntaxError, EOFError, RuntimeError, struct.error) as error:
        raise ValueError(f"not a WebP image: {error}") from error


def _decode_raw(data: bytes) -> Pixels:
    side = _raw_header(data)[0]
    return np.frombuffer(data, np.uint8).reshape(side, side, 3).copy()


def _jpeg_header(data: bytes) -> tuple[int, int]:
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    return int(height), int(width)


def _webp_header(data: bytes) -> tuple[int, int]:
    # RIFF <size> WEBP VP8L <size> 0x2F, then width - 1 and height - 1, 14 bits each (RFC 9649, section 3.4).
    # Pillow is asked only after this: its WebP reader allocates the canvas while opening.
    if len(data) < 25 or data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8L" or data[20] != 0x2F:
        raise ValueError("not a lossless WebP image")
    (bits,) = struct.unpack_from("<I", data, 21)
    return ((bits >> 14) & 0x3FFF) + 1, (bits & 0x3FFF) + 1


def _raw_header(data: bytes) -> tuple[int, int]:
    side = math.isqrt(len(data) // 3)
    if side == 0 or side * side * 3 != len(data):
        raise ValueError(f"{len(data)} bytes are not a square RGB image")
    return side, side


def _lookup(table: dict[str, T], codec: str) -> T:
    if codec not in table:
        raise ValueError(f"no codec {codec!r}; the codecs are {', '.join(CODECS)}")
    return table[codec]


ENCODERS: dict[str, Callable[[Pixels], bytes]] = {
    "raw": lambda image: np.ascontiguousarray(image).tobytes(),
    "jpeg": _encode_jpeg,
    "webp": _encode_webp,
}
HEADERS: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "raw": _raw_header,
    "jpeg": _jpeg_header,
    "webp": _webp_header,
}
DECODERS: dict[str, Callable[[bytes], Pixels]] = {
    "raw": _decode_raw,
    "jpeg": _decode_jpeg,
    "webp": _decode_webp,
}
