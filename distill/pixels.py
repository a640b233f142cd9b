"""The borders between network floats and stored bytes, and between host and device: crossed here and nowhere else."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn import functional as F

from distill import __version__
from distill.errors import os_error
from distill.files import atomic_write

XMP = "XML:com.adobe.xmp"  # the keyword of a PNG's text that holds XMP
# IPTC Photo Metadata Standard, Digital Source Type: how a picture came to be.
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DRAWN, PARTLY_DRAWN = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' Iptc4xmpExt:DigitalSourceType="{}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The note in a picture for people that says which network drew it, `by` in words, or a part of it (`partly`)."""

    by: str
    partly: bool = False

    def texts(self) -> dict[str, str]:
        """Return the texts of a PNG by their keywords, the same every time: no date, no path, no machine."""
        how = "Partly drawn" if self.partly else "Drawn"
        source = SOURCE_TYPES + (PARTLY_DRAWN if self.partly else DRAWN)
        return {
            "Software": f"distill {__version__}",
            "Comment": f"{how} by a neural network: {self.by}",
            XMP: PACKET.format(source),
        }


def to_uint8(images_NCHW: Tensor) -> Tensor:
    """Turn float images in [-1, 1] into uint8 [N, H, W, 3] on the same device; values outside are clamped."""
    scaled = (images_NCHW.float() * 127.5 + 127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def to_float(images_NHWC: Tensor) -> Tensor:
    """Turn uint8 images [N, H, W, 3] into float32 [N, 3, H, W] in [-1, 1]: the way back."""
    return images_NHWC.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def area_downsample(images_NCHW: Tensor, size: int) -> Tensor:
    """Average whole square cells of float images down to `size` px; their side must be a multiple of it."""
    factor, rest = divmod(images_NCHW.shape[-1], size)
    if rest or factor < 1:
        raise ValueError(f"{images_NCHW.shape[-1]} px is not a multiple of {size} px")
    return images_NCHW if factor == 1 else F.avg_pool2d(images_NCHW, factor)


def to_numpy(images_NHWC: Tensor) -> NDArray[np.uint8]:
    """Copy uint8 images to the host."""
    array: NDArray[np.uint8] = images_NHWC.cpu().numpy()
    return array


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device; a GPU that is still at work is not waited for."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def encode_png(image_HWC: NDArray[np.uint8], mark: Mark | None = None, **facts: Any) -> bytes:
    """Return an image as a PNG, with a mark where one is given; `facts` as Pillow takes them, such as a profile."""
    buffer, notes = io.BytesIO(), PngInfo()
    for keyword, text in (mark.texts() if mark else {}).items():
        if keyword == XMP:
            notes.add_itxt(keyword, text)
        else:
            notes.add_text(keyword, text)  # as iTXt where Latin-1 has not all its letters
    Image.fromarray(image_HWC).save(buffer, "PNG", pnginfo=notes, **facts)
    return buffer.getvalue()


def write_png(path: Path, image_HWC: NDArray[np.uint8]) -> None:
    """Write an image as a PNG that is complete as soon as it has its name. Raises DiskFull and DistillError."""
    try:
        atomic_write(path, encode_png(image_HWC))
    except OSError as error:
        raise os_error(error) from error


class HostCopy:
    """A copy of a tensor to the host that is under way: other work on the GPU need not wait for it."""

    def __init__(self, tensor: Tensor) -> None:
        self._arrived: Any = None  # a CUDA event
        self._tensor = tensor
        if tensor.is_cuda:
            self._tensor = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._tensor.copy_(tensor, non_blocking=True)
            event: Any = torch.cuda.Event
            self._arrived = event()
            self._arrived.record()

    def array(self) -> NDArray[np.uint8]:
        """Wait for the copy; on a CPU it is the tensor itself."""
        if self._arrived is not None:
            self._arrived.synchronize()
        array: NDArray[np.uint8] = self._tensor.numpy()
        return array
