"""Style channels: what each has to do with a region, and images between two styles.

A style channel is one number of style: the scale of one channel of the features that one layer takes.

Shapes: N samples, L w+ layers, D latent width, S style channels, those of one layer after those of the other; C
channels and P pixels of one layer, H = W image side.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.errors import DistillError
from distill.stylegan2.generator import Generator
from distill.stylegan2.networks import EPS

BATCH = 16


def interpolated(persons_NS: Tensor, references_NS: Tensor, shares_NS: Tensor) -> Tensor:
    """Take each style channel its share of the way from person to reference: σ = σ_p + q (σ_g - σ_p), [N, S].

    Shares q [N or 1, S] lie in 0..1. Lewis et al. 2021, "VOGUE: Try-On by StyleGAN Interpolation Optimization".
    """
    return persons_NS + shares_NS * (references_NS - persons_NS)


def layers_of_channels(generator: Generator) -> Tensor:
    """Return the number of the w that each style channel is read from, [S]."""
    numbers = torch.tensor([index for _, _, index in generator.network.synthesis.layers])
    return numbers.repeat_interleave(torch.tensor(generator.style_widths)).to(generator.device)


@torch.inference_mode()
def contributions(generator: Generator, ws_NLD: Tensor, masks_NHW: Tensor, *, batch: int = BATCH) -> Tensor:
    """Measure how much of each style channel lies in a region, [N, S] from 0 to 1.

    M of Collins et al. 2020, "Editing in Style": the mean over pixels of A² U. A are the features that the style
    scales, each channel divided by its root mean square; U is the mask, averaged down to their size. The mean over
    samples says what a channel is for. Raises DistillError for masks that do not fit.
    """
    check_masks(generator, masks_NHW, len(ws_NLD))
    parts = zip(torch.split(ws_NLD, batch), torch.split(masks_NHW, batch), strict=True)
    return torch.cat([_contributions(generator, ws, masks) for ws, masks in parts])


def _contributions(generator: Generator, ws_NLD: Tensor, masks_NHW: Tensor) -> Tensor:
    net, by_w = generator.synthesis, []
    masks_N1HW = masks_NHW[:, None].to(generator.device, torch.float32)
    state = net.begin(len(ws_NLD))
    for number in range(generator.num_ws):  # all layers that read this w take the same features
        energy_NCP = state.features.float().square().flatten(2)
        inside_NP1 = F.adaptive_avg_pool2d(masks_N1HW, state.features.shape[-1]).flatten(2).transpose(1, 2)
        by_w.append((energy_NCP @ inside_NP1)[..., 0] / energy_NCP.sum(dim=2).clamp(min=EPS))
        state = net.run(state, ws_NLD, number, number + 1, "const")
    return torch.cat([by_w[number] for _, _, number in generator.network.synthesis.layers], dim=1)


def check_masks(generator: Generator, masks_NHW: Tensor, count: int) -> None:
    """Raise DistillError for masks of another number or size than the images, and for values outside 0..1."""
    side = generator.resolution
    if tuple(masks_NHW.shape) != (count, side, side):
        raise DistillError(
            f"masks have shape {list(masks_NHW.shape)}; {count} images of this generator need"
            f" [{count}, {side}, {side}]"
        )
    if not bool(((masks_NHW >= 0) & (masks_NHW <= 1)).all()):
        raise DistillError("masks hold numbers outside 0 to 1")
