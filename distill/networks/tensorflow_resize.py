"""The resizing in front of the networks that FID and precision and recall are defined by."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def tensorflow_resize(images_NCHW: Tensor, side: int) -> Tensor:
    """Resize bilinearly as TensorFlow 1 did, to a square: pixel i of the result lies at i × (old side / new side).

    The first pixels of both coincide, instead of their outer edges; nothing is smoothed before it is made smaller.
    """
    height, width = images_NCHW.shape[2:]
    rows, columns = (_places(side, old, images_NCHW.device) for old in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    places_NHW2 = torch.stack([x, y], dim=-1).expand(len(images_NCHW), -1, -1, -1)
    return F.grid_sample(
        images_NCHW, places_NHW2, mode="bilinear", padding_mode="border", align_corners=False
    )


def _places(new: int, old: int, device: torch.device) -> Tensor:
    """Where the new pixels lie, from -1 at the outer edge of the old ones to 1 at the other."""
    return (torch.arange(new, device=device, dtype=torch.float32) * (2 / new)) + (1 / old - 1)
