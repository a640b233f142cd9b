"""Who judges: the discriminator of StyleGAN2, or heads on frozen features. Both see what the augmentation left.

B images of this process, as float32 [B, 3, H, W] in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from distill.errors import DistillError
from distill.networks.efficientnet_lite import lite0_file
from distill.stylegan2.discriminator import Discriminator
from distill.stylegan2.projected import ProjectedFeatures, ProjectedHeads
from distill.training.stylegan2 import losses
from distill.training.stylegan2.optimise import lazy_adam
from distill.training.stylegan2.settings import StyleGAN2Settings
from distill.weights.state_files import read_state

Report = dict[str, Tensor | float]
CL = torch.channels_last
# The frozen features saturate outside of [-1, 1] and show no way back: without this an untrained generator's colours
# went to the corners of the cube within 2,000 images and stayed.
RANGE_WEIGHT = 10.0


class Critic(Protocol):
    """What a step asks of a judge. `network` holds what is trained."""

    @property
    def network(self) -> nn.Module: ...
    def freeze(self, layers: int) -> None:
        """Leave the first layers as they are in whatever is learnt from now on; 0 leaves none."""

    def learn(self, reals: Tensor, fakes: Tensor) -> tuple[Report, Tensor]:
        """Make one update; return its losses, and a logit [B] for each real image."""

    def regularise(self, reals: Tensor) -> Report:
        """Make the lazy update that comes every `r1_every` updates."""

    def generator_loss(self, images: Tensor) -> Tensor:
        """The generator's loss, differentiable with respect to the images."""

    def state(self) -> dict[str, Any]: ...
    def load_state(self, state: Mapping[str, Any]) -> None: ...


def make_critic(
    settings: StyleGAN2Settings, resolution: int, device: torch.device, half: torch.dtype
) -> Critic:
    """Make the critic asked for. Raises DistillError where the features of a projected one are not installed."""
    kind = ProjectedCritic if settings.critic == "projected" else DiscriminatorCritic
    return kind(settings, resolution, device, half)


class DiscriminatorCritic:
    """StyleGAN2's discriminator: non-saturating loss and lazy R1."""

    def __init__(
        self, settings: StyleGAN2Settings, resolution: int, device: torch.device, half: torch.dtype
    ) -> None:
        network = Discriminator(
            settings.channels(resolution), group=settings.group, clamp=settings.conv_clamp
        )
        self.network: nn.Module = network.to(device, memory_format=CL)  # type: ignore[call-overload]
        self.settings, self.device, self.half = settings, device, half
        self.optimiser = lazy_adam(
            self.network, settings.lr, every=settings.r1_every, scaled=half is torch.float16
        )
        self.layers, self.frozen = network.layers_from_image(), 0
        if settings.freeze_d > len(self.layers):
            raise DistillError(
                f"freeze_d {settings.freeze_d}: at {resolution} px the discriminator has {len(self.layers)} layers"
                " that can stay"
            )

    def freeze(self, layers: int) -> None:
        self.frozen = layers

    def learn(self, reals: Tensor, fakes: Tensor) -> tuple[Report, Tensor]:
        self.network.requires_grad_(True)
        for layer in self.layers[: self.frozen]:
            layer.requires_grad_(False)
        # One pass for both halves: groups of the minibatch deviation do not cross them.
        real_logits, fake_logits = self._judge(torch.cat([reals, fakes])).chunk(2)
        loss = losses.discriminator_loss(real_logits, fake_logits)
        self.optimiser.apply(loss)
        return report(loss, real_logits, fake_logits), real_logits

    def regularise(self, reals: Tensor) -> Report:
        """R1 in float32 on what the discriminator sees."""
        penalty = losses.r1_penalty(self.network, reals)
        self.optimiser.apply(penalty * (self.settings.gamma / 2 * self.settings.r1_every))
        return {"r1": penalty.detach()}

    def generator_loss(self, images: Tensor) -> Tensor:
        self.network.requires_grad_(False)
        return losses.generator_loss(self._judge(images))

    def _judge(self, images: Tensor) -> Tensor:
        with autocast(self.device, self.half):
            logits: Tensor = self.network(images)
        return logits

    def state(self) -> dict[str, Any]:
        return {"discriminator": self.network.state_dict(), "d_optimiser": self.optimiser.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["discriminator"], strict=True)
        self.optimiser.load_state(state["d_optimiser"])


class ProjectedCritic:
    """Heads on frozen features: hinge loss, spectral normalisation instead of R1 (`distill.stylegan2.projected`)."""

    def __init__(
        self, settings: StyleGAN2Settings, resolution: int, device: torch.device, half: torch.dtype
    ) -> None:
        self.device, self.half = device, half
        network = ProjectedHeads(resolution, settings.group)
        self.network: nn.Module = network.to(device, memory_format=CL)  # type: ignore[call-overload]
        tensors = read_state(lite0_file("the features of the projected critic,")).tensors
        features = ProjectedFeatures(tensors, resolution).to(device, half)
        self.features: nn.Module = features.to(memory_format=CL)  # type: ignore[call-overload]
        self.optimiser = lazy_adam(
            self.network, settings.critic_lr or settings.lr, every=None, scaled=half is torch.float16
        )

    def freeze(self, layers: int) -> None:
        """The features are frozen from the start; all layers of the heads learn."""

    def learn(self, reals: Tensor, fakes: Tensor) -> tuple[Report, Tensor]:
        self.network.requires_grad_(True)
        with torch.no_grad():
            real_maps, fake_maps = self._features(reals), self._features(fakes)
        # Apart: the heads' batch normalisation must not tell the halves by each other.
        real_logits, fake_logits = self._judge(real_maps), self._judge(fake_maps)
        loss = losses.hinge_discriminator(real_logits, fake_logits)
        self.optimiser.apply(loss)
        return report(loss, real_logits, fake_logits), real_logits.mean(dim=1)

    def regularise(self, reals: Tensor) -> Report:
        return {}

    def generator_loss(self, images: Tensor) -> Tensor:
        self.network.requires_grad_(False)
        hinge = losses.hinge_generator(self._judge(self._features(images)))
        return hinge + RANGE_WEIGHT * losses.beyond_range(images)

    def _features(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.features(images.to(self.half).contiguous(memory_format=CL))
        return maps

    def _judge(self, maps: list[Tensor]) -> Tensor:
        with autocast(self.device, self.half):
            logits: Tensor = self.network(maps)
        return logits.float()

    def state(self) -> dict[str, Any]:
        return {"heads": self.network.state_dict(), "d_optimiser": self.optimiser.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["heads"], strict=True)
        self.optimiser.load_state(state["d_optimiser"])


def report(loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> Report:
    return {
        "loss_d": loss.detach(),
        "real_logit": real_logits.detach().mean(),
        "fake_logit": fake_logits.detach().mean(),
    }


def autocast(device: torch.device, half: torch.dtype) -> torch.autocast:
    enabled = half is not torch.float32
    return torch.autocast(device.type, dtype=half if enabled else None, enabled=enabled)
