"""An update of Pix2PixHD in the plain order of the public implementation, for train_pix2pix.py to measure against.

Wang et al. 2018, section 3, and the published description of its training loop; PyTorch's defaults.
"""

from __future__ import annotations

import torch
from torch import Tensor
from updates import plain_autocast

from distill.networks import losses
from distill.networks.perceptual import PerceptualFeatures
from distill.networks.pix2pixhd import Architecture, create, create_discriminator
from distill.training.pix2pix.data import TripletBatch
from distill.training.pix2pix.settings import Pix2PixSettings
from distill.training.pix2pix.step import split_roles
from distill.training.position import RunPosition, stream_seed


class PlainOrder:
    """One update after another as the public implementation makes it."""

    def __init__(
        self,
        preset: Pix2PixSettings,
        architecture: Architecture,
        features: PerceptualFeatures,
        *,
        device: str,
        seed: int,
        half: torch.dtype = torch.float32,
    ) -> None:
        self.preset, self.features, self.device, self.half = preset, features, device, half
        self.generator = create(architecture, seed=stream_seed(seed, 0, "generator")).to(device)
        self.discriminator = create_discriminator(
            architecture.inputs + architecture.outputs, seed=stream_seed(seed, 0, "discriminator"),
            ndf=preset.ndf, layers=preset.d_layers, scales=preset.d_scales,
        ).to(device)  # fmt: skip
        networks = (self.generator, self.discriminator)
        self.adams = [
            torch.optim.Adam(net.parameters(), lr=preset.lr, betas=(0.5, 0.999)) for net in networks
        ]

    def update(self, batch: TripletBatch, place: RunPosition) -> dict[str, Tensor]:
        images = batch.images.to(self.device).float() / 127.5 - 1
        inputs, target = split_roles(images)
        with plain_autocast(self.device, self.half):
            fake = self.generator(inputs)

            on_cut_off = self.discriminator(torch.cat([inputs, fake.detach()], dim=1))
            on_real = self.discriminator(torch.cat([inputs, target], dim=1))
            on_fake = self.discriminator(torch.cat([inputs, fake], dim=1))

            loss_d = losses.lsgan_discriminator(on_real, on_cut_off)
            loss_g = losses.lsgan_generator(on_fake)
            if self.preset.feature_matching:
                loss_g = loss_g + self.preset.feature_matching * losses.feature_matching(on_real, on_fake)
            if self.preset.perceptual_weight and self.features.weights:
                distance = losses.perceptual(
                    self.features(fake), self.features(target), self.features.weights
                )
                loss_g = loss_g + self.preset.perceptual_weight * distance
            if self.preset.l1_weight:  # of pix2pix; not in the public code of Pix2PixHD
                loss_g = loss_g + self.preset.l1_weight * (fake - target).abs().mean()

        for adam, loss in zip(self.adams, (loss_g, loss_d), strict=True):
            adam.zero_grad()
            loss.backward()
            adam.step()
        return {"loss_g": loss_g.detach(), "loss_d": loss_d.detach()}
