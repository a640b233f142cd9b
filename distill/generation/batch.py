"""The candidates of one batch, on their way from latents to the rows of a shard.

Shapes: N candidates, K pictures of each, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.faces.detection import Face, FaceDetector, each
from distill.generation.edits.base import Numbers
from distill.generation.edits.rings import LentPicture
from distill.pixels import HostCopy, to_uint8
from distill.timing import DeviceTimer

ACCEPTED = "accepted"
Faces = list[list[Face] | None]  # of each candidate, None where nobody has looked


@dataclass(kw_only=True)
class Batch:
    """N candidates that were drawn together, with the verdict on each.

    A picture carries the name of its role, but before a pair is selected. `ids`: the candidates' numbers. `drawn`:
    picture -> float [N, 3, H, W] on the generator's device; `images`: the same as uint8 [N, H, W, 3]. `latents`:
    picture -> w+ [N, L, D]. `params`: name -> [N], what was drawn for the edit, or selected. `reasons`: why each
    candidate was dropped, None while it is kept. `scores`: name -> float32 [N] or [N, K], NaN where a candidate was
    dropped before it was scored. `faces`: picture -> the faces in it. `regions`: the part that was moved, a mask
    [N, H, W] in 0..1. `lent`: in rings, which picture is a neighbour's; its faces are looked for once.
    """

    ids: Sequence[int]
    drawn: dict[str, Tensor]
    images: dict[str, Tensor]
    latents: Mapping[str, Tensor]
    params: dict[str, Numbers]
    reasons: list[str | None]
    timer: DeviceTimer | None = None  # of the drawing, which a GPU may not have finished
    scores: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    faces: dict[str, Faces] = field(default_factory=dict)
    regions: NDArray[np.float32] | None = None
    lent: LentPicture | None = None
    wanted: list[int] = field(default_factory=list)  # accepted candidates that the shard has room for
    framed: dict[str, NDArray[np.uint8]] = field(default_factory=dict)  # role -> these, as they are stored
    _copies: dict[str, HostCopy] = field(default_factory=dict)
    _before: list[Mapping[str, Tensor]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        ids: Sequence[int],
        drawn: Mapping[str, Tensor],
        latents: Mapping[str, Tensor] | None = None,
        params: Mapping[str, Numbers] | None = None,
        timer: DeviceTimer | None = None,
        lent: LentPicture | None = None,
    ) -> Self:
        """Start a batch of kept candidates, and the copies of their images to the host."""
        images = {name: to_uint8(floats) for name, floats in drawn.items()}
        return cls(
            ids=ids,
            drawn=dict(drawn),
            images=images,
            latents=latents or {},
            params=dict(params or {}),
            timer=timer,
            lent=lent,
            reasons=[None] * len(ids),
            _copies={name: HostCopy(tensor) for name, tensor in images.items()},
        )

    def add(self, picture: str, drawn_NCHW: Tensor) -> None:
        """Put in a picture that was drawn later."""
        self.drawn[picture] = drawn_NCHW
        self.images[picture] = to_uint8(drawn_NCHW)
        self._copies[picture] = HostCopy(self.images[picture])

    def host(self, picture: str) -> NDArray[np.uint8]:
        """The images of a picture as an array [N, H, W, 3]."""
        return self._copies[picture].array()

    def kept(self) -> list[int]:
        return [i for i, reason in enumerate(self.reasons) if reason is None]

    def drop(self, i: int, reason: str) -> None:
        self.reasons[i] = reason

    def find_faces(self, pictures: Sequence[str], detector: FaceDetector, *, threads: int = 1) -> None:
        """Look for faces in these pictures of the candidates that are kept, where nobody has looked yet."""
        sources = dict.fromkeys(self._source(name, i) for i in self.kept() for name in pictures)
        for name, _ in sources:
            self.faces.setdefault(name, [None] * len(self.ids))
        unseen = [(name, i) for name, i in sources if self.faces[name][i] is None]

        def look(place: int) -> None:
            name, i = unseen[place]
            self.faces[name][i] = detector(self.host(name)[i])

        each(look, range(len(unseen)), threads=threads)

    def faces_in(self, picture: str, i: int) -> list[Face]:
        """The faces that were found, the most confident first; none where nobody has looked."""
        name, i = self._source(picture, i)
        return (self.faces[name][i] if name in self.faces else None) or []

    def _source(self, picture: str, i: int) -> tuple[str, int]:
        return self.lent.source(picture, i) if self.lent else (picture, i)

    def landmarks(self, role: str, i: int) -> NDArray[np.float64]:
        """The 68 landmarks [68, 2] of the most confident face."""
        return self.faces_in(role, i)[0].landmarks

    def choose(self, places: Mapping[str, NDArray[np.int64]]) -> None:
        """Let one picture of each candidate be each role: `places` maps roles to places among the pictures [N]."""
        names = list(self.images)
        chosen = {role: [names[place] for place in places_N.tolist()] for role, places_N in places.items()}
        self._copies = {
            role: HostCopy(torch.from_numpy(self._picked_host(of))) for role, of in chosen.items()
        }
        if self.faces:
            self.faces = {
                role: [self.faces[name][i] for i, name in enumerate(of)] for role, of in chosen.items()
            }
        # Kept until the batch goes: a GPU may still be reading them, and their memory belongs to another stream.
        self._before = [self.drawn, self.images, self.latents]
        self.drawn, self.images, self.latents = (
            {
                role: torch.stack([tensors[name][i] for i, name in enumerate(of)])
                for role, of in chosen.items()
            }
            for tensors in (self.drawn, self.images, self.latents)
        )

    def _picked_host(self, names: Sequence[str]) -> NDArray[np.uint8]:
        return np.stack([self.host(name)[i] for i, name in enumerate(names)])
