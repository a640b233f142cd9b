"""Edit a photograph as a generator edits what it draws of it, and keep what an independent look finds as asked.

What a generator draws of a photograph's latent is soft and misses much. So the *edit* is taken from the generator,
and the rest from the photograph: the photograph plus the difference between the pictures of the moved latent and of
the latent. Where something comes or goes, such as hair, and the difference is great, it is the picture of the moved
latent.

L w+ layers, D latent width, H image side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from distill.attributes.moves import MIDDLE, SURE
from distill.attributes.protocol import AttributeScorer, Kind
from distill.errors import DistillError
from distill.faces.detection import Face
from distill.faces.identity import describe
from distill.stylegan2.generator import Generator
from distill.stylegan2.mixing import drawn, moved

# Along a direction: of most, and of some by their attribute. Of 160 photographs of either gender, 5 kept 44 women and
# 50 men, 4 kept 32 and 46.
STRENGTH, STRENGTHS = 4.0, {"age": 4.5, "gender": 5.0}
MOST_STRENGTH = 100.0
LEAST = {"age": 10.0, "yaw": 8.0}  # years, degrees: what a value changes by at least
FARTHEST = 0.65  # descriptor distance of a pair
BLUR = 1.5 / 64  # of the side: by how much the difference whose size decides is smoothed
ADD_BELOW, DRAW_ABOVE = 25.0, 55.0  # grey levels of difference: only added, only the edited picture
GENDER = "gender"  # that no other edit may change
NOT_AS_ASKED = "not as asked"

Pixels = NDArray[np.uint8]


class NotKept(Exception):
    """Why a photograph makes no pair; the score `before` and `after`, where the edit was scored."""

    def __init__(self, reason: str, *, before: float | None = None, after: float | None = None) -> None:
        super().__init__(reason)
        self.before, self.after = before, after


@dataclass(frozen=True, kw_only=True)
class AskedChange:
    """What is asked of an attribute: by `strength` along its direction, a value changes that way by `least` or more.

    A probability ends on the other side of the middle for sure, from whichever side the photograph is on; with
    `one_way` only on the side that the strength leads to.
    """

    attribute: str
    kind: Kind
    strength: float
    least: float = 0.0
    one_way: bool = False

    @property
    def draws(self) -> bool:
        """Whether something comes or goes, so that great differences are drawn and not added."""
        return self.kind == "probability"

    def strength_of(self, before: float) -> float:
        """How far a photograph of this score is moved. Raises NotKept where it is there already."""
        if self.kind == "value":
            return self.strength
        there = (before > MIDDLE) == (self.strength > 0)
        if self.one_way and there:
            raise NotKept("there already")
        return -self.strength if there else self.strength

    def came(self, before: float, after: float) -> bool:
        """Tell whether a score went where it was asked to go."""
        return self.reached(before, after) >= self.asked

    @property
    def asked(self) -> float:
        """What `reached` is asked to be at least."""
        return self.least if self.kind == "value" else SURE

    def reached(self, before: float, after: float) -> float:
        """How far an edit went the way it was asked to: a value's change, the probability of the side asked for."""
        way = math.copysign(1.0, self.strength_of(before))
        if self.kind == "value":
            return way * (after - before)
        return MIDDLE + way * (after - MIDDLE)

    def short(self, scores: Sequence[tuple[float, float]]) -> str:
        """Say of edits that are not as asked, by score before and after, how far they went and what was asked."""
        after = median(self.reached(*pair) for pair in scores)
        if self.kind == "value":
            return f"median change {after:.3g}, {self.asked:g} asked"
        before = median(self.reached(pair[0], pair[0]) for pair in scores)
        medians = f"median {before:.2f} before, {after:.2f} after"
        return f"probability of the side asked for: {medians}, {self.asked:g} asked"


