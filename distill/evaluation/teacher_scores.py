"""What is reported of a teacher: its score, its variety, the faces in its samples and whom they are like.

N samples, M training pictures, H W their size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from distill.errors import DistillError
from distill.evaluation.student_scores import evenly
from distill.evaluation.teacher_measures import (
    Blocks,
    FaceShares,
    Likeness,
    PictureDistance,
    Spread,
    face_shares,
    find_faces,
    likeness,
    pair_spread,
)
from distill.evaluation.training_pictures import Pixels, TrainingPictures
from distill.metrics.features import Features
from distill.metrics.frechet import frechet_distance, moments, score_name
from distill.networks.efficientnet_lite import NAME as LITE0

PAIRED = 1000  # pictures whose pairs are all compared


@dataclass(frozen=True, kw_only=True)
class TeacherScore:
    """A Fréchet distance between samples at ψ 1 and all training pictures.

    `flattering`: the generator learned to please a critic that sees these very features.
    """

    name: str
    value: float
    samples: int
    pictures: int
    flattering: bool


@dataclass(frozen=True, kw_only=True)
class Variety:
    """Distances of all pairs, by the measure named."""

    measure: str
    samples: Spread
    samples_psi_1: Spread
    pictures: Spread | None


@dataclass(frozen=True, kw_only=True)
class FacesFound:
    """Shares of samples, and of training pictures, with exactly one face, none, several."""

    samples: FaceShares
    pictures: FaceShares | None


def take_score(
    features: Features, at_one: Pixels, pictures: TrainingPictures, blocks: Blocks, flattering: bool
) -> TeacherScore:
    """Take the Fréchet distance; `flattering`: a critic on features of EfficientNet-Lite0 taught the teacher."""
    ours, theirs = (
        moments(features.of(torch.from_numpy(block) for block in blocks(stage, images)))
        for stage, images in (("score of the samples", at_one), ("score of the pictures", pictures.pixels))
    )
    return TeacherScore(
        name=score_name(features.name),
        value=frechet_distance(theirs, ours),
        samples=ours.count,
        pictures=theirs.count,
        flattering=flattering and features.name == LITE0,
    )


def measure_variety(
    distance: PictureDistance,
    at_psi: Pixels,
    at_one: Pixels,
    pictures: TrainingPictures | None,
    blocks: Blocks,
) -> Variety:
    """Spread the distances of pairs, of at most PAIRED pictures of a kind."""
    ours = pair_spread(distance, at_psi[:PAIRED], blocks, "variety")
    whole = ours
    if at_one is not at_psi:
        whole = pair_spread(distance, at_one[:PAIRED], blocks, "variety at ψ 1")
    theirs = None
    if pictures is not None:
        chosen = evenly(len(pictures.pixels), PAIRED)
        theirs = pair_spread(distance, pictures.pixels[chosen], blocks, "variety of the pictures")
    return Variety(measure=distance.name, samples=ours, samples_psi_1=whole, pictures=theirs)


def measure_faces(
    at_psi: Pixels, pictures: TrainingPictures | None, blocks: Blocks
) -> tuple[FacesFound, Likeness | None, tuple[str, ...]]:
    """Look for faces, and compare them with those of the training pictures; say what could not be compared."""
    ours = find_faces(at_psi, blocks, "faces", identity=pictures is not None)
    found = FacesFound(samples=face_shares(ours.counts), pictures=None)
    if pictures is None:
        return found, None, ()
    theirs = find_faces(pictures.pixels, blocks, "faces of the pictures", mirrors=True)
    found = replace(found, pictures=face_shares(theirs.counts))
    held_out = np.zeros(len(theirs.counts), dtype=bool) if pictures.held_out is None else pictures.held_out
    try:
        like = likeness(ours, theirs, held_out)
    except DistillError as error:
        return found, None, (f"likeness: {error}",)
    named = tuple(replace(pair, picture=int(pictures.numbers[pair.picture])) for pair in like.nearest)
    return found, replace(like, nearest=named), ()
