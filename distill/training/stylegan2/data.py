"""The images of a teacher's training: opened, split, drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from distill.files import path_text
from distill.training import processes
from distill.training.images import Images, open_images
from distill.training.pictures import Numbers, Pictures, hold_out
from distill.training.position import RunPosition
from distill.training.request import TrainRequest
from distill.training.sampler import Sampler
from distill.training.stylegan2.settings import StyleGAN2Settings

MAX_HELD_OUT = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class TeacherImages:
    """Images with their split; draws this process's part of each batch as float32 [B, 3, R, R] in [-1, 1]."""

    images: Images
    name: str  # of the data
    train_on: Numbers
    held_out: Numbers
    pictures: Pictures

    @property
    def resolution(self) -> int:
        return self.images.resolution

    @property
    def rows(self) -> int:
        return len(self.train_on)

    def draw(self, position: RunPosition) -> Tensor:
        return self.pictures.draw(position)

    def shared(self) -> dict[str, Any]:
        return {
            "resolution": self.resolution,
            "data_digest": self.images.digest,
            "held_out": len(self.held_out),
        }

    def facts(self) -> dict[str, object]:
        return {"images": self.rows, "held_out": len(self.held_out), "resolution": self.resolution}

    def close(self) -> None:
        """Nothing is held open."""


def open_teacher_images(
    request: TrainRequest, settings: StyleGAN2Settings, device: str, note: Callable[[str], None]
) -> TeacherImages:
    """Open images and hold some out for the score. Raises DistillError for what does not fit the settings."""
    data = request.needed_data()
    images = open_images(data, resolution=settings.resolution, skipped=note)
    settings.channels(images.resolution)
    held = settings.held_out
    if held is None:
        held = 0 if request.features == "none" else min(len(images) // 10, MAX_HELD_OUT)
    train_on, held_out = hold_out(len(images), held, request.seed)
    sampler = Sampler(images.weights[train_on], request.seed, settings.mirror)
    return TeacherImages(
        images=images,
        name=path_text(data.name),
        train_on=train_on,
        held_out=held_out,
        pictures=Pictures(
            images, train_on, sampler, settings.batch, processes.rank(), processes.world_size()
        ),
    )
