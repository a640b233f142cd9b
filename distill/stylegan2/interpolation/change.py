"""How much an image changed inside a region and outside. N images, H = W image side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.stylegan2.networks import EPS


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionChange:
    """Mean absolute differences of pixels on the 0..1 scale, [N] each.

    Of the result and the person, `inside` the region and `outside`; of the result and the reference, inside.
    """

    inside: Tensor
    outside: Tensor
    to_reference: Tensor


def region_change(person: Tensor, result: Tensor, reference: Tensor, masks_NHW: Tensor) -> RegionChange:
    """Compare images [N, 3, H, W] in [-1, 1], weighted by the mask and by 1 - mask.

    Outside of a mask that covers everything nothing can change: 0. Values beyond [-1, 1] are cut, as when stored.
    """
    person, result, reference = (image.clamp(-1, 1) for image in (person, result, reference))
    masks = masks_NHW[:, None].to(result)
    return RegionChange(
        inside=_mean(person - result, masks),
        outside=_mean(person - result, 1 - masks),
        to_reference=_mean(reference - result, masks),
    )


def _mean(difference_NCHW: Tensor, weight_N1HW: Tensor) -> Tensor:
    weighed = (difference_NCHW.abs() / 2).mean(dim=1, keepdim=True) * weight_N1HW
    total = weight_N1HW.sum(dim=(1, 2, 3))
    return torch.where(total > 0, weighed.sum(dim=(1, 2, 3)) / total.clamp(min=EPS), 0.0)
