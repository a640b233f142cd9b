"""One update of a CycleGAN: both translators on a batch of each domain, then both discriminators.

Zhu et al. 2017, sections 3 and 4; losses, their weights and their order as in the public implementation. Shapes: B
pictures of each domain in this process, N of all, 3 colours, H W image. a2b turns pictures of domain a into b's.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from distill.networks import losses
from distill.networks.patchgan import create_patch_discriminator
from distill.networks.pix2pixhd import Architecture, GlobalGenerator, LocalEnhancer, create
from distill.training import processes
from distill.training.average import average_decay, update_average
from distill.training.cyclegan.augment import apply_views, draw_views
from distill.training.cyclegan.pool import ImagePool
from distill.training.cyclegan.settings import SHAPE, CycleGANSettings
from distill.training.optimise import Optimiser
from distill.training.position import RunPosition, stream_seed
from distill.training.schedule import Schedule

AVERAGE_RAMP_UP = 0.05  # of the images seen: the longest half-life of the average
A2B, B2A = "a2b", "b2a"
STORED = ("generators", "discriminators", "average")

Batch = tuple[Tensor, Tensor]  # of domain a, of domain b


class CycleGANStep:
    """Two generators, two discriminators, an optimiser for either two, and the pools. `average` is what a run is for.

    Augmentation and pools are those of the batch of all processes, so a run on several differs from a plain one by
    rounding only; batch normalisation is shared by the processes of GPUs.
    """

    def __init__(
        self,
        settings: CycleGANSettings,
        architecture: Architecture,
        schedule: Schedule,
        *,
        sides: tuple[int, int],
        seed: int,
        device: str = "cpu",
        half: torch.dtype = torch.float32,
    ) -> None:
        self.settings, self.architecture, self.schedule = settings, architecture, schedule
        self.device, self.half = torch.device(device), half
        # Plain float32 convolutions on CPUs are slower with channels last.
        fast_last = self.device.type == "cuda" or half is not torch.float32
        self.layout = torch.channels_last if fast_last else torch.contiguous_format
        self.generators = self._placed(
            {key: create(architecture, seed=stream_seed(seed, 0, key)) for key in (A2B, B2A)}
        )
        self.discriminators = self._placed(
            {
                key: create_patch_discriminator(
                    seed=stream_seed(seed, 0, f"discriminator-{key}"),
                    ndf=settings.ndf,
                    layers=settings.d_layers,
                    norm=architecture.norm,
                    single=settings.discriminator == "single",
                )
                for key in ("a", "b")
            }
        )
        # What is shown, scored and saved: the average of the weights, or the weights.
        averaged = settings.average_kimg > 0
        self.average = copy.deepcopy(self.generators).eval() if averaged else self.generators
        scaled = half is torch.float16
        self.g_optimiser = Optimiser(self.generators, scaled=scaled, clip=settings.clip)
        self.d_optimiser = Optimiser(self.discriminators, scaled=scaled, clip=settings.clip)
        self.pools = {key: ImagePool(settings.pool, *sides, device=self.device) for key in ("a", "b")}

    def _placed(self, networks: Mapping[str, nn.Module]) -> nn.ModuleDict:
        both = nn.ModuleDict(networks)
        if processes.world_size() > 1 and self.device.type == "cuda":
            both = nn.SyncBatchNorm.convert_sync_batchnorm(both)  # type: ignore[no-untyped-call]
        return both.to(self.device, memory_format=self.layout)  # type: ignore[call-overload, no-any-return]

    def check_sides(self, height: int, width: int) -> None:
        """Raise DistillError for images that the discriminators are too deep for."""
        for network in self.discriminators.values():
            network.check_sides(height, width)  # type: ignore[operator]

    def network(self, way: str) -> GlobalGenerator | LocalEnhancer:
        """The generator that is shown, scored and saved."""
        return cast(GlobalGenerator | LocalEnhancer, self.average[way])

    def begin_from(self, way: str, state: Mapping[str, Tensor]) -> None:
        """Give one generator, and its average, the tensors of another one of its architecture."""
        for networks in (self.generators, self.average):
            networks[way].load_state_dict(state, strict=True)

    def update(self, batch: Batch, position: RunPosition) -> Mapping[str, Tensor | float]:
        """Make one update with pictures [B, 3, H, W] in [-1, 1] of both domains; return each loss by name."""
        a, b = (self._view(images, position, key) for key, images in zip("ab", batch, strict=True))
        lr = self.schedule.at(position.samples)
        fake_a, fake_b, found = self._teach_generators(a, b)
        self.g_optimiser.step(lr)
        found["loss_d"] = self._teach_discriminators({"a": (a, fake_a), "b": (b, fake_b)}, position)
        self.d_optimiser.step(lr)
        # What all networks play for, the identity loss aside: the number that the report behind `clothes` plots.
        found["loss_total"] = found["loss_gan"] + found["loss_cycle"] + found["loss_d"]
        self._update_average(position)
        return {**processes.average_losses(found), "lr": lr}

    def _view(self, images: Tensor, position: RunPosition, key: str) -> Tensor:
        images, share = images.to(self.device, non_blocking=True), len(images)
        views = draw_views(
            share * processes.world_size(), self.settings.augment, position.generator(f"augment-{key}")
        )
        seen = apply_views(images, views.part(processes.rank() * share, share))
        return seen.contiguous(memory_format=self.layout)

    def _teach_generators(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Gather the gradients of both generators; return what they made of b and of a, and the losses."""
        with self._autocast():
            fake_b, fake_a = self._draw(A2B, a), self._draw(B2A, b)
            back_a, back_b = self._draw(B2A, fake_b), self._draw(A2B, fake_a)
            judged = [self.discriminators["b"](fake_b), self.discriminators["a"](fake_a)]
        weight, share = self.settings.cycle_weight, self.settings.identity_share
        found = {
            "loss_gan": torch.stack([losses.lsgan_generator([[scores]]) for scores in judged]).sum(),
            "loss_cycle": weight * (_distance(back_a, a) + _distance(back_b, b)),
        }
        if share:
            with self._autocast():
                same_b, same_a = self._draw(A2B, b), self._draw(B2A, a)
            found["loss_identity"] = weight * share * (_distance(same_b, b) + _distance(same_a, a))
        found["loss_g"] = torch.stack(list(found.values())).sum()
        self.g_optimiser.gather(found["loss_g"])
        return fake_a.detach(), fake_b.detach(), {name: value.detach() for name, value in found.items()}

    def _teach_discriminators(
        self, seen: Mapping[str, tuple[Tensor, Tensor]], position: RunPosition
    ) -> Tensor:
        """Gather the gradients of both discriminators from pictures of their domain and pooled outputs."""
        missed = []
        for key, (real, fake) in seen.items():
            pooled = self._pooled(key, fake, position)
            with self._autocast():
                # Two passes: under batch normalisation the samples of one see each other.
                on_real, on_fake = (self.discriminators[key](images) for images in (real, pooled))
            missed.append(losses.lsgan_discriminator([[on_real]], [[on_fake]]))
        loss = torch.stack(missed).sum()
        self.d_optimiser.gather(loss)
        return loss.detach()

    def _pooled(self, key: str, fake_BCHW: Tensor, position: RunPosition) -> Tensor:
        """Exchange the outputs of all processes with the pool, which is the same in each; take this one's share."""
        everyone = processes.gather(fake_BCHW)
        shown = self.pools[key].exchange(everyone, position.generator(f"pool-{key}"))
        share = len(fake_BCHW)
        own = shown.narrow(0, processes.rank() * share, share)
        return own.contiguous(memory_format=self.layout)

    def _draw(self, way: str, images: Tensor) -> Tensor:
        drawn: Tensor = self.generators[way](images, lean=self.settings.lean)
        return drawn

    def _autocast(self) -> torch.autocast:
        half = self.half is not torch.float32
        return torch.autocast(self.device.type, dtype=self.half if half else None, enabled=half)

    def _update_average(self, position: RunPosition) -> None:
        if self.average is self.generators:
            return
        half_life = self.settings.average_kimg * 1000
        decay = average_decay(self.settings.batch, half_life, seen=position.samples, ramp_up=AVERAGE_RAMP_UP)
        update_average(self.average, self.generators, decay, statistics=True)

    @torch.no_grad()
    def translate(self, way: str, images_BCHW: Tensor) -> Tensor:
        """Turn images [B, 3, H, W] in [-1, 1] into the other domain, float32, on the step's device."""
        network = self.average[way]
        training = network.training
        network.eval()
        with self._autocast():
            images: Tensor = network(images_BCHW.to(self.device).contiguous(memory_format=self.layout))
        network.train(training)
        return images.float()

    def networks(self) -> dict[str, int]:
        """Parameters by network."""
        named = {"generator": self.generators, "discriminator": self.discriminators}
        return {
            f"{name}_{key}": sum(p.numel() for p in network.parameters())
            for name, both in named.items()
            for key, network in both.items()
        }

    def shared(self) -> dict[str, Any]:
        """What a resumed run must share: the architecture."""
        return {name: getattr(self.architecture, name) for name in SHAPE}

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on, as tensors and plain values."""
        return {
            **{name: getattr(self, name).state_dict() for name in self._stored()},
            "pools": {key: pool.state() for key, pool in self.pools.items()},
            "g_optimiser": self.g_optimiser.state(),
            "d_optimiser": self.d_optimiser.state(),
        }

    def _stored(self) -> tuple[str, ...]:
        return STORED if self.average is not self.generators else STORED[:2]

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name in self._stored():
            getattr(self, name).load_state_dict(state[name], strict=True)
        for key, pool in self.pools.items():
            pool.load_state(state["pools"][key])
        self.g_optimiser.load_state(state["g_optimiser"])
        self.d_optimiser.load_state(state["d_optimiser"])


def _distance(made: Tensor, wanted: Tensor) -> Tensor:
    return (made - wanted).abs().mean()
