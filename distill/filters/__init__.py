"""Keep-or-drop rules. Each has a name, stores its scores, and names the reason of every drop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distill.pixels import HostCopy

if TYPE_CHECKING:
    from distill.faces.detection import Face
    from distill.recipe import Recipe

ACCEPTED = "accepted"


@dataclass
class Batch:
    """The images of N candidates on their way through the filters.

    `images`: role -> uint8 [N, H, W, 3] on the generator's device. `reasons`: why each candidate was dropped, None
    while it is kept. `scores`: name -> float32 [N] or [N, roles], NaN where a candidate was dropped before it was
    scored. `faces`: role -> the one face, per candidate, once the face filter has run.
    """

    images: Mapping[str, Tensor]
    reasons: list[str | None]
    scores: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    faces: list[dict[str, Face]] = field(default_factory=list)
    _copies: dict[str, HostCopy] = field(default_factory=dict)

    @classmethod
    def of(cls, images: Mapping[str, Tensor]) -> Self:
        """Start a batch of kept candidates, and the copies of their images to the host."""
        count = len(next(iter(images.values())))
        copies = {role: HostCopy(tensor) for role, tensor in images.items()}
        return cls(images, [None] * count, _copies=copies)

    def host(self, role: str) -> NDArray[np.uint8]:
        """The images of a role as an array."""
        return self._copies[role].array()

    def kept(self) -> list[int]:
        return [i for i, reason in enumerate(self.reasons) if reason is None]


class Filter(Protocol):
    """A rule over a batch: writes its scores, and a reason for each candidate that it drops."""

    @property
    def reasons(self) -> Sequence[str]:
        """All the reasons that it can give, each "<filter>.<what>"."""

    def __call__(self, batch: Batch) -> None: ...


def build_filters(recipe: Recipe, *, threads: int = 1) -> list[Filter]:
    """Make the recipe's filters, in its order; `threads` of them may be at work at once.

    dlib loads when the first image is looked at.
    """
    from distill.filters.change import ChangeGate
    from distill.filters.face import FaceGate

    makers: dict[str, Callable[..., Filter]] = {
        "change": ChangeGate,
        "face": lambda settings, recipe: FaceGate(settings, recipe, threads=threads),
    }
    return [makers[item.name](item, recipe) for item in recipe.filters]
