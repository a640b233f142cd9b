"""Two domains without partners: of one labelled image set, of two folders, or of a folder with trainA and trainB.

B pictures of this process, H W image.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from distill.errors import DistillError
from distill.files import path_text
from distill.shards.images.conditions import parse_condition
from distill.training import processes
from distill.training.cyclegan.settings import CycleGANSettings
from distill.training.images import Images, open_images
from distill.training.pictures import Numbers, Pictures, hold_out, size_text, to_batch
from distill.training.position import RunPosition, stream_seed
from distill.training.request import TrainRequest
from distill.training.sampler import Sampler

PUBLIC = ("trainA", "trainB")  # folders of the public CycleGAN
Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Domain:
    """One of the two kinds of pictures: its name, and which pictures are trained on and held out."""

    name: str
    images: Images
    train_on: Numbers
    held_out: Numbers

    def read(self, numbers: Numbers) -> Tensor:
        """Read pictures by number, float32 [B, 3, H, W] in [-1, 1]."""
        return to_batch(self.images.read(numbers))


@dataclass(frozen=True, kw_only=True, eq=False)
class Domains:
    """Two domains; draws this process's part of a batch of each, independently shuffled."""

    a: Domain
    b: Domain
    pictures: tuple[Pictures, Pictures]

    @property
    def rows(self) -> int:
        return max(len(self.a.train_on), len(self.b.train_on))

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.a.images.sides

    def draw(self, position: RunPosition) -> tuple[Tensor, Tensor]:
        """Draw pictures of both, float32 [B, 3, H, W] in [-1, 1] each."""
        a, b = (pictures.draw(position) for pictures in self.pictures)
        return a, b

    def shared(self) -> dict[str, Any]:
        return {
            "domains": [self.a.name, self.b.name],
            "data_digest": self.digest,
            "sides": list(self.sides),
            "pictures": [len(self.a.train_on), len(self.b.train_on)],
        }

    @property
    def digest(self) -> str:
        return "+".join(dict.fromkeys((self.a.images.digest, self.b.images.digest)))

    def facts(self) -> dict[str, object]:
        return {
            **{
                f"domain_{key}": f"{domain.name}: {len(domain.train_on):,} and {len(domain.held_out):,} held out"
                for key, domain in (("a", self.a), ("b", self.b))
            },
            "size": size_text(self.sides),
        }

    def close(self) -> None:
        """Nothing is held open."""


def open_domains(request: TrainRequest, settings: CycleGANSettings, device: str, note: Note) -> Domains:
    """Open both domains and split them. Raises DistillError for one that is empty, and for different sizes."""
    found = _domains(request.needed_data(), settings, note)
    a, b = (_split(domain, settings.val_fraction, request.seed) for domain in found)
    if a.images.sides != b.images.sides:
        raise DistillError(
            f"{a.name} has pictures of {size_text(a.images.sides)} px and {b.name} of"
            f" {size_text(b.images.sides)} px: bring both to one size, such"
            f" as --resolution {min(*a.images.sides, *b.images.sides)}"
        )
    rank, world = processes.rank(), processes.world_size()
    pictures = [
        Pictures(
            domain.images,
            domain.train_on,
            Sampler(domain.images.weights[domain.train_on], stream_seed(request.seed, 0, f"domain-{key}")),
            settings.batch,
            rank,
            world,
        )
        for key, domain in (("a", a), ("b", b))
    ]
    return Domains(a=a, b=b, pictures=(pictures[0], pictures[1]))


def _domains(data: Path, settings: CycleGANSettings, note: Note) -> tuple[Domain, Domain]:
    if settings.domains:
        return _labelled(data, settings, note)
    second = settings.data_b
    if second is None and all((data / name).is_dir() for name in PUBLIC):
        data, second = (data / name for name in PUBLIC)
    if second is None:
        raise DistillError(
            f"{data} is one domain; name the other: --data-b FOLDER, or of a labelled image set --domains"
            " gender=male,gender=female"
        )
    names = [domain_name(path) for path in (data, second)]
    if names[0] == names[1]:
        names = ["a", "b"]
    a, b = (
        _whole(name, open_images(path, resolution=settings.resolution, skipped=note, any_shape=True))
        for name, path in zip(names, (data, second), strict=True)
    )
    return a, b


def _labelled(data: Path, settings: CycleGANSettings, note: Note) -> tuple[Domain, Domain]:
    """The pictures that fit the first and the second condition, of one set."""
    first, second = (parse_condition(text) for text in settings.domains or ())
    images = open_images(data, resolution=settings.resolution, skipped=note, any_shape=True)
    where = path_text(data)
    rows = [condition.holds(images.labels, where) for condition in (first, second)]
    both = int((rows[0] & rows[1]).sum())
    if both:
        raise DistillError(
            f"{both} of {len(images)} pictures of {where} have both {first} and {second}:"
            " the domains must not overlap"
        )
    a, b = (
        replace(_whole(condition.name, images), train_on=np.flatnonzero(chosen))
        for condition, chosen in zip((first, second), rows, strict=True)
    )
    return a, b


def _whole(name: str, images: Images) -> Domain:
    return Domain(name=name, images=images, train_on=np.arange(len(images)), held_out=np.empty(0, np.int64))


def _split(domain: Domain, fraction: float, seed: int) -> Domain:
    """Hold out a part of all pictures. Raises DistillError where none would be left."""
    count = len(domain.train_on)
    train_on, held_out = hold_out(count, round(fraction * count), seed)
    return replace(domain, train_on=domain.train_on[train_on], held_out=domain.train_on[held_out])


def domain_name(folder: Path) -> str:
    """A word for the pictures of a folder, as the facts of a student have it."""
    words = re.findall(r"[A-Za-z0-9_.+-]+", folder.resolve().name)
    return "-".join(words).lstrip("_.+-")[:60] or "pictures"
