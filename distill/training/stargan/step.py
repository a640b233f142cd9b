"""One update of a StarGAN: the critic on a batch of pictures, and every few updates the generator.

Choi et al. 2018, section 3.1; losses, their weights and their order as in the public implementation. Shapes: B
pictures of this process, N of all, A attributes, H W image.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.networks.stargan import (
    CriticArchitecture,
    StarGANArchitecture,
    create_critic,
    create_generator,
)
from distill.training import processes
from distill.training.average import average_decay, update_average
from distill.training.optimise import Optimiser
from distill.training.position import RunPosition, stream_seed
from distill.training.stargan.settings import G_SHAPE, StarGANSettings

AVERAGE_RAMP_UP = 0.05  # of the images seen: the longest half-life of the average
STORED = ("generator", "critic", "average")

Batch = tuple[Tensor, Tensor]  # pictures, their labels


class StarGANStep:
    """Generator, critic, and an optimiser for each. `average` is what a run is for.

    Target labels and the places of the gradient penalty are drawn for the batch of all processes, so a run on several
    differs from a plain one by rounding only.
    """

    def __init__(
        self,
        settings: StarGANSettings,
        architecture: StarGANArchitecture,
        critic: CriticArchitecture,
        *,
        seed: int,
        device: str = "cpu",
        half: torch.dtype = torch.float32,
    ) -> None:
        self.settings, self.architecture, self.schedule = settings, architecture, settings.schedule()
        self.device, self.half = torch.device(device), half
        # Plain float32 convolutions on CPUs are slower with channels last.
        fast_last = self.device.type == "cuda" or half is not torch.float32
        self.layout = torch.channels_last if fast_last else torch.contiguous_format
        self.generator = create_generator(architecture, seed=stream_seed(seed, 0, "generator"))
        self.critic = create_critic(critic, seed=stream_seed(seed, 0, "critic"))
        for network in (self.generator, self.critic):
            network.to(self.device, memory_format=self.layout)  # type: ignore[call-overload]
        # What is shown, scored and saved: the average of the weights, or the weights.
        averaged = settings.average_kimg > 0
        self.average = copy.deepcopy(self.generator).eval() if averaged else self.generator
        scaled = half is torch.float16
        self.g_optimiser = Optimiser(self.generator, scaled=scaled)
        self.d_optimiser = Optimiser(self.critic, scaled=scaled)

    def begin_from(self, generator: Mapping[str, Tensor], critic: Mapping[str, Tensor] | None) -> None:
        """Give the generator, its average, and the critic the tensors of others of their architecture."""
        for network in (self.generator, self.average):
            network.load_state_dict(generator, strict=True)
        if critic is not None:
            self.critic.load_state_dict(critic, strict=True)

    def update(self, batch: Batch, position: RunPosition) -> Mapping[str, Tensor | float]:
        """Make one update with pictures [B, 3, H, W] in [-1, 1] and labels [B, A]; return each loss by name."""
        images = batch[0].to(self.device, non_blocking=True).contiguous(memory_format=self.layout)
        labels = batch[1].to(self.device, non_blocking=True)
        targets = self._targets(labels, position)
        lr = self.schedule.at(position.samples)
        found = self._teach_critic(images, labels, targets, position)
        self.d_optimiser.step(lr)
        if (position.updates + 1) % self.settings.n_critic == 0:
            found |= self._teach_generator(images, labels, targets)
            self.g_optimiser.step(lr)
            processes.average_buffers(self.generator)
            self._update_average(position)
        return {**processes.average_losses(found), "lr": lr}

    def _targets(self, labels_BA: Tensor, position: RunPosition) -> Tensor:
        """Labels to translate to: those of the batch of all processes in another order; this process's part."""
        everyone = processes.gather(labels_BA)
        order = torch.randperm(len(everyone), generator=position.generator("targets"))
        return self._own(everyone[order.to(everyone.device, non_blocking=True)], len(labels_BA))

    def _own(self, everyone_NX: Tensor, share: int) -> Tensor:
        """Of rows of all processes, those of this one."""
        return everyone_NX.narrow(0, processes.rank() * share, share)

    def _teach_critic(
        self, images: Tensor, labels: Tensor, targets: Tensor, position: RunPosition
    ) -> dict[str, Tensor]:
        """Gather the critic's gradients; return its losses."""
        with self._autocast():
            with torch.no_grad():
                fake = self.generator(images, targets)
            # Without normalisation samples do not see each other: one pass for both.
            scores, logits = self.critic(torch.cat([images, fake.to(images.dtype)]))
        real_scores, fake_scores = scores.float().chunk(2)
        found = {
            "loss_d_gan": fake_scores.mean() - real_scores.mean(),
            "loss_d_class": self.settings.class_weight * _classes(logits[: len(images)], labels),
            "loss_penalty": self.settings.penalty_weight * self._penalty(images, fake.float(), position),
        }
        found["loss_d"] = torch.stack(list(found.values())).sum()
        self.d_optimiser.gather(found["loss_d"])
        return {name: value.detach() for name, value in found.items()}

    def _penalty(self, real: Tensor, fake: Tensor, position: RunPosition) -> Tensor:
        """The mean of (|dD/dx| - 1)^2 between pictures and outputs (Gulrajani et al. 2017), in float32."""
        random = position.generator("penalty")
        places = torch.rand(len(real) * processes.world_size(), 1, 1, 1, generator=random)
        share = self._own(places.to(self.device, non_blocking=True), len(real))
        between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
        scores, _ = self.critic(between)
        (slope,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        lengths: Tensor = slope.flatten(1).norm(dim=1)
        return (lengths - 1).square().mean()

    def _teach_generator(self, images: Tensor, labels: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Gather the generator's gradients; return its losses."""
        with self._autocast():
            fake = self.generator(images, targets)
            scores, logits = self.critic(fake)
            back = self.generator(fake, labels)
        found = {
            "loss_gan": -scores.float().mean(),
            "loss_class": self.settings.class_weight * _classes(logits, targets),
            "loss_cycle": self.settings.cycle_weight * (back - images).abs().mean(),
        }
        found["loss_g"] = torch.stack(list(found.values())).sum()
        self.g_optimiser.gather(found["loss_g"])
        return {name: value.detach() for name, value in found.items()}

    def _autocast(self) -> torch.autocast:
        half = self.half is not torch.float32
        return torch.autocast(self.device.type, dtype=self.half if half else None, enabled=half)

    def _update_average(self, position: RunPosition) -> None:
        if self.average is self.generator:
            return
        half_life = self.settings.average_kimg * 1000
        between = self.settings.batch * self.settings.n_critic  # samples since the generator's last update
        decay = average_decay(between, half_life, seen=position.samples, ramp_up=AVERAGE_RAMP_UP)
        update_average(self.average, self.generator, decay, statistics=True)

    @torch.no_grad()
    def translate(self, images_BCHW: Tensor, labels_BA: Tensor) -> Tensor:
        """Turn images [B, 3, H, W] in [-1, 1] into such with labels [B, A], float32, on the step's device."""
        network: nn.Module = self.average
        training = network.training
        network.eval()
        with self._autocast():
            images = images_BCHW.to(self.device).contiguous(memory_format=self.layout)
            made: Tensor = network(images, labels_BA.to(self.device))
        network.train(training)
        return made.float()

    def tell(self, images_BCHW: Tensor) -> Tensor:
        """Tell which attributes the critic sees [B, A], 0 or 1, on the step's device."""
        return self.critic.tell(images_BCHW.to(self.device).contiguous(memory_format=self.layout))

    def networks(self) -> dict[str, int]:
        """Parameters by network."""
        named = {"generator": self.generator, "critic": self.critic}
        return {name: sum(p.numel() for p in network.parameters()) for name, network in named.items()}

    def shared(self) -> dict[str, Any]:
        """What a resumed run must share: the architecture."""
        return {name: getattr(self.architecture, name) for name in G_SHAPE}

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on, as tensors and plain values."""
        return {
            **{name: getattr(self, name).state_dict() for name in self._stored()},
            "g_optimiser": self.g_optimiser.state(),
            "d_optimiser": self.d_optimiser.state(),
        }

    def _stored(self) -> tuple[str, ...]:
        return STORED if self.average is not self.generator else STORED[:2]

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name in self._stored():
            getattr(self, name).load_state_dict(state[name], strict=True)
        self.g_optimiser.load_state(state["g_optimiser"])
        self.d_optimiser.load_state(state["d_optimiser"])


def _classes(logits_BA: Tensor, labels_BA: Tensor) -> Tensor:
    """Binary cross-entropy of the attributes: their sum, as a mean over the batch."""
    missed = F.binary_cross_entropy_with_logits(logits_BA.float(), labels_BA, reduction="sum")
    return missed / len(logits_BA)
