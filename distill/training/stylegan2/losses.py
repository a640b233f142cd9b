"""The losses, as functions of logits and gradients.

Goodfellow et al. 2014 (non-saturating), Mescheder et al. 2018 (R1), Karras et al. 2020 (lazy regularisation,
path length). N samples, L layers, D latent width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.stylegan2.convolution import image_gradient, twice_differentiable


def generator_loss(fake_logits_N: Tensor) -> Tensor:
    """-log sigmoid(D(fake)), averaged."""
    return F.softplus(-fake_logits_N).mean()


def discriminator_loss(real_logits_N: Tensor, fake_logits_N: Tensor) -> Tensor:
    """-log sigmoid(D(real)) - log(1 - sigmoid(D(fake))), averaged."""
    return F.softplus(-real_logits_N).mean() + F.softplus(fake_logits_N).mean()


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """max(0, 1 - D(real)) + max(0, 1 + D(fake)), averaged over samples and places (Sauer et al. 2021)."""
    return F.relu(1.0 - real_logits).mean() + F.relu(1.0 + fake_logits).mean()


def hinge_generator(fake_logits: Tensor) -> Tensor:
    """-D(fake), averaged over samples and places."""
    return -fake_logits.mean()


def r1_penalty(judge: Callable[[Tensor], Tensor], images_NCHW: Tensor) -> Tensor:
    """The mean over samples of |dD/dx|^2 at the images that the judge sees, without gamma / 2."""
    images = images_NCHW.detach().requires_grad_(True)
    with twice_differentiable():
        gradient = image_gradient(judge(images).sum(), images)
    return gradient.square().sum(dim=[1, 2, 3]).mean()


def path_lengths(images_NCHW: Tensor, ws_NLD: Tensor, direction_NCHW: Tensor) -> Tensor:
    """|J^T y| with y = direction / side, root mean square over layers: [N].

    `images` must be drawn from `ws` with gradients; the direction is standard normal (appendix B).
    """
    y = direction_NCHW / (images_NCHW.shape[-2] * images_NCHW.shape[-1]) ** 0.5
    (gradient,) = torch.autograd.grad((images_NCHW * y).sum(), ws_NLD, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def path_penalty(lengths_N: Tensor, mean: Tensor) -> Tensor:
    """The mean of (length - a)^2, where a is the running mean of lengths."""
    return (lengths_N - mean).square().mean()


def beyond_range(images: Tensor) -> Tensor:
    """Mean square of how far values lie outside of [-1, 1]."""
    return (images.abs() - 1).clamp(min=0).square().mean()
