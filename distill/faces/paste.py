"""Put edited faces back where they were cut out of a photo: the way back of `alignment.warp_quad`.

The edit is moved by the inverse of the cut, reduced without aliasing or enlarged smoothly, and laid over the photo
with a mask that fades to nothing before the edge of the crop. Coordinates as in `alignment`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.errors import DistillError
from distill.faces.alignment import Floats, Pixels, as_points, as_rgb, blurred_margins, quad_cut

FEATHER = 0.25  # of the crop's side: the rim over which an edit fades into the photo
CORNERS = 3  # of the mask |u|³ + |v|³ = 1, between a circle (2) and a square: the crop's corners show no face
RIVALRY = 4  # where faces overlap, each counts by its mask to this power: the nearer wins, without a seam

Mask = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceEdit:
    """An edited crop [S, S, 3]; `quad` [4, 2] is what `warp_quad` was given to cut it, at the same S.

    `opacity` 0 to 1: how much of the edit is to be seen.
    """

    quad: Floats
    pixels: Pixels
    opacity: float = 1.0


class _Box(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int


def paste_back(photo: Pixels, edits: Sequence[FaceEdit], *, feather: float = FEATHER) -> Pixels:
    """Return the photo [H, W, 3] with the edits blended in; where no mask reaches, its bytes are unchanged.

    `feather` is the share of a crop's side over which the edit fades (0 to 0.5). What a crop shows of the mirrored
    and blurred surroundings of a photo is not pasted. The order of the edits does not matter but for the last bit.
    Raises DistillError for an edit that is no square and for a quad that is no parallelogram.
    """
    if not 0 < feather <= 0.5:
        raise DistillError(f"feather is a share of the crop's side above 0 and up to 0.5, not {feather}")
    source = as_rgb(photo)
    result = source.copy()
    places = [_Place(edit, source.shape[0], source.shape[1], feather) for edit in edits]
    for place in places:
        box = place.box
        if box.left >= box.right or box.top >= box.bottom:
            continue
        own = place.mask(box)
        rivals = [other.mask(box) for other in places if other is not place and _meet(other.box, box)]
        weight = own if not rivals else _share(own, rivals)
        where = np.s_[box.top : box.bottom, box.left : box.right]
        weight = weight * np.float32(place.opacity)
        change = (place.moved().astype(np.float32) - source[where]) * weight[..., None]
        result[where] = np.clip(np.rint(result[where] + change), 0, 255).astype(np.uint8)
    return result


def _share(own: Mask, rivals: Sequence[Mask]) -> Mask:
    """Divide the cover of a pixel, that of its strongest mask, among the masks."""
    total = own**RIVALRY + np.sum([rival**RIVALRY for rival in rivals], axis=0)
    cover = np.maximum(own, np.max(rivals, axis=0))
    return np.where(own > 0, cover * own**RIVALRY / np.maximum(total, np.finfo(np.float32).tiny), 0.0)


def _meet(a: _Box, b: _Box) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom


class _Place:
    """Where one edit goes in a photo of this size."""

    def __init__(self, edit: FaceEdit, height: int, width: int, feather: float) -> None:
        self.pixels, self.opacity = as_rgb(edit.pixels), edit.opacity
        self.size = self.pixels.shape[0]
        if self.pixels.shape[1] != self.size:
            raise DistillError(f"an edited face is square, not {self.pixels.shape[1]}×{self.size} pixels")
        self.height, self.width, self.feather = height, width, feather
        # From here on (x, y) counts from the corner of the first pixel, as Pillow does.
        corners = quad_cut(as_points(edit.quad, 4, "quad"), height, width, self.size) + 0.5
        self.corner, self.right, self.down = corners[0], corners[3] - corners[0], corners[1] - corners[0]
        self.sides = np.hypot(*self.right), np.hypot(*self.down)
        off = np.abs(corners[2] - corners[0] - self.right - self.down).max()
        if min(self.sides) < 1 or off > 1e-3 * max(self.sides):
            raise DistillError("the quad of an edited face is not a parallelogram of a pixel or more")
        self.blurred = blurred_margins(edit.quad, height, width, self.size)
        low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
        left, top = np.maximum(low, 0).astype(int).tolist()
        right, bottom = np.minimum(high, (width, height)).astype(int).tolist()
        self.box = _Box(left, top, right, bottom)

    def to_crop(self, side_u: float, side_v: float) -> Floats:
        """The affine map [2, 3] from photo (x, y) to the crop, scaled to sides `side_u` and `side_v`."""
        inverse = np.linalg.inv(np.stack([self.right, self.down], axis=1)) * [[side_u], [side_v]]
        return np.concatenate([inverse, -(inverse @ self.corner)[:, None]], axis=1)

    def moved(self) -> Pixels:
        """The edit as the photo shows it, over the whole box; black outside the quad."""
        picture = Image.fromarray(self.pixels)
        # Reduce first where the photo shows the face smaller: the transform samples, it does not average.
        width, height = (min(self.size, max(1, round(side))) for side in self.sides)
        if (width, height) != picture.size:
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        matrix = self.to_crop(width, height)
        matrix[:, 2] += matrix[:, :2] @ (self.box.left, self.box.top)
        size = (self.box.right - self.box.left, self.box.bottom - self.box.top)
        data = tuple(matrix.ravel().tolist())
        return np.asarray(picture.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC))

    def mask(self, box: _Box) -> Mask:
        """The weight of the edit [h, w] in a box: 1 in the middle, 0 from shortly before the crop's edge on."""
        x = np.arange(box.left, box.right, dtype=np.float32) + 0.5
        y = np.arange(box.top, box.bottom, dtype=np.float32)[:, None] + 0.5
        (a, b, c), (d, e, f) = self.to_crop(1.0, 1.0).astype(np.float32)
        u, v = np.abs(a * x + b * y + c - 0.5), np.abs(d * x + e * y + f - 0.5)
        # From 0 on the rim to 0.5 in the middle; two photo pixels of it are kept clear, as far as sampling reaches.
        inside = 0.5 - (u**CORNERS + v**CORNERS) ** np.float32(1 / CORNERS) - np.float32(2 / min(self.sides))
        weight = _smooth(inside / np.float32(self.feather))
        (left, top), (right, bottom) = self.blurred
        for distance, reach in ((x, left), (self.width - x, right), (y, top), (self.height - y, bottom)):
            if reach > 0:
                weight *= _smooth(distance / np.float32(reach))
        return weight


def _smooth(t: NDArray[np.float32]) -> Mask:
    """0 below 0, 1 above 1, between them a curve without corners (3t² - 2t³)."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
