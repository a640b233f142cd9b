"""What students of every kind say about the images that they take."""

from __future__ import annotations

from typing import Protocol

from distill.errors import DistillError


class StudentShape(Protocol):
    """The `architecture` of a student's network, as far as its users ask.

    `inputs`: channels, 3 for each RGB image. `side_multiple`: both sides of an image are multiples of this many px.
    `norm` "batch": of batch normalisation, which may go by each image (`--norm-statistics`).
    """

    @property
    def inputs(self) -> int: ...
    @property
    def side_multiple(self) -> int: ...
    @property
    def norm(self) -> str: ...
    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width of the only images that the network takes; None: of many sizes."""

    def check_inputs(self, channels: int) -> None:
        """Raise DistillError, naming both numbers, where the images have other channels than the network takes."""

    def check_sides(self, height: int, width: int) -> None:
        """Raise DistillError for images that do not come out in their own size."""


def check_channels(inputs: int, channels: int) -> None:
    """Raise DistillError where images of this many `channels` do not fit a network that takes `inputs`."""
    if channels != inputs:
        raise DistillError(
            f"the network takes {inputs} input channels{_roles(inputs)}, "
            f"the images have {channels}{_roles(channels)}"
        )


def check_halvings(height: int, width: int, halvings: int, *, least: int) -> None:
    """Raise DistillError for sides that this many halvings do not divide, or of less than `least` px."""
    multiple = 1 << halvings
    if height % multiple or width % multiple or min(height, width) < least:
        raise DistillError(
            f"images of {width}x{height} px do not fit the network: with {halvings} "
            f"halvings both sides must be multiples of {multiple} px, and at least {least}"
        )


def _roles(channels: int) -> str:
    """Say how many RGB images make up this many channels."""
    if channels % 3:
        return ""
    return " (1 image)" if channels == 3 else f" ({channels // 3} images)"
