"""No update waits for its device: losses stay there until a line of stats, copies go over in the background.

The device is "meta", which computes nothing and has no number to give, so it stands in for a GPU on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from distill.training.cyclegan.settings import CycleGANSettings
from distill.training.cyclegan.step import CycleGANStep
from distill.training.pix2pix.augment import KINDS
from distill.training.pix2pix.data import TripletBatch
from distill.training.pix2pix.settings import Pix2PixSettings
from distill.training.pix2pix.step import Pix2PixHDStep
from distill.training.position import RunPosition
from distill.training.run import pinned
from distill.training.schedule import Schedule
from distill.training.stargan.settings import StarGANSettings
from distill.training.stargan.step import StarGANStep
from distill.training.stats import LossMeans
from distill.training.stylegan2.settings import StyleGAN2Settings
from distill.training.stylegan2.step import StyleGAN2Step
from distill.training.vaegan.settings import VAEGANSettings
from distill.training.vaegan.step import VAEGANStep

SIDE, BATCH, UPDATES = 16, 4, 3
SCHEDULE = Schedule(lr=1e-3, constant=40, decay=40)
COPY, COPY_INTO, READ = (torch.ops.aten._to_copy, torch.ops.aten.copy_, torch.ops.aten._local_scalar_dense)


class Waited(AssertionError):
    """The host waited for the device."""


class NoCopies(TorchDispatchMode):
    """Refuses to read a number off the device, and to copy to or from it other than in the background."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, packet = kwargs or {}, function._overloadpacket
        if packet is READ and args[0].is_meta:
            raise Waited("a number of the device is read")
        if packet is COPY and "device" in kwargs:
            to_device = torch.device(kwargs["device"]).type == "meta"
            if to_device != args[0].is_meta and not (to_device and kwargs.get("non_blocking")):
                raise Waited(f"a copy waits: {list(args[0].shape)}")
        if packet is COPY_INTO and args[0].is_meta != args[1].is_meta and not args[2:3] == (True,):
            raise Waited(f"a copy waits: {list(args[1].shape)}")
        return function(*args, **kwargs)


class NoNewNumbers(TorchFunctionMode):
    """Refuses to make a tensor of Python's numbers on the device: they are copied there, and waited for."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        if function in (torch.tensor, Tensor.new_tensor) and out.is_meta:
            raise Waited("Python's numbers are copied")
        return out


@contextmanager
def no_waiting(device: str) -> Iterator[None]:
    if device == "meta":
        with NoCopies(), NoNewNumbers():
            yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


class Halves:
    """Features without weights: the picture at half its size."""

    name, weights = "halves", (1.0,)

    def __call__(self, images: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(images, 2)]


def student(device: str, **options: Any) -> tuple[Any, Any]:
    settings = Pix2PixSettings(
        batch=BATCH, ngf=4, downsamplings=1, blocks=1, norm="batch", ndf=4, l1_weight=1.0, average_kimg=1.0,
        augment=KINDS, constant_epochs=1, decay_epochs=1, **options,
    )  # fmt: skip
    step = Pix2PixHDStep(settings, settings.architecture(2), Halves(), SCHEDULE, seed=0, device=device)
    return step, TripletBatch(images=torch.zeros(BATCH, 3, 3, SIDE, SIDE, dtype=torch.uint8))


def cyclegan(device: str) -> tuple[Any, Any]:
    settings = CycleGANSettings(
        batch=BATCH, ngf=4, downsamplings=1, blocks=1, ndf=4, d_layers=2, pool=4, clip=1.0, average_kimg=1.0,
        augment=("flip", "crop", "rotate"),
    )  # fmt: skip
    sides = (SIDE, SIDE)
    step = CycleGANStep(settings, settings.architecture(SIDE), SCHEDULE, sides=sides, seed=0, device=device)
    return step, (pictures(), pictures())


def stargan(device: str) -> tuple[Any, Any]:
    settings = StarGANSettings(
        attributes=("a=yes",), batch=BATCH, width=4, blocks=1, d_width=4, d_layers=2, n_critic=2, average_kimg=1.0
    )  # fmt: skip
    critic = settings.critic(SIDE, SIDE)
    step = StarGANStep(settings, settings.architecture(), critic, seed=0, device=device)
    return step, (pictures(), torch.zeros(BATCH, 1))


def vaegan(device: str) -> tuple[Any, Any]:
    """Without the guard, which decides on the host who moves."""
    settings = VAEGANSettings(
        batch=BATCH, height=SIDE, width=SIDE, latent=6, channels=8, hidden=12, margin=None, average_kimg=1.0
    )  # fmt: skip
    return VAEGANStep(settings, seed=0, device=device), pictures()


def stylegan2(device: str) -> tuple[Any, Any]:
    """Its p of augmentation is adjusted on the host every four updates, after those of this test."""
    settings = StyleGAN2Settings(
        batch=BATCH, widths={4: 8, 8: 8, 16: 4}, latent=8, mapping_layers=2, lr=1e-3, gamma=1.0, ada_p=0.9,
        path_weight=2.0, r1_every=2, path_every=2,
    )  # fmt: skip
    return StyleGAN2Step(settings, SIDE, seed=0, device=device), pictures()


def pictures() -> Tensor:
    return torch.zeros(BATCH, 3, SIDE, SIDE)


STEPS = {
    "pix2pix": student,
    "cyclegan": cyclegan,
    "stargan": stargan,
    "vaegan": vaegan,
    "stylegan2": stylegan2,
}


def update(step: Any, batch: Any, device: str) -> None:
    """Make the first updates as the loop does, up to the line of stats."""
    place, means = RunPosition(seed=0, updates=0, samples=0), LossMeans()
    for _ in range(UPDATES):
        with no_waiting(device):
            means.add(step.update(batch, place))
        place = place.next(BATCH)


@pytest.mark.parametrize("name", STEPS)
def test_an_update_does_not_wait_for_its_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no such device
    update(*STEPS[name]("meta"), "meta")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize("name", STEPS)
def test_an_update_does_not_wait_for_a_gpu(name: str) -> None:
    step, batch = STEPS[name]("cuda")
    step.update(pinned(lambda place: batch)(None), RunPosition(seed=0, updates=0, samples=0))  # caches fill
    update(step, pinned(lambda place: batch)(None), "cuda")


@dataclass
class Spoilt:
    """A step whose update waits in some way."""

    wait: Callable[[Tensor], object]

    def update(self, batch: Tensor, place: RunPosition) -> dict[str, Tensor]:
        total = batch.to("meta", non_blocking=True).sum()
        self.wait(total)
        return {"loss": total}


@pytest.mark.parametrize(
    "wait",
    [
        float,
        bool,
        Tensor.item,
        Tensor.cpu,
        Tensor.tolist,
        lambda total: torch.zeros(4).to(total.device),
        lambda total: total.copy_(torch.zeros(())),
        lambda total: total.new_tensor(1.0),
    ],
)
def test_an_update_that_waits_is_found(wait: Callable[[Tensor], object]) -> None:
    with pytest.raises(Waited):
        update(Spoilt(wait), pictures(), "meta")


def test_batches_are_pinned_whatever_they_are_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor + 1)
    zero, one = torch.zeros(1), torch.ones(1)
    assert pinned(lambda place: zero)(None) == one
    assert pinned(lambda place: (zero, zero))(None) == (one, one)
    batch = pinned(lambda place: TripletBatch(images=zero))(None)
    assert (batch.images, batch.conditions) == (one, None)
