"""From the images of a batch to what a shard stores: framed by the recipe's `align`, at its resolution.

Roles that show the same face are registered: one quad, that of the first of them that is no drawing, warps them all,
so that their pixels still correspond. A reference is another face and has its own, and so have the second
parent of a morph and the face between the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.faces.alignment import ffhq_quad, warp_quad
from distill.generation.batch import Batch
from distill.generation.recipe import Recipe
from distill.pixels import area_downsample, to_numpy, to_uint8

OTHER_FACES = ("style", "second", "morph", "reference")  # roles that are registered with nothing


def framed(batch: Batch, rows: Sequence[int], recipe: Recipe) -> dict[str, NDArray[np.uint8]]:
    """Return role -> uint8 [rows, H, W, 3] of the wanted candidates."""
    if recipe.align in ("ffhq", "chip"):
        return {role: warped(batch, role, rows, recipe) for role in recipe.roles}
    return {role: sized(batch, role, rows, recipe.resolution) for role in recipe.roles}


def sized(batch: Batch, role: str, rows: Sequence[int], size: int) -> NDArray[np.uint8]:
    """Return one role of the wanted rows at `size` px."""
    if size == batch.images[role].shape[1]:
        return batch.host(role)[list(rows)]
    return reduced(batch.drawn[role], rows, size)


def reduced(drawn_NCHW: Tensor, rows: Sequence[int], size: int) -> NDArray[np.uint8]:
    """Average the float images of the wanted rows down to `size` px, and turn them into bytes once."""
    chosen = drawn_NCHW[torch.as_tensor(list(rows), dtype=torch.long, device=drawn_NCHW.device)]
    return to_numpy(to_uint8(area_downsample(chosen.clamp(-1, 1), size)))


def warped(batch: Batch, role: str, rows: Sequence[int], recipe: Recipe) -> NDArray[np.uint8]:
    """Warp one role of the wanted rows by its leader's landmarks: [rows, size, size, 3]."""
    size, leader = recipe.resolution, leader_of(role, recipe)
    scale = batch.images[role].shape[1] / batch.images[leader].shape[1]
    out = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    for place, i in enumerate(rows):
        landmarks = in_pixels_of(batch.landmarks(leader, i), scale)
        image = batch.host(role)[i]
        if recipe.align == "ffhq":
            out[place] = warp_quad(image, ffhq_quad(landmarks), size)
        else:
            from distill.faces.detection import face_chip  # opens dlib

            out[place] = face_chip(image, landmarks, size)
    return out


def leader_of(role: str, recipe: Recipe) -> str:
    """The role whose landmarks frame this one."""
    return role if role in OTHER_FACES else recipe.face_roles[0]


def in_pixels_of(landmarks: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Return landmarks [68, 2] in an image `scale` times as large; whole numbers are the middles of pixels."""
    return landmarks if scale == 1 else (landmarks + 0.5) * scale - 0.5
