"""What a network sees of an image: the whole of it, or the face cut out in one of two ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from distill.errors import DistillError
from distill.faces.alignment import Pixels, align, as_rgb
from distill.faces.detection import Face, chip_details
from distill.faces.dlib_files import dlib_module

# Of the 68 landmarks, in the order of dlib's five-point model: the corners of the eye at the right of the image
# (outer, inner), those of the eye at its left (outer, inner), the base of the nose.
FIVE_OF_68 = (45, 42, 36, 39, 33)


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Cut [height, width, 3] out of an image [H, W, 3] of any size; see `InputSettings` for the kinds.

    With 5 `points` a chip is placed as dlib's five-point model does it, by five of the 68 landmarks. Only settings
    are held, so it can be sent to a worker. All but "whole" need a face: without one a call raises DistillError.
    """

    kind: Literal["whole", "chip", "ffhq"]
    height: int
    width: int
    padding: float = 0.25
    points: int = 68

    @property
    def needs_face(self) -> bool:
        return self.kind != "whole"

    def __call__(self, image: Pixels, face: Face | None) -> Pixels:
        if self.kind == "whole":
            return _middle(image, self.height, self.width)
        if face is None:
            raise DistillError(f"crop {self.kind!r} needs a face")
        if self.kind == "ffhq":
            return align(image, face.landmarks, self.height)
        points = face.landmarks[list(FIVE_OF_68)] if self.points == len(FIVE_OF_68) else face.landmarks
        plan = chip_details(points, self.height, self.padding)
        return np.asarray(dlib_module().extract_image_chip(as_rgb(image), plan))


def cut_all(crops: Mapping[str, Crop], image: Pixels, face: Face | None) -> dict[str, Pixels]:
    """Cut what each of a scorer's networks sees."""
    return {name: crop(image, face) for name, crop in crops.items()}


def _middle(image: Pixels, height: int, width: int) -> Pixels:
    """Take the largest part of that shape in the middle, and scale it (Lanczos)."""
    pixels = as_rgb(image)
    full_height, full_width = pixels.shape[:2]
    scale = min(full_height / height, full_width / width)
    tall, wide = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (full_height - tall) // 2, (full_width - wide) // 2
    part = pixels[top : top + tall, left : left + wide]
    if part.shape[:2] == (height, width):
        return np.ascontiguousarray(part)
    return np.array(Image.fromarray(part).resize((width, height), Image.Resampling.LANCZOS))
