"""One update of each baseline as its public loop makes it, for train_baselines.py to measure against.

CycleGAN: Zhu et al. 2017 and cycle_gan_model.py. StarGAN: Choi et al. 2018 and solver.py. VAE/GAN: Larsen et al.
2016, algorithm 1, with a pass for each kind of pictures. StyleGAN2: Karras et al. 2020 and loss.py of
stylegan2-ada-pytorch, without augmentation and path length. The networks are ours, so only what is done with them is
compared: passes, ways back, optimisers, layout. PyTorch's defaults; losses stay on the device.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from updates import SEED, plain_autocast

from distill.networks.patchgan import create_patch_discriminator
from distill.networks.pix2pixhd import create
from distill.networks.stargan import create_critic, create_generator
from distill.networks.vaegan import create_vaegan, fake_cost, prior_loss, real_cost, similarity_loss
from distill.stylegan2.discriminator import Discriminator
from distill.stylegan2.networks import GeneratorNetwork
from distill.training.cyclegan.settings import CycleGANSettings
from distill.training.position import RunPosition, stream_seed
from distill.training.stargan.settings import StarGANSettings
from distill.training.stylegan2.settings import StyleGAN2Settings
from distill.training.vaegan.settings import VAEGANSettings

Report = dict[str, Tensor]


def adam(networks: Iterable[nn.Module], lr: float) -> torch.optim.Adam:
    parameters = itertools.chain(*(network.parameters() for network in networks))
    return torch.optim.Adam(parameters, lr=lr, betas=(0.5, 0.999))


def reported(found: dict[str, Any]) -> Report:
    return {name: value.detach() for name, value in found.items()}


class PlainCycleGAN:
    """Six passes of generators, forward and back at once; then each discriminator by itself, two passes each."""

    def __init__(self, settings: CycleGANSettings, side: int, *, device: str, half: torch.dtype) -> None:
        self.settings, self.device, self.half = settings, device, half
        shape = settings.architecture(side)
        self.a2b, self.b2a = (
            create(shape, seed=stream_seed(SEED, 0, key)).to(device) for key in ("a2b", "b2a")
        )
        self.on_a, self.on_b = (
            create_patch_discriminator(
                seed=stream_seed(SEED, 0, f"discriminator-{key}"),
                ndf=settings.ndf,
                layers=settings.d_layers,
                norm=shape.norm,
            ).to(device)
            for key in ("a", "b")
        )
        self.g_adam = adam((self.a2b, self.b2a), settings.lr)
        self.d_adam = adam((self.on_a, self.on_b), settings.lr)

    def update(self, batch: tuple[Tensor, Tensor], place: RunPosition) -> Report:
        a, b = (images.to(self.device) for images in batch)
        weight, share = self.settings.cycle_weight, self.settings.identity_share
        judges = (self.on_a, self.on_b)
        for judge in judges:
            judge.requires_grad_(False)
        with plain_autocast(self.device, self.half):
            fake_b, fake_a = self.a2b(a), self.b2a(b)
            back_a, back_b = self.b2a(fake_b), self.a2b(fake_a)
            same_b, same_a = self.a2b(b), self.b2a(a)
            gan = missed(self.on_b(fake_b), 1.0) + missed(self.on_a(fake_a), 1.0)
        cycle = weight * (F.l1_loss(back_a, a) + F.l1_loss(back_b, b))
        identity = weight * share * (F.l1_loss(same_b, b) + F.l1_loss(same_a, a))
        loss_g = gan + cycle + identity
        self.g_adam.zero_grad()
        loss_g.backward()
        self.g_adam.step()
        for judge in judges:
            judge.requires_grad_(True)
        self.d_adam.zero_grad()
        losses_d = []
        for judge, real, fake in ((self.on_a, a, fake_a), (self.on_b, b, fake_b)):
            with plain_autocast(self.device, self.half):
                on_real, on_fake = judge(real), judge(fake.detach())
            losses_d.append(0.5 * (missed(on_real, 1.0) + missed(on_fake, 0.0)))
            losses_d[-1].backward()
        self.d_adam.step()
        return reported({"loss_g": loss_g, "loss_cycle": cycle, "loss_d": losses_d[0] + losses_d[1]})


def missed(scores: Tensor, wanted: float) -> Tensor:
    return F.mse_loss(scores.float(), torch.full_like(scores, wanted, dtype=torch.float32))


class PlainStarGAN:
    """The critic: real, fake, and between them for the penalty; every few updates the generator there and back."""

    def __init__(self, settings: StarGANSettings, side: int, *, device: str, half: torch.dtype) -> None:
        self.settings, self.device, self.half = settings, device, half
        self.generator = create_generator(settings.architecture(), seed=stream_seed(SEED, 0, "generator")).to(
            device
        )
        self.critic = create_critic(settings.critic(side, side), seed=stream_seed(SEED, 0, "critic")).to(
            device
        )
        self.g_adam, self.d_adam = adam((self.generator,), settings.lr), adam((self.critic,), settings.lr)

    def update(self, batch: tuple[Tensor, Tensor], place: RunPosition) -> Report:
        images, labels = (x.to(self.device) for x in batch)
        targets = labels[torch.randperm(len(labels), generator=place.generator("targets")).to(self.device)]
        found = {"loss_d": self._critic_loss(images, labels, targets, place)}
        self._step(found["loss_d"], self.d_adam)
        if (place.updates + 1) % self.settings.n_critic == 0:
            found["loss_g"] = self._generator_loss(images, labels, targets)
            self._step(found["loss_g"], self.g_adam)
        return reported(found)

    def _critic_loss(self, images: Tensor, labels: Tensor, targets: Tensor, place: RunPosition) -> Tensor:
        with plain_autocast(self.device, self.half):
            on_real, classes = self.critic(images)
            fake = self.generator(images, targets)  # its way back is thrown away
            on_fake, _ = self.critic(fake.detach())
        share = torch.rand(len(images), 1, 1, 1, generator=place.generator("penalty")).to(self.device)
        between = (share * images + (1 - share) * fake.detach().float()).requires_grad_(True)
        scores, _ = self.critic(between)
        (slope,) = torch.autograd.grad(
            scores, between, torch.ones_like(scores), retain_graph=True, create_graph=True
        )
        penalty = ((slope.flatten(1).square().sum(dim=1).sqrt() - 1) ** 2).mean()
        loss: Tensor = on_fake.float().mean() - on_real.float().mean()
        loss = loss + self.settings.class_weight * self._classes(classes, labels)
        return loss + self.settings.penalty_weight * penalty

    def _generator_loss(self, images: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        with plain_autocast(self.device, self.half):
            fake = self.generator(images, targets)
            scores, classes = self.critic(fake)
            back = self.generator(fake, labels)
        loss = self.settings.class_weight * self._classes(classes, targets) - scores.float().mean()
        return loss + self.settings.cycle_weight * (images - back).abs().mean()

    def _classes(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits.float(), labels, reduction="sum") / len(labels)

    def _step(self, loss: Tensor, rule: torch.optim.Adam) -> None:
        """Gradients of both networks are forgotten and gathered, whichever is to move."""
        for each in (self.g_adam, self.d_adam):
            each.zero_grad()
        loss.backward()
        rule.step()


class PlainVAEGAN:
    """Passes for each kind of pictures, a loss a network, and a way back through all that it depends on."""

    def __init__(self, settings: VAEGANSettings, *, device: str) -> None:
        self.settings, self.device = settings, device
        both, judge = create_vaegan(settings.shape(), seed=stream_seed(SEED, 0, "networks"))
        self.encoder, self.decoder, self.judge = (
            network.to(device) for network in (both.encoder, both.decoder, judge)
        )
        self.networks = (self.encoder, self.decoder, self.judge)
        self.rules = [torch.optim.RMSprop(n.parameters(), lr=settings.lr, alpha=0.9) for n in self.networks]

    def update(self, images: Tensor, place: RunPosition) -> Report:
        real, layer = images.to(self.device), self.settings.similarity_layer
        noise, prior = torch.randn(
            2, len(real), self.settings.latent, generator=place.generator("latents")
        ).to(self.device)
        mean, log_variance = self.encoder(real)
        rebuilt = self.decoder(mean + (log_variance / 2).exp() * noise)
        sampled = self.decoder(prior)
        (wanted, on_real), (found, on_rebuilt), (_, on_sampled) = (
            self.judge(x, layer) for x in (real, rebuilt, sampled)
        )
        likeness, kl = similarity_loss(found, wanted), prior_loss(mean, log_variance)
        loss_e = self.settings.prior_weight * kl + likeness
        loss_g = self.settings.gamma * likeness + real_cost(on_rebuilt) + real_cost(on_sampled)
        loss_d = 2 * real_cost(on_real) + fake_cost(on_rebuilt) + fake_cost(on_sampled)
        for network, rule, loss in zip(self.networks, self.rules, (loss_e, loss_g, loss_d), strict=True):
            rule.zero_grad()
            loss.backward(retain_graph=True, inputs=list(network.parameters()))
        for rule in self.rules:
            rule.step()
        # The other losses are not ours to the digit: batch normalisation sees each kind of pictures by itself here.
        return reported({"loss_prior": kl})


class PlainStyleGAN2:
    """Fakes and reals in passes of their own, each with its way back; R1 at times; the generator; the average.

    The discriminator moves first, as it does with us, so that first losses can be compared.
    """

    def __init__(self, settings: StyleGAN2Settings, side: int, *, device: str, half: torch.dtype) -> None:
        self.settings, self.device, self.half = settings, device, half
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(SEED)
            self.generator = GeneratorNetwork(settings.shape(side)).to(device)
            judge = Discriminator(settings.channels(side), group=settings.group, clamp=settings.conv_clamp)
        for name, parameter in self.generator.named_parameters():
            parameter.requires_grad_(not name.endswith("noise_strength"))
        self.judge, self.average = judge.to(device), copy.deepcopy(self.generator).requires_grad_(False)
        lazy = settings.r1_every / (settings.r1_every + 1)
        self.g_adam = torch.optim.Adam(
            [p for p in self.generator.parameters() if p.requires_grad], lr=settings.lr, betas=(0.0, 0.99)
        )
        self.d_adam = torch.optim.Adam(
            self.judge.parameters(), lr=settings.lr * lazy, betas=(0.0, 0.99**lazy)
        )

    def update(self, reals: Tensor, place: RunPosition) -> Report:
        reals = reals.to(self.device)
        self.judge.requires_grad_(True)
        with torch.no_grad():
            fakes = self._draw(place, "d")
        self.d_adam.zero_grad()
        losses_d = [F.softplus(sign * self._logits(x)).mean() for sign, x in ((1, fakes), (-1, reals))]
        for loss in losses_d:
            loss.backward()
        self.d_adam.step()
        if place.updates % self.settings.r1_every == 0:
            self._penalise(reals)
        self.judge.requires_grad_(False)
        self.g_adam.zero_grad()
        loss_g = F.softplus(-self._logits(self._draw(place, "g"))).mean()
        loss_g.backward()
        self.g_adam.step()
        decay = 0.5 ** (self.settings.batch / (1000 * self.settings.average_kimg))
        with torch.no_grad():
            for kept, fresh in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                kept.copy_(fresh.lerp(kept, decay))
        return reported({"loss_d": losses_d[0] + losses_d[1]})

    def _penalise(self, reals: Tensor) -> None:
        images = reals.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(self.judge(images).sum(), images, create_graph=True)
        self.d_adam.zero_grad()
        penalty = slope.square().sum(dim=[1, 2, 3]).mean()
        (penalty * (self.settings.gamma / 2 * self.settings.r1_every)).backward()
        self.d_adam.step()

    def _logits(self, images: Tensor) -> Tensor:
        with plain_autocast(self.device, self.half):
            return self.judge(images).float()

    def _draw(self, place: RunPosition, phase: str) -> Tensor:
        """Pictures of one w each, or from a drawn layer on of a second."""
        random, settings = place.generator(f"z-{phase}"), self.settings
        count, layers = settings.batch, self.generator.shape.num_ws
        z = torch.randn(2, count, settings.latent, generator=random).to(self.device)
        mixed = torch.rand(count, generator=random) < settings.mixing
        cut = torch.randint(1, max(layers, 2), (count,), generator=random)
        second = (mixed[:, None] & (torch.arange(layers) >= cut[:, None])).to(self.device)
        first_w, second_w = (self.generator.mapping(part) for part in z)
        ws = torch.where(second[:, :, None], second_w[:, None], first_w[:, None])
        images: Tensor = self.generator.synthesis(ws, "none", self.half)
        return images
