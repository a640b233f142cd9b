"""Brightness, contrast, luma flip, hue and saturation, multiplied into one 3x4 matrix per sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from distill.training.stylegan2.augment.draw import Draw

_GREY = torch.full((3,), 1 / math.sqrt(3.0))  # the grey axis, of length 1
_LUMA = torch.outer(_GREY, _GREY)  # keeps what is grey
_CHROMA = torch.eye(3) - _LUMA  # keeps what is colourful


def recolour(images_NCHW: Tensor, draw: Draw) -> Tensor:
    """Apply the drawn changes of colour to images [N, 3, H, W] around 0 = middle grey."""
    n, c, h, w = images_NCHW.shape
    matrix, offset = (part.to(images_NCHW.device, non_blocking=True) for part in colour_matrices(draw))
    flat = torch.baddbmm(offset[:, :, None], matrix, images_NCHW.float().reshape(n, c, h * w))
    return flat.reshape(n, c, h, w)


def colour_matrices(draw: Draw) -> tuple[Tensor, Tensor]:
    """Multiply the changes in the paper's order; returns matrices [N, 3, 3] and offsets [N, 3]."""
    offset = draw.brightness[:, None].expand(-1, 3) * draw.contrast[:, None]
    matrix = torch.eye(3) * draw.contrast[:, None, None]
    # Householder reflection across the plane that is perpendicular to the grey axis.
    flip = torch.eye(3) - 2 * _LUMA * draw.luma_flip[:, None, None]
    saturate = _LUMA + _CHROMA * draw.saturation[:, None, None]
    for change in (flip, hue_rotation(draw.hue), saturate):
        matrix, offset = change @ matrix, (change @ offset[:, :, None]).squeeze(2)
    return matrix, offset


def hue_rotation(angle_N: Tensor) -> Tensor:
    """Rotate about the grey axis by `angle` (Rodrigues): [N] -> [N, 3, 3]."""
    x, y, z = _GREY.tolist()
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    cos, sin = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    return cos * torch.eye(3) + sin * cross + (1 - cos) * _LUMA
