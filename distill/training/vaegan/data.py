"""Pictures of a VAE/GAN: one set, a part held out, and which of them have each attribute.

N pictures of the set, B of this process's batch, H W image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from distill.errors import DistillError
from distill.files import path_text
from distill.networks.edits import EditAttribute
from distill.progress import plural
from distill.shards.images.conditions import Condition, Rows
from distill.training import processes
from distill.training.edit_attributes import attribute_of, read_attributes
from distill.training.images import Images, open_images
from distill.training.pictures import Numbers, Pictures, hold_out, size_text, to_batch
from distill.training.position import RunPosition, stream_seed
from distill.training.request import TrainRequest
from distill.training.sampler import Sampler
from distill.training.vaegan.settings import PRESETS, VAEGANSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribute:
    """A condition on labels, and which pictures [N] fit it; those whose label is not known are neither."""

    edit: EditAttribute
    on: Rows
    off: Rows

    @property
    def name(self) -> str:
        """As it was asked for, such as gender=female."""
        return str(self.edit)


@dataclass(frozen=True, kw_only=True, eq=False)
class VAEGANData:
    """Pictures with their split and attributes; draws this process's part of a batch."""

    name: str
    images: Images
    train_on: Numbers
    held_out: Numbers
    attributes: tuple[Attribute, ...]
    pictures: Pictures

    @property
    def rows(self) -> int:
        return len(self.train_on)

    def draw(self, position: RunPosition) -> Tensor:
        """Draw pictures, float32 [B, 3, H, W] in [-1, 1]."""
        return self.pictures.draw(position)

    def read(self, numbers: Numbers) -> Tensor:
        """Read pictures by number, float32 [B, 3, H, W] in [-1, 1]."""
        return to_batch(self.images.read(numbers))

    def shared(self) -> dict[str, Any]:
        return {"data_digest": self.images.digest, "pictures": [len(self.train_on), len(self.held_out)]}

    def facts(self) -> dict[str, object]:
        counts = {
            f"with_{attribute.name}": f"{int(attribute.on[self.train_on].sum()):,} of"
            f" {int((attribute.on | attribute.off)[self.train_on].sum()):,}"
            for attribute in self.attributes
        }
        return {
            "pictures": f"{len(self.train_on):,} and {len(self.held_out):,} held out",
            "size": size_text(self.images.sides),
            **counts,
        }

    def close(self) -> None:
        """Nothing is held open."""


def open_data(
    request: TrainRequest, settings: VAEGANSettings, device: str, note: Callable[[str], None]
) -> VAEGANData:
    """Open the pictures, split them, find their attributes.

    Raises DistillError for pictures of another size than the preset's table, and for an attribute that all pictures
    that are trained on have, or none.
    """
    path = request.needed_data()
    images = open_images(path, resolution=settings.resolution, skipped=note, any_shape=True)
    _check_size(path, images, settings)
    train_on, held_out = hold_out(len(images), round(settings.val_fraction * len(images)), request.seed)
    return VAEGANData(
        name=path_text(path.resolve().name),
        images=images,
        train_on=train_on,
        held_out=held_out,
        attributes=tuple(_attribute(c, images, train_on, path) for c in read_attributes(settings.attributes)),
        pictures=Pictures(
            images,
            train_on,
            Sampler(images.weights[train_on], stream_seed(request.seed, 0, "pictures"), settings.mirror),
            settings.batch,
            processes.rank(),
            processes.world_size(),
        ),
    )


def _check_size(path: Path, images: Images, settings: VAEGANSettings) -> None:
    taken = settings.shape().sides
    if images.sides != taken:
        tables = [f"{name} {size_text(preset.shape().sides)}" for name, preset in PRESETS.items()]
        raise DistillError(
            f"{path} has pictures of {size_text(images.sides)} px, but this network takes {size_text(taken)}:"
            f" choose --resolution, a preset ({', '.join(tables)}), or height and width with --set"
        )


def _attribute(condition: Condition, images: Images, train_on: Numbers, path: Path) -> Attribute:
    where = path_text(path)
    on = condition.holds(images.labels, where)
    off = condition.known(images.labels, where) & ~on
    counts = [int(rows[train_on].sum()) for rows in (on, off)]
    if not all(counts):
        lacking = "none has it" if not counts[0] else "all have it"
        raise DistillError(
            f"{condition}: of {plural(sum(counts), 'picture')} of {where} that are trained on and have the label"
            f" {condition.label!r}, {lacking}: an attribute needs some with it and some without"
        )
    return Attribute(edit=attribute_of(condition, images), on=on, off=off)
