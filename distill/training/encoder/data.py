"""What an encoder learns from: samples of its generator, and photos beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.errors import DistillError
from distill.files import path_text
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.training import processes
from distill.training.encoder.settings import EncoderSettings
from distill.training.images import Images, open_images
from distill.training.pictures import Numbers, Pictures, hold_out
from distill.training.position import RunPosition
from distill.training.request import TrainRequest
from distill.training.sampler import Sampler

MAX_HELD_OUT = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderBatch:
    """This process's part: z [2, B, Z], `cut` [B], the first layer of the second w, and photos [P, 3, H, W]."""

    z: Tensor
    cut: Tensor  # [B], num_ws where a sample is not mixed
    photos: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderData:
    """The generator, and photos with their split; none where no data set was given."""

    generator: Generator
    settings: EncoderSettings
    photos: Images | None
    train_on: Numbers
    held_out: Numbers
    pictures: Pictures | None
    name: str  # of the photos

    @property
    def rows(self) -> int:
        return len(self.train_on)

    def draw(self, position: RunPosition) -> EncoderBatch:
        photos = self.pictures.draw(position) if self.pictures else torch.empty(0)
        rank, world, layers = processes.rank(), processes.world_size(), self.generator.num_ws
        share = self.settings.batch // world
        count = share - len(photos)
        random = position.generator(f"samples-{rank}")
        z = torch.randn(2, count, self.generator.z_dim, generator=random)
        cut = torch.randint(1, max(layers, 2), (count,), generator=random)
        mixed = torch.rand(count, generator=random) < self.settings.mixing
        return EncoderBatch(z=z, cut=torch.where(mixed, cut, layers), photos=photos)

    def read_held_out(self, count: int) -> Tensor:
        """At most `count` held-out photos, evenly spaced, [N, 3, H, W] in [-1, 1]."""
        if self.photos is None or not len(self.held_out):
            return torch.empty(0)
        places = (
            np.linspace(0, len(self.held_out) - 1, min(count, len(self.held_out))).round().astype(np.int64)
        )
        pixels = torch.from_numpy(self.photos.read(self.held_out[places]))
        return pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)

    def shared(self) -> dict[str, Any]:
        return {
            "generator_sha256": self.generator.sha256,
            "data_digest": self.photos.digest if self.photos else None,
            "held_out": len(self.held_out),
        }

    def facts(self) -> dict[str, object]:
        return {
            "generator": self.settings.generator,
            "photos": self.rows,
            "held_out": len(self.held_out),
            "resolution": self.generator.resolution,
        }

    def close(self) -> None:
        """Nothing is held open."""


def open_encoder_data(
    request: TrainRequest, settings: EncoderSettings, device: str, note: Callable[[str], None]
) -> EncoderData:
    """Load the generator and open the photos, at its size. Raises DistillError."""
    generator = load_generator(settings.generator, device=device, precision="fp32")
    if request.data is None:
        none = np.empty(0, np.int64)
        return EncoderData(
            generator=generator,
            settings=settings,
            photos=None,
            train_on=none,
            held_out=none,
            pictures=None,
            name="",
        )
    images = open_images(request.data, resolution=generator.resolution, skipped=note)
    held = settings.held_out if settings.held_out is not None else min(len(images) // 10, MAX_HELD_OUT)
    train_on, held_out = hold_out(len(images), held, request.seed)
    world = processes.world_size()
    count = round(settings.batch * settings.photos / world) * world
    if not count:
        raise DistillError(
            f"photos {settings.photos:g} of a batch of {settings.batch} is less than one photo"
            " for each process: raise photos, or leave out the data"
        )
    sampler = Sampler(images.weights[train_on], request.seed, settings.mirror)
    return EncoderData(
        generator=generator,
        settings=settings,
        photos=images,
        train_on=train_on,
        held_out=held_out,
        pictures=Pictures(images, train_on, sampler, count, processes.rank(), world),
        name=path_text(request.data.name),
    )
