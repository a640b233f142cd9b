"""PatchGAN: a discriminator of images alone, which scores overlapping patches of 70 x 70 px.

Isola et al. 2017 (section 3.2.2) and Zhu et al. 2017, appendix 7.2. Layers stand at the positions of the public
CycleGAN, so tensors carry the names of published files: `model.0.weight` … `model.11.bias`.
Shapes: N samples, C channels, H W image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill.errors import DistillError
from distill.networks.pix2pixhd import SLOPE, Norm, initialise, normalisation


class PatchDiscriminator(nn.Module):
    """Images [N, C, H, W] -> scores [N, 1, h, w], [N, 1, 30, 30] at 256 px; 2,764,737 parameters by default.

    `layers` of stride 2, two of stride 1. `single`: one score an image [N, 1, 1, 1], the mean over its patches.
    Convolutions keep their bias before batch normalisation, where it does nothing.
    """

    def __init__(
        self,
        inputs: int = 3,
        *,
        ndf: int = 64,
        layers: int = 3,
        norm: Norm = "instance",
        single: bool = False,
    ) -> None:
        super().__init__()
        self.layers, self.single = layers, single
        found: list[nn.Module] = [
            nn.Conv2d(inputs, ndf, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
        width = ndf
        for index in range(1, layers + 1):
            before, width = width, min(ndf << index, 8 * ndf)
            conv = nn.Conv2d(before, width, 4, stride=2 if index < layers else 1, padding=1)
            found += [conv, normalisation(norm, width), nn.LeakyReLU(SLOPE, inplace=True)]
        self.model = nn.Sequential(*found, nn.Conv2d(width, 1, 4, padding=1))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        scores: Tensor = self.model(images_NCHW)
        return scores.mean(dim=(2, 3), keepdim=True) if self.single else scores

    def check_sides(self, height: int, width: int) -> None:
        """Raise DistillError for images of which no patch is left, or too few places to normalise over."""
        least = 3 << self.layers  # two places a side for the last normalisation
        if min(height, width) < least:
            raise DistillError(
                f"images of {width}x{height} px are too small for a discriminator of {self.layers} halvings: at"
                f" least {least} px are needed, or fewer d_layers"
            )


def create_patch_discriminator(
    inputs: int = 3,
    *,
    seed: int,
    ndf: int = 64,
    layers: int = 3,
    norm: Norm = "instance",
    single: bool = False,
) -> PatchDiscriminator:
    """Make one on the CPU with weights from N(0, 0.02), biases 0; the seed alone decides them."""
    with torch.device("meta"):
        network = PatchDiscriminator(inputs, ndf=ndf, layers=layers, norm=norm, single=single)
    return initialise(network.to_empty(device="cpu"), seed=seed)
