"""One update of an encoder: some rounds on samples whose w+ is known and on photos, each with its losses.

The losses are those of e4e (Tov et al. 2021) without its identity network, and the distance of w+ where it is known.
Shapes: B samples and P photos of this process, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.networks import losses
from distill.networks.encoder import EncoderShape, create_encoder
from distill.networks.perceptual import PerceptualFeatures
from distill.stylegan2.encoding import EncodingStart, rounds_of, start_of
from distill.stylegan2.generator import Generator
from distill.training import processes
from distill.training.average import average_decay, update_average
from distill.training.encoder.critic import LatentCritic, critic_loss
from distill.training.encoder.data import EncoderBatch
from distill.training.encoder.settings import EncoderSettings
from distill.training.position import RunPosition, stream_seed
from distill.training.resume import load_rule

BETAS, CRITIC_BETAS = (0.9, 0.999), (0.0, 0.99)
AVERAGE_RAMP_UP = 0.05


class EncoderStep:
    """The encoder, its critic, their optimisers. `average` is what a run is for."""

    def __init__(
        self, settings: EncoderSettings, generator: Generator, features: PerceptualFeatures, *, seed: int
    ) -> None:
        self.settings, self.generator, self.features = settings, generator, features
        self.device = generator.device
        shape = EncoderShape(
            resolution=generator.resolution,
            num_ws=generator.num_ws,
            w_dim=generator.w_dim,
            width=settings.width,
        )
        self.encoder = create_encoder(shape, seed=stream_seed(seed, 0, "encoder")).to(self.device)
        self.average = copy.deepcopy(self.encoder).eval().requires_grad_(False)
        self.critic = LatentCritic(generator.w_dim, seed=stream_seed(seed, 0, "critic")).to(self.device)
        fused = self.device.type in ("cpu", "cuda")
        self.e_adam = torch.optim.Adam(self.encoder.parameters(), lr=settings.lr, betas=BETAS, fused=fused)
        self.c_adam = torch.optim.Adam(
            self.critic.parameters(), lr=settings.critic_lr, betas=CRITIC_BETAS, fused=fused
        )
        self.start: EncodingStart = start_of(generator)

    def update(self, batch: EncoderBatch, position: RunPosition) -> Mapping[str, Tensor | float]:
        """Make one update; return each loss by name, that of the last round."""
        wanted_BLD = self._samples(batch)
        with torch.no_grad():
            samples = self.generator.network.synthesis(wanted_BLD)
            images = (
                torch.cat([samples, batch.photos.to(self.device, non_blocking=True)])
                if len(batch.photos)
                else samples
            )
            features = self.features(images)
        self.e_adam.zero_grad(set_to_none=True)
        found: dict[str, Tensor] = {}
        ws = wanted_BLD
        rounds = self.settings.rounds
        for ws, drawn in rounds_of(self.encoder, self.generator, self.start, images, rounds):
            found = self._losses(ws, drawn, images, features, wanted_BLD)
            torch.autograd.backward(torch.stack(list(found.values())).sum() / rounds)
        self._step(self.e_adam)
        report = {name: value.detach() for name, value in found.items()}
        if self.settings.critic_weight:
            report["loss_critic"] = self._teach_critic(wanted_BLD, ws)
        half_life = self.settings.average_kimg * 1000
        decay = average_decay(self.settings.batch, half_life, seen=position.samples, ramp_up=AVERAGE_RAMP_UP)
        update_average(self.average, self.encoder, decay)
        return self._means(report)

    def _samples(self, batch: EncoderBatch) -> Tensor:
        """w+ [B, L, D] of the samples: of one w, or from a layer on of a second."""
        layers = torch.arange(self.generator.num_ws)
        first, second = (self.generator.map(z).clone() for z in batch.z)
        upper = (layers[None] >= batch.cut[:, None]).to(self.device, non_blocking=True)
        return torch.where(upper[:, :, None], second, first)

    def _losses(
        self, ws: Tensor, drawn: Tensor, images: Tensor, features: list[Tensor], wanted_BLD: Tensor
    ) -> dict[str, Tensor]:
        settings, deviation = self.settings, self.start.deviation
        known = ws[: len(wanted_BLD)]
        found = {
            "loss_latent": settings.latent_weight * ((known - wanted_BLD) / deviation).square().mean(),
            "loss_l1": settings.pixel_weight * (drawn - images).abs().mean(),
            "loss_apart": settings.apart_weight
            * ((ws - ws.mean(dim=1, keepdim=True)) / deviation).square().mean(),
        }
        if self.features.weights:
            found["loss_perceptual"] = losses.perceptual(
                self.features(drawn), features, self.features.weights
            )
        if settings.critic_weight:
            scores = self.critic(self._seen(ws))
            found["loss_gan"] = settings.critic_weight * F.softplus(-scores).mean()
        return found

    def _seen(self, ws_NLD: Tensor) -> Tensor:
        """Every layer's w by itself, as the critic sees it."""
        seen: Tensor = ((ws_NLD - self.start.ws) / self.start.deviation).flatten(0, 1)
        return seen

    def _teach_critic(self, real_NLD: Tensor, fake_NLD: Tensor) -> Tensor:
        self.c_adam.zero_grad(set_to_none=True)
        loss = critic_loss(self.critic, self._seen(real_NLD), self._seen(fake_NLD), gamma=self.settings.gamma)
        torch.autograd.backward(loss, inputs=list(self.critic.parameters()))
        self._step(self.c_adam)
        return loss.detach()

    @staticmethod
    def _step(adam: torch.optim.Adam) -> None:
        processes.average_gradients([p for group in adam.param_groups for p in group["params"]])
        adam.step()

    def _means(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        total = processes.sum_over_processes(torch.stack(list(found.values()))) / processes.world_size()
        return dict(zip(found, total.unbind(), strict=True))

    def networks(self) -> dict[str, int]:
        """Parameters by network."""
        return {
            name: sum(p.numel() for p in getattr(self, name).parameters()) for name in ("encoder", "critic")
        }

    def shared(self) -> dict[str, Any]:
        """What a resumed run must share beside settings and data: the features."""
        return {"perceptual_features": self.features.name}

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on, as tensors and plain values."""
        return {
            **{name: getattr(self, name).state_dict() for name in ("encoder", "average", "critic")},
            **{name: getattr(self, name).state_dict() for name in ("e_adam", "c_adam")},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name in ("encoder", "average", "critic"):
            getattr(self, name).load_state_dict(state[name], strict=True)
        for name in ("e_adam", "c_adam"):
            load_rule(getattr(self, name), state[name])
