"""One update of a VAE/GAN: encoder, decoder and discriminator by the gradients of one pass (algorithm 1).

Larsen et al. 2016; what the paper leaves open is as in the public code. Shapes: B pictures in this process, N of all,
3 colours, H W image, D latent width.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from distill.networks.vaegan import (
    VAEGANAutoencoder,
    create_vaegan,
    fake_cost,
    prior_loss,
    real_cost,
    similarity_loss,
)
from distill.training import processes
from distill.training.average import average_decay, update_average
from distill.training.optimise import Optimiser, rmsprop
from distill.training.position import RunPosition, stream_seed
from distill.training.shared_norm import share_statistics
from distill.training.vaegan.settings import VAEGANSettings

AVERAGE_RAMP_UP = 0.05  # of the images seen: the longest half-life of the average
TRAINED = ("encoder", "decoder", "discriminator")
STORED = ("autoencoder", "discriminator", "average")


class VAEGANStep:
    """The three networks, an optimiser each. `average` is what a run is for.

    Noise and normalisation are those of the batch of all processes, so a run on several differs from a plain one by
    rounding only.
    """

    def __init__(self, settings: VAEGANSettings, *, seed: int, device: str = "cpu") -> None:
        self.settings, self.device = settings, torch.device(device)
        autoencoder, self.discriminator = create_vaegan(
            settings.shape(), seed=stream_seed(seed, 0, "networks")
        )
        # With batch normalisation channels last is faster on CPUs too, by a quarter.
        self.autoencoder: VAEGANAutoencoder = autoencoder
        for network in (self.autoencoder, self.discriminator):
            network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # What is shown, scored and saved: the average of the weights, or the weights.
        self.averaged = settings.average_kimg > 0
        self.average = copy.deepcopy(self.autoencoder).eval() if self.averaged else self.autoencoder
        for network in (self.autoencoder, self.discriminator):
            share_statistics(network, self.device)
        self.optimisers = {
            name: Optimiser(network, scaled=False, clip=settings.clip, rule=rmsprop)
            for name, network in self._trained().items()
        }

    def _trained(self) -> dict[str, nn.Module]:
        networks = (self.autoencoder.encoder, self.autoencoder.decoder, self.discriminator)
        return dict(zip(TRAINED, networks, strict=True))

    def update(self, images: Tensor, position: RunPosition) -> Mapping[str, Tensor | float]:
        """Make one update with pictures [B, 3, H, W] in [-1, 1]; return each loss by name."""
        real = images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        found = processes.average_losses(self._gather(real, position))
        moved = {"encoder": True, **self._who_moves(found)}
        lr = self.settings.rate(position.samples)
        for name, optimiser in self.optimisers.items():
            if moved[name]:
                optimiser.step(lr)
            else:
                optimiser.forget()
        if self.averaged:
            half_life = self.settings.average_kimg * 1000
            decay = average_decay(
                self.settings.batch, half_life, seen=position.samples, ramp_up=AVERAGE_RAMP_UP
            )
            update_average(self.average, self.autoencoder, decay, statistics=True)
        shares = {f"{name}_moved": float(moved[name]) for name in TRAINED[1:]}
        return {**found, **shares, "lr": lr}

    def _gather(self, real: Tensor, position: RunPosition) -> dict[str, Tensor]:
        """Gather the gradients of all three networks; return the losses.

        One pass of the decoder draws reconstructions and prior samples, one of the discriminator sees these and the
        pictures, so the running means of their normalisation fit all of them.
        """
        settings, networks = self.settings, self.autoencoder
        mean, log_variance = networks.encoder(real)
        noise, prior = self._latents(len(real), position)
        z = mean + (log_variance / 2).exp() * noise
        made = networks.decoder(torch.cat([z, prior]))
        kl = prior_loss(mean, log_variance)
        found, of_likeness, of_judgement = self._judge(real, made.detach())
        ways = torch.ones_like(kl) * settings.prior_weight, of_likeness
        encoder, decoder = (self.optimisers[name].parameters for name in TRAINED[:2])
        torch.autograd.backward((kl, made), ways, inputs=encoder, retain_graph=True)
        torch.autograd.backward(made, settings.gamma * of_likeness + of_judgement, inputs=decoder)
        return {"loss_prior": kl.detach(), **found}

    def _judge(self, real: Tensor, made: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Gather the discriminator's gradient; return the losses, and two gradients of what was made [2B, ...].

        `made` are reconstructions, then prior samples. The gradients: of their likeness to the pictures, and of how
        they are judged, which the decoder goes down.
        """
        made.requires_grad_()
        features, logits = self.discriminator(torch.cat([real, made]), self.settings.similarity_layer)
        of_real, of_rebuilt, _ = features.chunk(3)
        on_real, on_rebuilt, on_sampled = logits.chunk(3)
        likeness = similarity_loss(of_rebuilt, of_real)
        costs = {
            "cost_real": real_cost(on_real),
            "cost_rebuilt": fake_cost(on_rebuilt),
            "cost_sampled": fake_cost(on_sampled),
        }
        costs["cost_fake"] = (costs["cost_rebuilt"] + costs["cost_sampled"]) / 2
        # -L_GAN. Pictures count as much as both kinds of fakes (the public code).
        judged = 2 * (costs["cost_real"] + costs["cost_fake"])
        seen = -judged
        if self.settings.decoder_loss == "non-saturating":
            seen = real_cost(on_rebuilt) + real_cost(on_sampled)
        (of_likeness,) = torch.autograd.grad(likeness, made, retain_graph=True)
        (of_judgement,) = torch.autograd.grad(seen, made, retain_graph=True)
        torch.autograd.backward(judged, inputs=self.optimisers[TRAINED[2]].parameters)
        losses = {
            "loss_similarity": likeness,
            "loss_g": self.settings.gamma * likeness + seen,
            "loss_d": judged,
        }
        found = {name: value.detach() for name, value in (losses | costs).items()}
        return found, of_likeness, of_judgement

    def _latents(self, share: int, position: RunPosition) -> tuple[Tensor, Tensor]:
        """Noise of the encoder's z [B, D], and samples of the prior [B, D]: this process's part."""
        everyone = share * processes.world_size()
        drawn = torch.randn(2, everyone, self.settings.latent, generator=position.generator("latents"))
        noise, prior = drawn.narrow(1, processes.rank() * share, share).to(self.device, non_blocking=True)
        return noise, prior

    def _who_moves(self, found: Mapping[str, Tensor]) -> dict[str, bool]:
        """Let the discriminator wait where it is far ahead, the decoder where it is; both learn where both are.

        The guard of the public code; without it one of the two soon wins for good.
        """
        settings = self.settings
        if settings.margin is None:
            return {"decoder": True, "discriminator": True}
        real, fake = (float(found[name]) for name in ("cost_real", "cost_fake"))
        costs = (real, fake) if settings.guard == "either" else ((real + fake) / 2,)
        discriminator = min(costs) >= settings.equilibrium - settings.margin
        decoder = max(costs) <= settings.equilibrium + settings.margin
        both = not (discriminator or decoder)
        return {"decoder": decoder or both, "discriminator": discriminator or both}

    @torch.no_grad()
    def encode(self, images_BCHW: Tensor) -> Tensor:
        """Mean z [B, D] of pictures in [-1, 1], by the weights that are kept, on the step's device."""
        with self._at_rest() as network:
            mean: Tensor = network.encoder(images_BCHW.to(self.device))[0]
        return mean

    @torch.no_grad()
    def decode(self, z_BD: Tensor) -> Tensor:
        """Draw pictures [B, 3, H, W] in [-1, 1], by the weights that are kept, on the step's device."""
        with self._at_rest() as network:
            images: Tensor = network.decoder(z_BD.to(self.device))
        return images

    @contextmanager
    def _at_rest(self) -> Iterator[VAEGANAutoencoder]:
        training = self.average.training
        self.average.eval()
        yield self.average
        self.average.train(training)

    def networks(self) -> dict[str, int]:
        """Parameters by network."""
        return {name: sum(p.numel() for p in n.parameters()) for name, n in self._trained().items()}

    def shared(self) -> dict[str, Any]:
        """Nothing beside the settings."""
        return {}

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on, as tensors and plain values."""
        return {
            **{name: getattr(self, name).state_dict() for name in self._stored()},
            "optimisers": {name: optimiser.state() for name, optimiser in self.optimisers.items()},
        }

    def _stored(self) -> tuple[str, ...]:
        return STORED if self.averaged else STORED[:2]

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name in self._stored():
            getattr(self, name).load_state_dict(state[name], strict=True)
        for name, optimiser in self.optimisers.items():
            optimiser.load_state(state["optimisers"][name])
