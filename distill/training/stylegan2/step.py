"""One update of a StyleGAN2: its critic, the generator, their lazy regularisation, the average, p.

Karras et al. 2020 (StyleGAN2 and ADA). Shapes: B images of this process, N of all processes, Z D latent widths.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from distill.stylegan2.networks import GeneratorNetwork
from distill.training import processes
from distill.training.average import average_decay, update_average
from distill.training.position import RunPosition
from distill.training.stylegan2 import losses
from distill.training.stylegan2.augment import AdaptiveProbability, apply_changes, draw_changes
from distill.training.stylegan2.critics import Report, make_critic
from distill.training.stylegan2.optimise import lazy_adam, seeded
from distill.training.stylegan2.parent import colour_distance, structure_distance
from distill.training.stylegan2.settings import StyleGAN2Settings
from distill.training.stylegan2.transfer import Start

PATH_MEAN_DECAY = 0.01  # how fast the running mean of path lengths follows


class StyleGAN2Step:
    """The networks, their optimisers, and what one update does to them.

    Random numbers are drawn for the whole batch of all processes and then split, so that a run on several
    processes differs from one on a single process by rounding only (noise inputs and path directions aside).
    """

    def __init__(
        self,
        settings: StyleGAN2Settings,
        resolution: int,
        *,
        seed: int,
        device: str = "cpu",
        half: torch.dtype = torch.float32,
    ) -> None:
        self.settings, self.device, self.half = settings, torch.device(device), half
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            generator = GeneratorNetwork(settings.shape(resolution))
            self.critic = make_critic(settings, resolution, self.device, half)
        self.generator = generator.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, parameter in self.generator.named_parameters():
            stays = settings.child and name.startswith("mapping.")
            parameter.requires_grad_(not stays and (settings.noise or not name.endswith("noise_strength")))
        self.average: GeneratorNetwork = copy.deepcopy(self.generator).eval().requires_grad_(False)
        path_every = settings.path_every if settings.path_weight else None
        self.g_optimiser = lazy_adam(
            self.generator, settings.lr, every=path_every, scaled=half is torch.float16
        )
        self.ada = AdaptiveProbability(
            target=settings.ada_target, images=settings.ada_kimg * 1000, p=settings.ada_p, device=device
        )
        self.path_mean = torch.zeros([], device=self.device)
        self.start: Start | None = None
        self.parent: GeneratorNetwork | None = None  # of a child

    @property
    def share(self) -> int:
        """Images of one update in this process."""
        return self.settings.batch // processes.world_size()

    def update(self, reals_BCHW: Tensor, position: RunPosition) -> Mapping[str, Tensor | float]:
        """Make one update with real images [B, 3, H, W] in [-1, 1]; return each loss by name."""
        reals = reals_BCHW.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        alone = position.samples < self.settings.head_start_kimg * 1000
        self.critic.freeze(0 if alone else self.settings.freeze_d)
        with self._noise_stream(position):
            report = self._update_discriminator(reals, position)
            if position.updates % self.settings.r1_every == 0:
                report |= self._penalise_gradient(reals, position)
            if alone:
                return report | self._ada_report()
            report |= self._update_generator(position)
            if self.settings.path_weight and position.updates % self.settings.path_every == 0:
                report |= self._penalise_path(position)
        self._update_average(position)
        return report | self._ada_report()

    def _ada_report(self) -> Report:
        return {"ada_p": self.ada.p, "ada_sign": self.ada.last_sign}

    def _update_discriminator(self, reals: Tensor, position: RunPosition) -> Report:
        with torch.no_grad():
            fakes = self._draw(self._latents(position, "d"), self.half)
            images = [self._augment(reals, position, "d-real"), self._augment(fakes, position, "d-fake")]
        found, real_logits = self.critic.learn(*images)
        self.ada.observe(real_logits)
        return found

    def _penalise_gradient(self, reals: Tensor, position: RunPosition) -> Report:
        return self.critic.regularise(self._augment(reals, position, "d-real"))

    def _update_generator(self, position: RunPosition) -> Report:
        ws = self._latents(position, "g")
        images = self._draw(ws, self.half)
        loss = self.critic.generator_loss(self._augment(images, position, "g-fake"))
        report: Report = {"loss_g": loss.detach()}
        for name, weight, distance in self._distances_to_parent(ws, images):
            report[f"loss_{name}"] = distance.detach()
            loss = loss + weight * distance
        self.g_optimiser.apply(loss)
        return report

    def _distances_to_parent(self, ws: Tensor, images: Tensor) -> Iterator[tuple[str, float, Tensor]]:
        """Yield what holds a child to its parent: name, weight, distance."""
        settings = self.settings
        if self.parent is None:
            return
        parent, noise = self.parent.synthesis, "const" if settings.noise else "none"
        if settings.structure_weight:
            distance = structure_distance(self.generator.synthesis, parent, ws, noise)
            yield "structure", settings.structure_weight, distance
        if settings.colour_weight:
            yield "colour", settings.colour_weight, colour_distance(images, parent, ws, noise)

    def _penalise_path(self, position: RunPosition) -> Report:
        """Path length in float32 on half a batch, every `path_every` updates with that weight."""
        ws = self._latents(position, "path")[: max(1, self.share // 2)]
        if not ws.requires_grad:  # where the mapping stays
            ws.requires_grad_()
        images = self._draw(ws, torch.float32)
        direction = torch.randn(images.shape, generator=position.generator(f"path-{processes.rank()}"))
        lengths = losses.path_lengths(images, ws, direction.to(self.device, non_blocking=True))
        mean = processes.sum_over_processes(lengths.detach().mean()) / processes.world_size()
        self.path_mean = self.path_mean.lerp(mean, PATH_MEAN_DECAY)
        penalty = losses.path_penalty(lengths, self.path_mean)
        self.g_optimiser.apply(penalty * (self.settings.path_weight * self.settings.path_every))
        return {"path_penalty": penalty.detach(), "path_length": self.path_mean}

    def _update_average(self, position: RunPosition) -> None:
        decay = average_decay(
            self.settings.batch,
            self.settings.average_kimg * 1000,
            seen=position.samples,
            ramp_up=self.settings.average_ramp_up,
        )
        update_average(self.average, self.generator, decay)

    def _latents(self, position: RunPosition, phase: str) -> Tensor:
        """Draw w+ [B, L, D] with style mixing: above a drawn layer, a sample may take a second w."""
        random, n, layers = position.generator(f"z-{phase}"), self.settings.batch, self.generator.shape.num_ws
        z = self._mine(torch.randn(2, n, self.settings.latent, generator=random), dim=1)
        mixed = self._mine(torch.rand(n, generator=random) < self.settings.mixing, dim=0)
        cut = self._mine(torch.randint(1, max(layers, 2), (n,), generator=random), dim=0)
        w = self.generator.mapping(z.flatten(0, 1)).unflatten(0, (2, -1))
        second = mixed[:, None] & (torch.arange(layers, device=self.device) >= cut[:, None])
        return torch.where(second[:, :, None], w[1][:, None], w[0][:, None])

    def _mine(self, values: Tensor, *, dim: int) -> Tensor:
        return values.narrow(dim, processes.rank() * self.share, self.share).to(
            self.device, non_blocking=True
        )

    def _draw(self, ws_BLD: Tensor, dtype: torch.dtype) -> Tensor:
        images: Tensor = self.generator.synthesis(ws_BLD, "random" if self.settings.noise else "none", dtype)
        return images

    def _augment(self, images: Tensor, position: RunPosition, phase: str) -> Tensor:
        """What the critic sees of images."""
        if self.ada.p == 0.0:
            return images
        random, first = position.generator(f"augment-{phase}"), processes.rank() * self.share
        draw = draw_changes(self.settings.batch, self.ada.p, images.shape[-1], random)
        changed = apply_changes(images, draw[first : first + self.share])
        return changed.contiguous(memory_format=torch.channels_last)

    def _noise_stream(self, position: RunPosition) -> AbstractContextManager[None]:
        return seeded(position.generator(f"noise-{processes.rank()}"), self.device, self.settings.noise)

    def begin_from(self, start: Start) -> None:
        """Give the generator and its average these tensors; without noise inputs, strengths of 0.

        Blocks that the tensors do not reach keep their random features and add no colour yet: the network begins as
        the smaller one, doubled by interpolation (progressive growing, Karras et al. 2018, without its fading).
        """
        self.start, state = start, dict(start.state)
        if not self.settings.noise:
            state |= {name: tensor * 0 for name, tensor in state.items() if name.endswith("noise_strength")}
        new = {name: tensor for name, tensor in self.generator.state_dict().items() if name not in state}
        state |= {
            name: tensor * 0 if name.endswith("torgb.weight") else tensor for name, tensor in new.items()
        }
        for network in (self.generator, self.average):
            network.load_state_dict(state, strict=True)
        if self.settings.child:
            self.parent = copy.deepcopy(self.average)

    def networks(self) -> dict[str, int]:
        """Parameters by network."""
        networks = {"generator": self.generator, "discriminator": self.critic.network}
        return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}

    def shared(self) -> dict[str, Any]:
        """What a resumed run must share: the generator that it started from."""
        return {"init_sha256": self.start and self.start.sha256}

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on, as tensors and plain values."""
        return {
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "g_optimiser": self.g_optimiser.state(),
            "ada": self.ada.state(),
            "path_mean": self.path_mean,
            **self.critic.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name in ("generator", "average"):
            getattr(self, name).load_state_dict(state[name], strict=True)
        self.g_optimiser.load_state(state["g_optimiser"])
        self.critic.load_state(state)
        self.ada.load_state(state["ada"])
        self.path_mean = state["path_mean"].to(self.device)
