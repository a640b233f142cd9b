"""A mask that somebody painted: white inside of the part, black outside, grey between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.faces.decode import read_photo
from distill.faces.regions.parts import PARTS, Mask, RegionPictures


class PaintedRegion:
    """One mask for whatever part is asked for, the same in every picture."""

    parts: Sequence[str] = PARTS
    face_parts: Sequence[str] = ()

    def __init__(self, mask_HW: Mask, name: str) -> None:
        self.mask_HW, self.name = mask_HW, name

    @classmethod
    def read(cls, path: Path) -> PaintedRegion:
        """Read a PNG, or any other still picture; of colours the brightness counts. Raises DistillError."""
        grey: NDArray[np.float32] = read_photo(path).mean(axis=2, dtype=np.float32) / 255
        return cls(grey, str(path))

    def masks(self, pictures: RegionPictures, parts: Sequence[str], /) -> dict[str, Mask]:
        """Return the mask for each part. Raises DistillError for pictures of another size."""
        count, height, width, _ = pictures.images.shape
        if self.mask_HW.shape != (height, width):
            has = f"{self.mask_HW.shape[1]}×{self.mask_HW.shape[0]}"
            raise DistillError(
                f"{self.name}: a mask of {has} px for pictures of {width}×{height} px; paint it at their size"
            )
        return {part: np.repeat(self.mask_HW[None], count, axis=0) for part in parts}
