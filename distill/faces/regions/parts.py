"""The parts of a picture, and what gives their masks.

A mask is float32 in 0..1. N pictures, H W px, L w+ layers, D latent width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator
from torch import Tensor

from distill.errors import DistillError
from distill.faces.alignment import Floats
from distill.weights.safe_pickle.machine import shown

FEATURES = ("eyes", "nose", "mouth")  # the eyes with their brows
FACE = "face"  # skin, and the features in it
PARTS = (*FEATURES, FACE, "hair", "background", "clothes")
INSIDE = 0.5  # a pixel of at least this much lies in the part

Mask = NDArray[np.float32]


def _known(part: str) -> str:
    if part not in PARTS:
        raise ValueError(f"{shown(part, 60)!r} is not one of {', '.join(PARTS)}")
    return part


PartName = Annotated[str, AfterValidator(_known)]  # in a file


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionPictures:
    """Pictures uint8 [N, H, W, 3] whose parts are asked for.

    `faces`: the 68 landmarks [68, 2] of each, in its own px, or None where no face was found. `ws`: the w+ [N, L, D]
    that drew them, for regions of a generator. `names`: what errors call them, by default their numbers.
    """

    images: NDArray[np.uint8]
    faces: Sequence[Floats | None]
    ws: Tensor | None = None
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        others = [len(self.faces), *([] if self.ws is None else [len(self.ws)])]
        if self.images.ndim != 4 or any(other != len(self.images) for other in others):
            raise DistillError(
                f"regions: images {list(self.images.shape)} need a face, or None, and a w+ each; there are"
                f" {' and '.join(map(str, others))}"
            )

    def name(self, number: int) -> str:
        return self.names[number] if self.names else f"picture {number + 1}"


class RegionSource(Protocol):
    """Gives masks of the `parts` that it knows; `face_parts` are those it takes from the landmarks."""

    @property
    def parts(self) -> Sequence[str]: ...

    @property
    def face_parts(self) -> Sequence[str]: ...

    def masks(self, pictures: RegionPictures, parts: Sequence[str], /) -> dict[str, Mask]:
        """Return [N, H, W] by part, all 0 where a picture lacks it; `parts` are among those that it knows."""


class JoinedRegions:
    """Several sources as one: each part by the first that knows it."""

    def __init__(self, *sources: RegionSource) -> None:
        self._of = {part: source for source in reversed(sources) for part in source.parts}

    @property
    def parts(self) -> Sequence[str]:
        return [part for part in PARTS if part in self._of]

    @property
    def face_parts(self) -> Sequence[str]:
        return [part for part in self.parts if part in self._of[part].face_parts]

    def masks(self, pictures: RegionPictures, parts: Sequence[str], /) -> dict[str, Mask]:
        found: dict[str, Mask] = {}
        for source in dict.fromkeys(self._of[part] for part in parts):
            found |= source.masks(pictures, [part for part in parts if self._of[part] is source])
        return {part: found[part] for part in parts}


def region_masks(
    source: RegionSource, pictures: RegionPictures, parts: Sequence[str] | None = None
) -> dict[str, Mask]:
    """Return the masks [N, H, W] of the parts, by default of all that the source knows.

    Raises DistillError, in one line, for an unknown part, and for a picture that has no face where one is needed or
    no pixels of a part. Who would rather leave such pictures out asks `has_part`.
    """
    wanted = source.parts if parts is None else parts
    check_parts(source, wanted)
    for part in wanted:
        missing = [n for n, face in enumerate(pictures.faces) if face is None]
        if missing and part in source.face_parts:
            raise DistillError(
                f"{pictures.name(missing[0])}: no face was found in it; the region {part!r} is placed by one"
            )
    found = source.masks(pictures, wanted)
    for part, mask_NHW in found.items():
        empty = np.flatnonzero(~has_part(mask_NHW))
        if len(empty):
            raise DistillError(
                f"{pictures.name(int(empty[0]))}: the region {part!r} has no pixels there; take another picture or"
                " another part"
            )
    return found


def check_parts(source: RegionSource, parts: Sequence[str]) -> None:
    """Raise DistillError for a part that the source does not know, with the list of those that it does."""
    for part in parts:
        if part not in source.parts:
            raise DistillError(f"part {shown(part, 60)!r} is not one of {', '.join(source.parts)}")


def has_part(mask_NHW: Mask) -> NDArray[np.bool_]:
    """Tell of which pictures [N] some pixel lies in the part."""
    return np.asarray((mask_NHW >= INSIDE).any(axis=(1, 2)))


def overlap(a: Mask, b: Mask) -> float:
    """Return the intersection of two soft masks over their union, 0 to 1; 0 where both are empty."""
    union = float(np.maximum(a, b).sum(dtype=np.float64))
    return float(np.minimum(a, b).sum(dtype=np.float64)) / union if union else 0.0
