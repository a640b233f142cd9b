"""One update of a student: generator and discriminator of Pix2PixHD on a batch of triplets.

Wang et al. 2018, section 3; losses, their weights and their order as in the public implementation. Where the data
have measured changes, both networks see them as constant planes beside the inputs. Shapes: B triplets of this
process, N of all, k inputs and one target a triplet, 3 colours, K conditions, H W image.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from distill.networks import losses
from distill.networks.conditioned import with_planes
from distill.networks.edits import EditCondition
from distill.networks.perceptual import PerceptualFeatures
from distill.networks.pix2pixhd import Architecture, create, create_discriminator
from distill.training import processes
from distill.training.average import average_decay, update_average
from distill.training.optimise import Optimiser
from distill.training.pix2pix.augment import apply_changes, draw_changes
from distill.training.pix2pix.conditions import mirrored
from distill.training.pix2pix.data import TripletBatch
from distill.training.pix2pix.settings import SHAPE, Pix2PixSettings
from distill.training.position import RunPosition, stream_seed
from distill.training.schedule import Schedule

AVERAGE_RAMP_UP = 0.05  # of the images seen: the longest half-life of the average


class Pix2PixHDStep:
    """The networks, their optimisers, and what one update does to them. `student` is what a run is for.

    Augmentation is drawn for the batch of all processes and then split, and no sample sees another, so a run on
    several processes, or in several parts (`accumulate`), differs from a plain one by rounding only. Batch
    normalisation is shared by the processes, not by the parts.
    """

    def __init__(
        self,
        settings: Pix2PixSettings,
        architecture: Architecture,
        features: PerceptualFeatures,
        schedule: Schedule,
        *,
        seed: int,
        device: str = "cpu",
        half: torch.dtype = torch.float32,
        conditions: Sequence[EditCondition] = (),
    ) -> None:
        self.conditions = tuple(conditions)
        self.settings, self.features, self.schedule = settings, features, schedule
        self.device, self.half = torch.device(device), half
        self.architecture, self.accumulate, self.lean = architecture, settings.accumulate, settings.lean
        # Float32 with instance normalisation is slower with channels last on CPUs, with batch normalisation faster.
        fast_last = self.device.type == "cuda" or half is not torch.float32 or architecture.norm == "batch"
        self.layout = torch.channels_last if fast_last else torch.contiguous_format
        generator = create(architecture, seed=stream_seed(seed, 0, "generator"))
        discriminator = create_discriminator(
            architecture.inputs + architecture.outputs,
            seed=stream_seed(seed, 0, "discriminator"),
            ndf=settings.ndf,
            layers=settings.d_layers,
            scales=settings.d_scales,
        )
        if processes.world_size() > 1 and device.startswith("cuda"):
            generator = nn.SyncBatchNorm.convert_sync_batchnorm(generator)  # type: ignore[no-untyped-call]
        self.generator = generator.to(self.device, memory_format=self.layout)  # type: ignore[call-overload]
        # What is shown, scored and saved: the average of the weights, or the weights.
        self.student = copy.deepcopy(self.generator).eval() if settings.average_kimg else self.generator
        self.discriminator = discriminator.to(self.device, memory_format=self.layout)  # type: ignore[call-overload]
        self.g_optimiser = Optimiser(self.generator, scaled=half is torch.float16)
        self.d_optimiser = Optimiser(self.discriminator, scaled=half is torch.float16)
        self._draw = compile_network(self.generator) if settings.compiled else self.generator
        self._judge = compile_network(self.discriminator) if settings.compiled else self.discriminator

    def update(self, batch: TripletBatch, position: RunPosition) -> Mapping[str, Tensor | float]:
        """Make one update with uint8 [B, k + 1, 3, H, W], the target last; return each loss by name."""
        images = batch.images.to(self.device, non_blocking=True).float().div_(127.5).sub_(1.0)
        images, conditions = self._augment(images, batch.conditions, position)
        lr, warming_up = self.schedule.at(position.samples), self.schedule.warms_up(position.samples)
        learn = self._learn_pixels if warming_up else self._learn
        inputs, target = split_roles(images)
        if conditions is not None:
            inputs = with_planes(inputs, conditions.to(self.device, non_blocking=True))
        parts = zip(inputs.chunk(self.accumulate), target.chunk(self.accumulate), strict=True)
        found = [learn(*part) for part in parts]
        self.g_optimiser.step(lr)
        if not warming_up:
            self.d_optimiser.step(lr)
        self._update_average(position)
        return {**self._means(found), "lr": lr}

    def begin_from(self, state: Mapping[str, Tensor]) -> None:
        """Give the generator, and its average, the tensors of another one of its architecture."""
        for network in (self.generator, self.student):
            network.load_state_dict(state, strict=True)

    def _update_average(self, position: RunPosition) -> None:
        if self.student is self.generator:
            return
        half_life = self.settings.average_kimg * 1000
        decay = average_decay(self.settings.batch, half_life, seen=position.samples, ramp_up=AVERAGE_RAMP_UP)
        update_average(self.student, self.generator, decay, statistics=True)

    def _augment(
        self, images: Tensor, conditions: Tensor | None, position: RunPosition
    ) -> tuple[Tensor, Tensor | None]:
        if not self.settings.augment:
            return images, conditions
        share = len(images)
        random = position.generator("augment")
        changes = draw_changes(share * processes.world_size(), self.settings.augment, random)
        changes = changes.part(processes.rank() * share, share)
        if conditions is not None:
            conditions = mirrored(conditions, changes.flipped, self.conditions)
        return apply_changes(images, changes), conditions

    def _learn(self, inputs: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Gather the gradients of both networks from one part of the batch, weights as before the update."""
        inputs, target = (x.contiguous(memory_format=self.layout) for x in (inputs, target))
        with self._autocast():
            fake = self._translate(inputs)
            shown = fake.detach().requires_grad_()  # the discriminator's gradients end here
            pairs = torch.cat([torch.cat([inputs, image], dim=1) for image in (target, shown)])
            # One pass for both halves: its samples do not see each other.
            on_real, on_fake = losses.real_and_fake(self._judge(pairs.contiguous(memory_format=self.layout)))
            loss_d = losses.lsgan_discriminator(on_real, on_fake)
            parts = self._generator_losses(on_real, on_fake, shown, target)
            loss_g = torch.stack(list(parts.values())).sum()
        share = 1 / self.accumulate
        # The discriminator's weights learn from its own loss alone, and before the generator's passes through them.
        self.d_optimiser.gather(loss_d * share, keep_graph=True)
        (gradient,) = torch.autograd.grad(self.g_optimiser.scaled(loss_g * share), shown)
        torch.autograd.backward(fake, gradient)
        found = {"loss_g": loss_g, **parts, "loss_d": loss_d}
        return {name: value.detach() for name, value in found.items()}

    def _learn_pixels(self, inputs: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Gather the gradients of the generator from the distance of pixels alone."""
        inputs, target = (x.contiguous(memory_format=self.layout) for x in (inputs, target))
        with self._autocast():
            fake = self._translate(inputs)
        loss = self._pixel_loss(fake, target)
        self.g_optimiser.gather(loss * (1 / self.accumulate))
        return {"loss_g": loss.detach(), "loss_l1": loss.detach()}

    def _translate(self, inputs: Tensor) -> Tensor:
        images: Tensor = self._draw(inputs, lean=True) if self.lean else self._draw(inputs)
        return images

    def _autocast(self) -> torch.autocast:
        half = self.half is not torch.float32
        return torch.autocast(self.device.type, dtype=self.half if half else None, enabled=half)

    def _pixel_loss(self, fake: Tensor, target: Tensor) -> Tensor:
        return self.settings.l1_weight * (fake.float() - target).abs().mean()

    def _generator_losses(
        self, on_real: losses.Scales, on_fake: losses.Scales, fake: Tensor, target: Tensor
    ) -> dict[str, Tensor]:
        found = {"loss_gan": losses.lsgan_generator(on_fake)}
        if self.settings.feature_matching:
            found["loss_matching"] = self.settings.feature_matching * losses.feature_matching(
                on_real, on_fake
            )
        if self.settings.perceptual_weight and self.features.weights:
            with torch.no_grad():
                wanted = self.features(target)
            distance = losses.perceptual(self.features(fake), wanted, self.features.weights)
            found["loss_perceptual"] = self.settings.perceptual_weight * distance
        if self.settings.l1_weight:
            found["loss_l1"] = self._pixel_loss(fake, target)
        return found

    def _means(self, found: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Average over the parts and processes, so that a line of stats speaks of the whole batch."""
        names = list(found[0])
        values = torch.stack([torch.stack([part[name] for name in names]) for part in found]).mean(dim=0)
        values = processes.sum_over_processes(values) / processes.world_size()
        return dict(zip(names, values.unbind(), strict=True))

    @torch.no_grad()
    def translate(self, inputs_BCHW: Tensor, conditions_BK: Tensor | None = None) -> Tensor:
        """Turn inputs [B, 3k, H, W] in [-1, 1] into images [B, 3, H, W], float32, on the step's device."""
        x = inputs_BCHW.to(self.device)
        x = x if conditions_BK is None else with_planes(x, conditions_BK)
        x = x.contiguous(memory_format=self.layout)
        training = self.student.training
        self.student.eval()
        with self._autocast():
            images: Tensor = self.student(x)
        self.student.train(training)
        return images.float()

    def networks(self) -> dict[str, int]:
        """Parameters by network."""
        return {
            name: sum(p.numel() for p in getattr(self, name).parameters())
            for name in ("generator", "discriminator")
        }

    def shared(self) -> dict[str, Any]:
        """What a resumed run must share: the architecture, and the features of the perceptual loss."""
        return {
            **{name: getattr(self.architecture, name) for name in SHAPE},
            "input_channels": self.architecture.inputs,
            "perceptual_features": self.features.name,
        }

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on, as tensors and plain values."""
        return {
            **{name: getattr(self, name).state_dict() for name in self._stored()},
            "g_optimiser": self.g_optimiser.state(),
            "d_optimiser": self.d_optimiser.state(),
        }

    def _stored(self) -> tuple[str, ...]:
        averaged = self.student is not self.generator
        return ("generator", "discriminator", *(["student"] if averaged else []))

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name in self._stored():
            getattr(self, name).load_state_dict(state[name], strict=True)
        self.g_optimiser.load_state(state["g_optimiser"])
        self.d_optimiser.load_state(state["d_optimiser"])


def compile_network(network: nn.Module) -> nn.Module:
    """Compile a network that is differentiated twice from one forward pass. The first update takes minutes."""
    for module in network.modules():
        if isinstance(
            module, nn.SyncBatchNorm
        ):  # it waits for other processes, which no compiled graph should
            module.forward = torch.compiler.disable(module.forward)  # type: ignore[method-assign, no-untyped-call]
    torch._functorch.config.donated_buffer = False  # else the first backward pass frees what the second needs
    return cast(nn.Module, torch.compile(network))


def split_roles(images_BRCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Cut triplets into inputs [B, 3k, H, W] and target [B, 3, H, W]."""
    return images_BRCHW[:, :-1].flatten(1, 2), images_BRCHW[:, -1]