def asked_change(
    attribute: str,
    kind: Kind,
    *,
    strength: float | None = None,
    least: float | None = None,
    one_way: bool = False,
) -> AskedChange:
    """Fill in what is not said. Raises DistillError for what has no meaning, and where nobody says what counts."""
    far = strength if strength is not None else STRENGTHS.get(attribute, STRENGTH)
    if not 0 < abs(far) <= MOST_STRENGTH:
        raise DistillError(f"--strength {far:g}: a number other than 0 is needed, at most {MOST_STRENGTH:g}")
    if kind == "value":
        if one_way:
            raise DistillError(f"--one-way: {attribute} is a value, and goes by --strength up or down anyway")
        least = least if least is not None else LEAST.get(attribute)
        if least is None:
            raise DistillError(
                f"{attribute} is a value: say by --min-change, in its unit, what a pair differs by at least"
            )
        return AskedChange(attribute=attribute, kind=kind, strength=far, least=least)
    if least is not None:
        raise DistillError(
            f"--min-change: {attribute} is a probability, which ends above {SURE} or below {1 - SURE:.1f}"
        )
    if far < 0 and not one_way:
        raise DistillError(
            f"--strength {far:g}: each photo goes to the other side of {attribute}: give a number above 0, or"
            " --one-way too"
        )
    return AskedChange(attribute=attribute, kind=kind, strength=far, one_way=one_way)


@dataclass(frozen=True, kw_only=True, eq=False)
class EditedPhoto:
    """A target [H, H, 3], how far its face is from the photograph's, and the score before and after."""

    target: Pixels
    identity: float
    before: float
    after: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoEditor:
    """Edits photographs [H, H, 3] whose latents are known along `vector` [L, D], as large as the generator draws."""

    generator: Generator
    vector: Tensor
    change: AskedChange
    scorer: AttributeScorer
    farthest: float = FARTHEST

    def __call__(self, photo: Pixels, ws_1LD: Tensor, face: Face) -> EditedPhoto:
        """Edit one photograph. Raises NotKept for another person, and where the scorer does not see the change."""
        name = self.change.attribute
        before = self._scores(photo, face)
        ws_2LD = moved(ws_1LD, self.vector, [0.0, self.change.strength_of(before[name])])[0]
        target, identity = as_drawn(
            self.generator, photo, ws_2LD, face, draw=self.change.draws, farthest=self.farthest
        )
        after = self._scores(target, face)
        same = name == GENDER or GENDER not in after or (after[GENDER] > MIDDLE) == (before[GENDER] > MIDDLE)
        if not self.change.came(before[name], after[name]):
            raise NotKept(NOT_AS_ASKED, before=before[name], after=after[name])
        if not same:
            raise NotKept("another gender", before=before[name], after=after[name])
        return EditedPhoto(target=target, identity=identity, before=before[name], after=after[name])

    def _scores(self, image: Pixels, face: Face) -> Mapping[str, float]:
        return {name: float(values[0]) for name, values in self.scorer(image[None], [face]).items()}


def as_drawn(
    generator: Generator,
    photo: Pixels,
    ws_2LD: Tensor,
    face: Face,
    *,
    draw: bool,
    farthest: float = FARTHEST,
) -> tuple[Pixels, float]:
    """Edit a photograph as what is drawn of the second latent differs from the first, its own.

    Returns the target and the distance of its face's descriptor. Raises NotKept for one beyond `farthest`.
    """
    plain, edited = drawn(generator, ws_2LD).numpy()
    target = transferred(photo, plain, edited, draw=draw)
    distance = float(np.linalg.norm(describe(photo, face.landmarks) - describe(target, face.landmarks)))
    if distance > farthest:
        raise NotKept("another person")
    return target, distance


def transferred(photo: Pixels, plain: Pixels, edited: Pixels, *, draw: bool) -> Pixels:
    """Edit a photograph [H, W, 3] as `edited` differs from `plain`; `draw`: where they differ much, be `edited`."""
    difference = edited.astype(np.float64) - plain
    result = photo + difference
    if draw:
        size = gaussian_filter(np.abs(difference).mean(axis=2), BLUR * len(photo))
        share = np.clip((size - ADD_BELOW) / (DRAW_ABOVE - ADD_BELOW), 0, 1)[:, :, None]
        result = (1 - share) * result + share * edited
    pixels: Pixels = np.clip(result, 0, 255).round().astype(np.uint8)
    return pixels
