"""One labelled image set: its pictures, and which attributes each of them has.

N pictures of the set, B of this process's part of a batch, A attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import DistillError
from distill.files import path_text
from distill.networks.edits import OPPOSITE, EditAttribute
from distill.progress import plural
from distill.shards.images.conditions import Condition
from distill.training import processes
from distill.training.edit_attributes import attribute_of, read_attributes
from distill.training.images import Images, open_images
from distill.training.pictures import Numbers, Pictures, hold_out, size_text
from distill.training.position import RunPosition, stream_seed
from distill.training.request import TrainRequest
from distill.training.sampler import Sampler
from distill.training.stargan.settings import StarGANSettings

Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledPictures:
    """Pictures and their labels [N, A], 0 or 1; those with an unknown label are neither trained on nor held out."""

    images: Images
    attributes: tuple[EditAttribute, ...]
    labels: NDArray[np.float32]
    train_on: Numbers
    held_out: Numbers
    pictures: Pictures

    @property
    def rows(self) -> int:
        return len(self.train_on)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.images.sides

    def draw(self, position: RunPosition) -> tuple[Tensor, Tensor]:
        """Draw pictures float32 [B, 3, H, W] in [-1, 1], and their labels [B, A]."""
        images, numbers = self.pictures.draw_numbered(position)
        return images, torch.from_numpy(self.labels[numbers])

    def shared(self) -> dict[str, Any]:
        return {
            "data_digest": self.images.digest,
            "sides": list(self.sides),
            "pictures": len(self.train_on),
        }

    def facts(self) -> dict[str, object]:
        counts = self.labels[self.train_on].sum(axis=0).astype(int).tolist()
        return {
            "pictures": f"{len(self.train_on):,} and {len(self.held_out):,} held out",
            "have": ", ".join(
                f"{attribute} {count:,}" for attribute, count in zip(self.attributes, counts, strict=True)
            ),
            "size": size_text(self.sides),
        }

    def close(self) -> None:
        """Nothing is held open."""


def open_pictures(
    request: TrainRequest, settings: StarGANSettings, device: str, note: Note
) -> LabelledPictures:
    """Open the set, read the attributes off its labels, and split it.

    Raises DistillError for a label that is not there, and for an attribute that no picture has, or every one.
    """
    data = request.needed_data()
    images = open_images(data, resolution=settings.resolution, skipped=note, any_shape=True)
    conditions = read_attributes(settings.attributes)
    labels, known = _labels(images, conditions, path_text(data))
    numbers = np.flatnonzero(known)
    if left_out := len(images) - len(numbers):
        names = " or ".join(dict.fromkeys(condition.label for condition in conditions))
        note(f"left out {left_out:,} of {len(images):,} pictures whose {names} is not known")
    train_on, held_out = hold_out(len(numbers), round(settings.val_fraction * len(numbers)), request.seed)
    train_on, held_out = numbers[train_on], numbers[held_out]
    _check_counts(conditions, labels[train_on], data)
    sampler = Sampler(
        images.weights[train_on], stream_seed(request.seed, 0, "pictures"), mirror=settings.mirror
    )
    return LabelledPictures(
        images=images,
        attributes=tuple(attribute_of(condition, images) for condition in conditions),
        labels=labels,
        train_on=train_on,
        held_out=held_out,
        pictures=Pictures(
            images, train_on, sampler, settings.batch, processes.rank(), processes.world_size()
        ),
    )


def _labels(
    images: Images, conditions: Sequence[Condition], where: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return which pictures have which attributes [N, A], and of which all is known [N]."""
    rows = [condition.holds(images.labels, where) for condition in conditions]
    known = [condition.known(images.labels, where) for condition in conditions]
    return np.stack(rows, axis=1).astype(np.float32), np.all(known, axis=0)


def _check_counts(conditions: Sequence[Condition], labels_NA: NDArray[np.float32], data: Path) -> None:
    for condition, column in zip(conditions, labels_NA.T, strict=True):
        have, count = int(column.sum()), len(column)
        if have in (0, count):
            who = "none" if have == 0 else "every one"
            raise DistillError(
                f"{who} of the {plural(count, 'picture')} of {path_text(data)} to train on has {condition}: a network"
                " learns an attribute from pictures with it and pictures without it"
            )


def names_of(attribute: EditAttribute) -> tuple[str, str]:
    """Return words for pictures that have an attribute and for those that have not: female and male."""
    label, sign, value = attribute.label, attribute.sign, attribute.value
    name = Condition(label, sign, value).name
    if sign != "=":
        return name, Condition(label, OPPOSITE[sign], value).name
    others = [other for other in attribute.values if other != value]
    return name, Condition(label, "=", others[0]).name if len(others) == 1 else f"not-{name}"


def changed_labels(attributes: Sequence[EditAttribute], labels_NA: Tensor, place: int) -> Tensor:
    """Change one attribute of each picture [N, A]: on where it is off, and off where it is on.

    Where several attributes are values of one label, such as hair=black and hair=blond, the one is put on and the
    others off (as the public code does with colours of hair).
    """
    wanted, chosen = labels_NA.clone(), attributes[place]
    rivals = [
        other
        for other, attribute in enumerate(attributes)
        if other != place and attribute.label == chosen.label and attribute.sign == chosen.sign == "="
    ]
    wanted[:, place] = 1.0 if rivals else 1 - labels_NA[:, place]
    wanted[:, rivals] = 0.0
    return wanted
