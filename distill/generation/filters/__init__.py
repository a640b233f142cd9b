"""Keep-or-drop rules. Each has a name, stores its scores, and names the reason of every drop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

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
Number = TypeVar("Number", bound=np.generic)


@dataclass
class Batch:
    """The pictures of N candidates on their way through the filters.

    `images`: picture -> uint8 [N, H, W, 3] on the generator's device; a picture carries the name of its role, but
    where a filter still has to `choose`. `reasons`: why each candidate was dropped, None while it is kept. `params`:
    name -> [N], what was drawn for the edit, and chosen. `scores`: name -> float32 [N] or [N, K], NaN where a
    candidate was dropped before it was scored. `faces`: role -> the one face, per candidate, once the face filter
    has run. `chosen`: role -> [N], which picture became it; empty where there was no choice. `close`: the candidates
    that a little more or less of some score would have kept or dropped instead.
    """

    images: Mapping[str, Tensor]
    reasons: list[str | None]
    params: dict[str, Numbers] = field(default_factory=dict)
    scores: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    faces: list[dict[str, Face]] = field(default_factory=list)
    chosen: dict[str, Numbers] = field(default_factory=dict)
    close: set[int] = field(default_factory=set)
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

    def judge(self, i: int, reason: str | None, *, close: bool) -> None:
        """Drop candidate i for a reason, or keep it for now (None); `close` where it nearly went the other way."""
        if reason:
            self.reasons[i] = reason
        if close:
            self.close.add(i)
        elif reason:
            self.close.discard(i)  # however close an earlier filter came, it is out

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

    def with_rows(self, places: Sequence[int], other: Batch) -> Batch:
        """Return a batch in which the candidates of `other`, judged too, stand at these places."""
        images = {role: with_rows(images, places, other.images[role]) for role, images in self.images.items()}
        merged = Batch.of(images, params=_with_rows(self.params, places, other.params))
        merged.scores = _with_rows(self.scores, places, other.scores)
        merged.reasons, merged.faces = list(self.reasons), list(self.faces)
        for row, i in enumerate(places):
            merged.reasons[i] = other.reasons[row]
            if self.faces:
                merged.faces[i] = other.faces[row]
        return merged


def with_rows(values: Tensor, places: Sequence[int], rows: Tensor) -> Tensor:
    """Return a copy of values [N, ...] with `rows` at these places."""
    return values.index_copy(0, torch.tensor(places, device=values.device), rows)


def _with_rows(
    columns: Mapping[str, NDArray[Number]], places: Sequence[int], other: Mapping[str, NDArray[Number]]
) -> dict[str, NDArray[Number]]:
    merged = {name: values.copy() for name, values in columns.items()}
    for name, values in merged.items():
        values[list(places)] = other[name]
    return merged


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
