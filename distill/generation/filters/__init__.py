"""Keep-or-drop rules. Each has a name, stores its scores, and names the reason of every drop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.pixels import HostCopy

if TYPE_CHECKING:
    from distill.attributes.protocol import AttributeScorer
    from distill.faces.detection import Face, FaceDetector
    from distill.generation.recipe import Recipe

ACCEPTED = "accepted"
Numbers = NDArray[np.int64]


@dataclass
class Batch:
    """The pictures of N candidates on their way through the filters.

    `images`: picture -> uint8 [N, H, W, 3] on the generator's device; a picture carries the name of its role, but
    where a filter still has to `choose`. `reasons`: why each candidate was dropped, None while it is kept. `params`:
    name -> [N], what was drawn for the edit, and chosen. `scores`: name -> float32 [N] or [N, K], NaN where a
    candidate was dropped before it was scored. `faces`: role -> the one face, per candidate, once the face filter
    has run. `chosen`: role -> [N], which picture became it; empty where there was no choice.
    """

    images: Mapping[str, Tensor]
    reasons: list[str | None]
    params: dict[str, Numbers] = field(default_factory=dict)
    scores: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    faces: list[dict[str, Face]] = field(default_factory=list)
    chosen: dict[str, Numbers] = field(default_factory=dict)
    _copies: dict[str, HostCopy] = field(default_factory=dict)
    _drawn: Mapping[str, Tensor] = field(default_factory=dict)  # what was chosen from
    _seen: dict[tuple[FaceDetector, str, int], list[Face]] = field(default_factory=dict)

    @classmethod
    def of(cls, images: Mapping[str, Tensor], *, params: Mapping[str, Numbers] | None = None) -> Self:
        """Start a batch of kept candidates, and the copies of their images to the host."""
        count = len(next(iter(images.values())))
        copies = {role: HostCopy(tensor) for role, tensor in images.items()}
        return cls(images, [None] * count, params=dict(params or {}), _copies=copies)

    def host(self, role: str) -> NDArray[np.uint8]:
        """The images of a role as an array."""
        return self._copies[role].array()

    def kept(self) -> list[int]:
        return [i for i, reason in enumerate(self.reasons) if reason is None]

    def drop(self, i: int, reason: str) -> None:
        self.reasons[i] = reason

    def faces_in(self, role: str, i: int, detector: FaceDetector) -> list[Face]:
        """Look for the faces of one picture, once with the same detector."""
        key = (detector, role, i)
        if key not in self._seen:
            self._seen[key] = detector(self.host(role)[i])
        return self._seen[key]

    def choose(self, chosen: Mapping[str, Numbers]) -> None:
        """Let one picture of each candidate be each role: `chosen` maps roles to places among the pictures [N]."""
        names, hosts = list(self.images), [self.host(name) for name in self.images]
        seen = self._seen
        self._seen = {
            (detector, role, i): faces
            for (detector, name, i), faces in seen.items()
            for role, places_N in chosen.items()
            if names[places_N[i]] == name
        }
        self._copies = {
            role: HostCopy(torch.from_numpy(np.stack([hosts[k][i] for i, k in enumerate(places_N)])))
            for role, places_N in chosen.items()
        }
        # Kept until the batch goes: a GPU may still be reading it, and its memory belongs to the stream that drew it.
        self._drawn = self.images
        self.images = {role: picked(list(self.images.values()), at) for role, at in chosen.items()}
        self.chosen = dict(chosen)


def picked(pictures: Sequence[Tensor], places_N: Numbers) -> Tensor:
    """Take of each candidate i the picture at place i of `places_N`: K tensors [N, ...] -> [N, ...]."""
    return torch.stack([pictures[k][i] for i, k in enumerate(places_N.tolist())])


class Filter(Protocol):
    """A rule over a batch: writes its scores, and a reason for each candidate that it drops."""

    @property
    def reasons(self) -> Sequence[str]:
        """All the reasons that it can give, each "<filter>.<what>"."""

    def __call__(self, batch: Batch) -> None: ...


def build_filters(recipe: Recipe, *, threads: int = 1, scorer: AttributeScorer | None = None) -> list[Filter]:
    """Make the recipe's filters, in its order; `threads` of them may be at work at once.

    `scorer` is needed where one of them chooses a pair. dlib loads when the first image is looked at.
    """
    from distill.generation.filters.change import ChangeGate
    from distill.generation.filters.face import FaceGate
    from distill.generation.filters.identity import IdentityGate
    from distill.generation.filters.outside import OutsideGate
    from distill.generation.filters.pair import pair_gate

    makers: dict[str, Callable[..., Filter]] = {
        "change": ChangeGate,
        "face": lambda settings, recipe: FaceGate(settings, recipe, threads=threads),
        "opposite": lambda settings, recipe: pair_gate(settings, scorer, threads=threads),
        "apart": lambda settings, recipe: pair_gate(settings, scorer, threads=threads),
        "outside": OutsideGate,
        "identity": IdentityGate,
    }
    return [makers[item.name](item, recipe) for item in recipe.filters]
