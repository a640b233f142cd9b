"""A blur of all that a critic sees, strongest at the start: first the large, then the small.

A critic that tells drawn images by the sharpness of their edges alone, as it can with clip art, teaches a generator
nothing about their content. As in the public StyleGAN3 and Projected GAN, without their fixed numbers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_SIGMA = 0.3  # px; below it a Gaussian leaves neighbours 1/260 of a pixel and less


def fading(sigma: float, samples: int, kimg: float) -> float:
    """Return the standard deviation in px after so many images: `sigma` at first, 0 from `kimg` thousand on."""
    return sigma * max(0.0, 1.0 - samples / (kimg * 1000)) if kimg else 0.0


def soften(images_NCHW: Tensor, sigma: float) -> Tensor:
    """Blur images by a Gaussian of `sigma` px, edges reflected; the same images below a third of a pixel."""
    if sigma < LEAST_SIGMA:
        return images_NCHW
    channels, height, width = images_NCHW.shape[1:]
    radius = min(math.ceil(3 * sigma), height - 1, width - 1)
    places = torch.arange(-radius, radius + 1, device=images_NCHW.device, dtype=images_NCHW.dtype)
    taps = torch.exp(-places.square() / (2 * sigma * sigma))
    kernel = (taps / taps.sum()).expand(channels, 1, -1)
    x = F.pad(images_NCHW, [radius] * 4, mode="reflect")
    x = F.conv2d(x, kernel[:, :, None], groups=channels)
    return F.conv2d(x, kernel[:, :, :, None], groups=channels)
