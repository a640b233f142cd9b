"""Adaptive discriminator augmentation: the same random changes for real and drawn images before the judge.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data" (ADA), appendix B: pixel
blitting, geometry and colour. Every change is made with probability p, drawn per sample; a sample that draws
none passes bit for bit. All of it is differentiable with respect to the images.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distill.training.stylegan2.augment.adaptive import AdaptiveProbability
from distill.training.stylegan2.augment.colour import recolour
from distill.training.stylegan2.augment.draw import Draw, draw_changes
from distill.training.stylegan2.augment.geometry import blit, warp

__all__ = ["AdaptiveProbability", "Draw", "apply_changes", "augment", "draw_changes"]


def augment(images_NCHW: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Change images [N, 3, H, H], each change with probability p in [0, 1], drawn from a CPU generator."""
    return apply_changes(images_NCHW, draw_changes(len(images_NCHW), p, images_NCHW.shape[-1], generator))


def apply_changes(images_NCHW: Tensor, draw: Draw) -> Tensor:
    """Make the drawn changes: whole-pixel moves, then geometry, then colour. Untouched samples are not copied."""
    images = images_NCHW
    for change, touched in ((blit, draw.is_moved()), (warp, draw.is_bent()), (recolour, draw.is_tinted())):
        which = touched.nonzero().squeeze(1)
        if len(which) == len(images):
            images = change(images, draw)
        elif len(which):
            there = which.to(images.device, non_blocking=True)
            changed = change(images.index_select(0, there), draw[which])
            images = images.index_copy(0, there, changed.to(images.dtype))
    return images
