"""Assess a teacher: draw samples, measure them, and set them beside the pictures it was trained on.

`assess` is the whole of it. Shapes: N samples, M training pictures, S the side at which both are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distill import __version__
from distill.errors import DistillError
from distill.evaluation.teacher_measures import (
    DETECT_SIDE,
    LOOK_SIDE,
    FaceShares,
    Likeness,
    Look,
    Pixels,
    Spread,
    Watch,
    averaged,
    face_shares,
    find_faces,
    likeness,
    variety,
)
from distill.metrics.features import Features
from distill.metrics.frechet import frechet_distance, moments, score_name
from distill.pixels import area_downsample, to_numpy, to_uint8
from distill.stylegan2.generator import Generator
from distill.stylegan2.sampling import sample_z

LARGEST_SIDE = 256  # px: larger samples are averaged down once; nothing here sees more
VARIETY_MOST = 1000  # pictures whose pairs are all compared
# Seconds a picture on one core, for the estimate of the time left.
DRAW, SCORE, LOOK, DETECT, DESCRIBE = 0.02, 0.05, 0.03, 0.02, 0.16


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingPictures:
    """M pictures [M, S', S', 3] to compare with: all `total` of the data, or some; `numbers` [M] are theirs.

    `held_out` [M] marks those the teacher was not trained on; None where that is not known.
    """

    name: str
    pixels: Pixels
    numbers: NDArray[np.int64]
    total: int
    held_out: NDArray[np.bool_] | None = None

    def to_json(self) -> dict[str, Any]:
        held = None if self.held_out is None else int(self.held_out.sum())
        return {"name": self.name, "used": len(self.pixels), "total": self.total, "held_out": held}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be measured; `left_out` says what is not, and why."""

    samples: int
    truncation_psi: float
    seed: int
    faces: bool
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Score:
    """A Fréchet distance between samples at ψ 1 and all training pictures."""

    name: str
    value: float
    samples: int
    pictures: int


@dataclass(frozen=True, kw_only=True)
class Variety:
    """Distances of all pairs. `ratio`: median of the samples at ψ 1 / median of the training pictures."""

    measure: str
    side: int
    samples: Spread
    samples_psi_1: Spread
    pictures: Spread | None
    ratio: float | None


@dataclass(frozen=True, kw_only=True)
class FacesFound:
    """Shares of samples, and of training pictures, with exactly one face; both enlarged to `enlarged_to` px."""

    enlarged_to: int
    samples: FaceShares
    pictures: FaceShares | None


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Everything that was measured; None where it was left out. `side` is the side of what was compared, px."""

    generator: Mapping[str, Any]
    plan: Plan
    side: int
    pictures: Mapping[str, Any] | None
    score: Score | None
    variety: Variety
    faces: FacesFound | None
    likeness: Likeness | None
    left_out: tuple[str, ...]
    distill: str = field(default=__version__)

    def to_json(self) -> dict[str, Any]:
        plan = {
            "count": self.plan.samples,
            "truncation_psi": self.plan.truncation_psi,
            "seed": self.plan.seed,
        }
        found = {name: value for name, value in asdict(self).items() if name != "plan"}
        return {
            "distill": found.pop("distill"),
            "generator": found.pop("generator"),
            "samples": plan,
            **found,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """Samples uint8 [N, H, W, 3], H = W at most LARGEST_SIDE, at the plan's ψ and at ψ 1."""

    at_psi: Pixels
    at_one: Pixels


def assess(
    generator: Generator,
    about: Mapping[str, Any],
    plan: Plan,
    pictures: TrainingPictures | None,
    *,
    features: Features | None,
    look: Look,
    watch: Watch,
) -> tuple[Assessment, Drawn]:
    """Draw the plan's samples and measure them. `about` is what is known of the generator.

    Without `features` there is no score; without `pictures` nothing stands beside the samples.
    """
    drawn = draw_samples(generator, plan, watch)
    side = compared_side(generator.resolution, pictures)
    at_psi, at_one = averaged(drawn.at_psi, side), averaged(drawn.at_one, side)
    if pictures is not None:
        pictures = replace(pictures, pixels=averaged(pictures.pixels, side))
    score = take_score(features, at_one, pictures.pixels, watch) if features and pictures else None
    varied = measure_variety(look, plan, at_psi, at_one, pictures, watch)
    faces, like, missing = measure_faces(plan, at_psi, pictures, watch)
    assessment = Assessment(
        generator=about,
        plan=plan,
        side=side,
        pictures=pictures.to_json() if pictures else None,
        score=score,
        variety=varied,
        faces=faces,
        likeness=like,
        left_out=(*plan.left_out, *missing),
    )
    return assessment, drawn


def compared_side(resolution: int, pictures: TrainingPictures | None) -> int:
    """Return the side in px at which samples and training pictures are compared: what both have, up to 256."""
    return min(resolution, LARGEST_SIDE, pictures.pixels.shape[1] if pictures else LARGEST_SIDE)


