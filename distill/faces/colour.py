"""What the numbers of a picture file mean: its colour profile or its gamma, brought to sRGB.

A profile is judged by what it does to colours, never by its name: "sRGB" is in the names of linear ones too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

UNCHANGED = 2  # of 255: a profile that moves no colour further is sRGB
PROBE = np.stack(np.meshgrid(*[np.linspace(0, 255, 9)] * 3), axis=-1).reshape(27, 27, 3).astype(np.uint8)
SRGB_GAMMA, NEAR = 1 / 2.2, 0.01  # what PNGs in sRGB say, and files whose gamma is about that


def in_srgb(image: Image.Image, info: Mapping[Any, Any]) -> Image.Image:
    """Bring a picture (L, RGB or CMYK) to sRGB by its profile, else by its gamma; what does not fit is left out."""
    profile, gamma = info.get("icc_profile"), info.get("gamma")
    if profile:
        transform = to_srgb(profile, image.mode)
        return image if transform is None else ImageCms.applyTransform(image, transform) or image
    if gamma and "srgb" not in info and image.mode in ("L", "RGB") and abs(gamma - SRGB_GAMMA) > NEAR:
        return image.point(_gamma_table(gamma) * len(image.getbands()))
    return image


@lru_cache(maxsize=8)
def to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what brings pictures of this profile and mode to sRGB, None where nothing does or need be done."""
    transform = _transform(profile, mode, back=False)
    if transform is None or mode != "RGB":
        return transform
    probe = Image.fromarray(PROBE)
    moved = np.asarray(ImageCms.applyTransform(probe, transform)).astype(int) - PROBE
    return transform if np.abs(moved).max() > UNCHANGED else None


@lru_cache(maxsize=8)
def from_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """Return what brings sRGB pictures to the colours of an RGB profile, None where nothing does or need be done."""
    return _transform(profile, "RGB", back=True) if to_srgb(profile, "RGB") else None


def is_of_rgb(profile: bytes) -> bool:
    """Tell whether a profile can be read and is one of RGB pictures."""
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip() == "RGB"
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False


def _transform(profile: bytes, mode: str, *, back: bool) -> ImageCms.ImageCmsTransform | None:
    try:
        theirs, ours = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        if back:
            return ImageCms.buildTransform(ours, theirs, "RGB", mode)
        return ImageCms.buildTransform(theirs, ours, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _gamma_table(gamma: float) -> list[int]:
    """The sRGB value of each 8-bit one (IEC 61966-2-1) in a file that stores light to the power of `gamma`."""
    light = np.linspace(0, 1, 256) ** (1 / gamma)
    stored = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return [int(value) for value in np.rint(255 * stored)]
