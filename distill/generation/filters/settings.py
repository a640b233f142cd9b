"""What a recipe says of its filters. A bound recipe names the models that they look with by sha256."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from distill.schema import Frozen


class ChangeFilter(Frozen):
    """Drop a mix that changed nothing (SSIM with its content above `max_ssim`) or everything (below `min_ssim`).

    SSIM is taken on copies of at most 256 px, so that one window serves every resolution.
    """

    name: Literal["change"] = "change"
    min_ssim: float = Field(ge=-1, le=1)
    max_ssim: float = Field(ge=-1, le=1)


class FaceFilter(Frozen):
    """Keep a candidate when dlib sees exactly one face, framed as in FFHQ, in every role.

    `min_confidence` is the HOG detector's score; `max_framing_error` the largest distance of a corner of the
    FFHQ crop from the image's own corner, as a share of its side; `landmarks_sha256` names the landmark model.

    Images with sides below `detect_size` px are enlarged to it. Faces of 80 px are found, so at 144 those that fill
    more than half of the image; a second, smaller one goes unseen. Enlarging to 192 px takes 1.6 times as long.
    """

    name: Literal["face"] = "face"
    min_confidence: float
    max_framing_error: float = Field(gt=0)
    detect_size: int = Field(default=256, ge=80, le=1024)
    landmarks_sha256: str = ""


class PairFilter(Frozen):
    """Score an attribute in all images of a candidate and choose two of them as source and target.

    `scorer` names who scores and `scorer_sha256` its weights. It is shown the most confident face of each image,
    found by dlib as the other settings say, or none with `find_faces` false: a scorer that needs no face.
    """

    attribute: str = Field(min_length=1)
    scorer: str = "builtin"
    scorer_sha256: str = ""
    find_faces: bool = True
    min_face_confidence: float = 0.5
    detect_size: int = Field(default=192, ge=80, le=1024)
    landmarks_sha256: str = ""


class OppositeFilter(PairFilter):
    """Choose the pair whose ends lie in opposite classes with the highest certainty (Viazovetskyi et al. 2020).

    The score is the probability of a class. Both ends need a confidence of `min_confidence`; which of them is the
    source is drawn per candidate.
    """

    name: Literal["opposite"] = "opposite"
    min_confidence: float = Field(default=0.9, ge=0.5, le=1)


class ApartFilter(PairFilter):
    """Choose the pair that a step along the direction moves furthest up; drop it below `min_gap`.

    The gap is in units of the score (years for age). `source` says which end is the source.
    """

    name: Literal["apart"] = "apart"
    min_gap: float = Field(default=20.0, gt=0)
    source: Literal["lower", "higher"]


class OutsideFilter(Frozen):
    """Drop a pair whose pixels outside the face change by more than `max_change` grey levels (0 to 255) on the mean.

    The face is the hull of the landmarks of first input and target, widened by half about its middle.
    """

    name: Literal["outside"] = "outside"
    max_change: float = Field(gt=0, le=255)


class IdentityFilter(Frozen):
    """Drop a pair whose dlib face descriptors lie further apart than `max_distance` (0.6 parts two people)."""

    name: Literal["identity"] = "identity"
    max_distance: float = Field(gt=0, le=10)
    descriptor_sha256: str = ""


PAIR_FILTERS = (OppositeFilter, ApartFilter)
AnyFilter = Annotated[
    ChangeFilter | FaceFilter | OppositeFilter | ApartFilter | OutsideFilter | IdentityFilter,
    Field(discriminator="name"),
]