def work_of(plan: Plan, resolution: int, pictures: int) -> dict[str, float]:
    """Estimate the seconds of each stage on one core; the names are those that `assess` watches."""
    n, m = plan.samples, pictures
    identity = DESCRIBE if m else 0.0
    stages = {
        "drawing": n * DRAW * (resolution / 64) ** 2,
        "drawing at ψ 1": n * DRAW * (resolution / 64) ** 2 if plan.truncation_psi != 1 else 0.0,
        "score of the samples": n * SCORE if m else 0.0,
        "score of the pictures": m * SCORE,
        "variety": min(n, VARIETY_MOST) * LOOK,
        "variety at ψ 1": min(n, VARIETY_MOST) * LOOK if plan.truncation_psi != 1 else 0.0,
        "variety of the pictures": min(m, VARIETY_MOST) * LOOK,
        "faces": n * (DETECT + identity) if plan.faces else 0.0,
        "faces of the pictures": m * (DETECT + 2 * identity) if plan.faces else 0.0,
    }
    return {name: seconds for name, seconds in stages.items() if seconds}


def draw_samples(generator: Generator, plan: Plan, watch: Watch) -> Drawn:
    """Draw the plan's samples at its ψ and at ψ 1."""
    z_NZ = latents(generator, plan)
    at_psi = [draw(generator, block, plan.truncation_psi) for block in watch("drawing", z_NZ)]
    at_one = at_psi
    if plan.truncation_psi != 1:
        at_one = [draw(generator, block, 1.0) for block in watch("drawing at ψ 1", z_NZ)]
    return Drawn(at_psi=np.concatenate(at_psi), at_one=np.concatenate(at_one))


def latents(generator: Generator, plan: Plan) -> NDArray[np.float32]:
    """Return z [N, Z]: those of the first candidates that `distill generate` draws with that seed."""
    return sample_z(plan.seed, 0, range(plan.samples), ["content"], generator.z_dim)[:, 0]


def draw(generator: Generator, z_NZ: NDArray[np.float32], psi: float) -> Pixels:
    """Draw z [N, Z] as uint8 pictures, averaged down to LARGEST_SIDE where they are larger."""
    ws_NLD = generator.map(torch.from_numpy(z_NZ), truncation_psi=psi)
    images_NCHW = generator.synthesize(ws_NLD).clamp(-1, 1)
    return to_numpy(to_uint8(area_downsample(images_NCHW, min(generator.resolution, LARGEST_SIDE))))


def take_score(features: Features, at_one: Pixels, pictures: Pixels, watch: Watch) -> Score:
    ours, theirs = (
        moments(features.of(torch.from_numpy(block) for block in watch(stage, images)))
        for stage, images in (("score of the samples", at_one), ("score of the pictures", pictures))
    )
    return Score(
        name=score_name(features.name),
        value=frechet_distance(theirs, ours),
        samples=ours.count,
        pictures=theirs.count,
    )


def measure_variety(
    look: Look, plan: Plan, at_psi: Pixels, at_one: Pixels, pictures: TrainingPictures | None, watch: Watch
) -> Variety:
    ours = variety(look, at_psi[:VARIETY_MOST], watch, "variety")
    whole = ours
    if plan.truncation_psi != 1:
        whole = variety(look, at_one[:VARIETY_MOST], watch, "variety at ψ 1")
    theirs = None
    if pictures is not None:
        chosen = spaced(len(pictures.pixels), VARIETY_MOST)
        theirs = variety(look, pictures.pixels[chosen], watch, "variety of the pictures")
    return Variety(
        measure=look.name,
        side=min(LOOK_SIDE, at_psi.shape[1]),
        samples=ours,
        samples_psi_1=whole,
        pictures=theirs,
        ratio=whole.median / theirs.median if theirs and theirs.median else None,
    )


def spaced(count: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` of 0..count-1, at even distances."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def measure_faces(
    plan: Plan, at_psi: Pixels, pictures: TrainingPictures | None, watch: Watch
) -> tuple[FacesFound | None, Likeness | None, tuple[str, ...]]:
    """Look for faces, and compare them with those of the training pictures; say what could not be compared."""
    if not plan.faces:
        return None, None, ()
    ours = find_faces(at_psi, watch, "faces", identity=pictures is not None)
    if pictures is None:
        return FacesFound(enlarged_to=DETECT_SIDE, samples=face_shares(ours), pictures=None), None, ()
    theirs = find_faces(pictures.pixels, watch, "faces of the pictures", mirrors=True)
    found = FacesFound(enlarged_to=DETECT_SIDE, samples=face_shares(ours), pictures=face_shares(theirs))
    held_out = np.zeros(len(theirs.counts), dtype=bool) if pictures.held_out is None else pictures.held_out
    try:
        like = likeness(ours, theirs, held_out)
    except DistillError as error:
        return found, None, (f"likeness: {error}",)
    named = tuple(replace(pair, picture=int(pictures.numbers[pair.picture])) for pair in like.nearest)
    return found, replace(like, nearest=named), ()
