"""Assess a teacher: draw samples, measure them, and set them beside the pictures it was trained on.

`prepare` opens everything, `assess` draws and measures. Shapes: N samples, M training pictures, H W their size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distill import __version__
from distill.devices import resolve_device
from distill.errors import DistillError
from distill.evaluation.assessment_folder import OVERVIEW, check_place, folder_of
from distill.evaluation.teacher_measures import Blocks, Likeness, PictureDistance, default_distance, in_blocks
from distill.evaluation.teacher_scores import (
    PAIRED,
    FacesFound,
    TeacherScore,
    Variety,
    measure_faces,
    measure_variety,
    take_score,
)
from distill.evaluation.training_pictures import (
    LARGEST_SIDE,
    Pixels,
    TrainingPictures,
    averaged,
    open_training_pictures,
)
from distill.faces.detection import FaceDetector
from distill.faces.identity import descriptor_sha256
from distill.metrics.features import Features, load_features
from distill.pixels import area_downsample, to_numpy, to_uint8
from distill.stylegan2.facts import teacher_facts
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import build_generator
from distill.stylegan2.sampling import CONTENT, sample_z
from distill.timing import clock
from distill.weights import registry

SAMPLES, PICTURES = 1000, 2000  # unless others are asked for
MOST = 10_000  # samples: they are kept in memory
# Seconds a picture on one core, for the estimate of the time.
DRAW, SCORE, COMPARE, DETECT, DESCRIBE = 0.02, 0.05, 0.03, 0.02, 0.16
# Facts of a file that stand elsewhere in the report, or that every StyleGAN2 shares.
NOT_TOLD = {"architecture", "mapping_lr_multiplier", "conv_clamp", "origin", "c_dim", "img_channels",
            "img_resolution", "w_dim", "z_dim"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AssessRequest:
    """Which teacher, beside which pictures, measured on how many samples.

    `pictures`: at most this many of `data`. `faces` None: looked for where the teacher draws faces. `card`: a model
    card to put the section into. `show_nearest`: also write a picture that shows training pictures.
    """

    source: str
    data: Path | None = None
    samples: int = SAMPLES
    pictures: int = PICTURES
    truncation_psi: float = 0.7
    seed: int = 0
    faces: bool | None = None
    features: str = "auto"
    out: Path | None = None
    card: Path | None = None
    show_nearest: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        """Raise DistillError for numbers out of range."""
        if not 2 <= self.samples <= MOST:
            raise DistillError(f"--samples {self.samples}: the overview takes 2 to {MOST:,}")
        if not 0 <= self.truncation_psi <= 2:
            raise DistillError(f"--truncation-psi {self.truncation_psi}: give a number from 0 to 2")


@dataclass(frozen=True, kw_only=True, eq=False)
class AssessmentInputs:
    """An assessment that can begin: everything is open.

    `about` is what is known of the generator; `left_out` says what is not measured, and why.
    """

    request: AssessRequest
    generator: Generator
    about: Mapping[str, Any]
    distance: PictureDistance
    features: Features | None = None
    pictures: TrainingPictures | None = None
    faces: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def out(self) -> Path:
        return folder_of(self.request.out, self.about)

    @property
    def side(self) -> int:
        """Side in px at which samples and training pictures are compared: what both have, up to 256."""
        sides = [self.pictures.side] if self.pictures else []
        return min(self.generator.resolution, LARGEST_SIDE, *sides)

    def plan(self) -> dict[str, Any]:
        request, pictures = self.request, self.pictures
        return {
            "samples": request.samples,
            "truncation_psi": request.truncation_psi,
            "seed": request.seed,
            "pictures": f"{len(pictures.numbers)} of {pictures.total}" if pictures else "none",
            "compared_at": f"{self.side} px",
            "faces": self.faces,
            "left_out": "; ".join(self.left_out) or "nothing",
            "time_on_one_core": f"about {clock(self.seconds())}",
            "out": str(self.out),
        }

    def seconds(self) -> float:
        """Estimate the time on one core."""
        n, m = self.request.samples, len(self.pictures.numbers) if self.pictures else 0
        drawn = n if self.request.truncation_psi == 1 else 2 * n
        found = drawn * DRAW * (self.generator.resolution / 64) ** 2 + (min(drawn, 2 * PAIRED) + m) * COMPARE
        found += (n + m) * SCORE if m else 0.0
        faces = (n + m) * DETECT + (n + 2 * m if m else 0) * DESCRIBE
        return found + (faces if self.faces else 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class TeacherSamples:
    """Samples uint8 [N, H, W, 3], H = W at most LARGEST_SIDE, at the request's ψ and at ψ 1."""

    at_psi: Pixels
    at_one: Pixels


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Everything that was measured; None where it was left out. `side` is the side of what was compared, px."""

    distill: str = field(default=__version__)
    generator: Mapping[str, Any]
    samples: Mapping[str, Any]
    side: int
    pictures: Mapping[str, Any] | None
    score: TeacherScore | None
    variety: Variety
    faces: FacesFound | None
    likeness: Likeness | None
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def prepare(request: AssessRequest, *, skipped: Callable[[str], None] = print) -> AssessmentInputs:
    """Load the generator and read the pictures; `skipped` hears of broken ones. Raises DistillError."""
    device = str(resolve_device(request.device))
    features = load_features(request.features, device=device)  # a wrong name shows, needed or not
    generator, about = open_generator(request.source, device)
    check_place(folder_of(request.out, about), OVERVIEW)
    faces, left_out = decide_faces(request, str(about["name"]))
    pictures = None
    if request.data is not None:
        pictures = open_training_pictures(
            request.data,
            most=request.pictures,
            resolution=generator.resolution,
            seed=request.seed,
            training=about["training"],
            skipped=skipped,
        )
    return AssessmentInputs(
        request=request,
        generator=generator,
        about=about,
        distance=default_distance(generator.device),
        features=None if pictures is None else features,
        pictures=pictures,
        faces=faces,
        left_out=left_out,
    )


def open_generator(source: str, device: str) -> tuple[Generator, dict[str, Any]]:
    """Load the generator; return it and what its file and the table of weights say of it."""
    path = registry.resolve(source)
    checkpoint = registry.cached_checkpoint(path)
    generator = build_generator(checkpoint, device=resolve_device(device))
    about = teacher_facts(source).model_dump(mode="json")
    about["parameters"] = sum(p.numel() for p in generator.network.parameters())
    about["bytes"] = path.stat().st_size
    about["training"] = {k: v for k, v in sorted(checkpoint.facts.items()) if k not in NOT_TOLD}
    return generator, about


def decide_faces(request: AssessRequest, name: str) -> tuple[bool, tuple[str, ...]]:
    """Decide whether faces are looked for; say what is not measured. A missing model of dlib shows here."""
    domain = registry.domain_of(request.source)
    faces = domain in ("face", "unknown") if request.faces is None else request.faces
    left_out = []
    if not faces:
        why = "--no-faces was given" if request.faces is False else f"{name} draws another domain ({domain})"
        left_out.append(f"faces and likeness to training pictures: {why}")
    if request.data is None:
        what = "score and likeness to training pictures" if faces else "score"
        left_out.append(f"{what}: no training pictures were given (--data)")
    if faces:
        _ = FaceDetector().landmarks_sha256
        if request.data:
            descriptor_sha256()
    return faces, tuple(left_out)


def assess(inputs: AssessmentInputs, *, blocks: Blocks = in_blocks) -> tuple[Assessment, TeacherSamples]:
    """Draw samples and measure them. Without pictures there is no score, and nothing stands beside the samples."""
    request, features = inputs.request, inputs.features
    drawn = draw_samples(inputs, blocks)
    at_psi, at_one = averaged(drawn.at_psi, inputs.side), averaged(drawn.at_one, inputs.side)
    pictures = inputs.pictures.at(inputs.side) if inputs.pictures else None
    flattering = inputs.about["training"].get("critic") == "projected"
    score = take_score(features, at_one, pictures, blocks, flattering) if features and pictures else None
    variety = measure_variety(inputs.distance, at_psi, at_one, pictures, blocks)
    faces, like, missing = measure_faces(at_psi, pictures, blocks) if inputs.faces else (None, None, ())
    found = Assessment(
        generator=inputs.about,
        samples={
            "count": request.samples,
            "truncation_psi": request.truncation_psi,
            "seed": request.seed,
        },
        side=inputs.side,
        pictures=pictures.to_json() if pictures else None,
        score=score,
        variety=variety,
        faces=faces,
        likeness=like,
        left_out=(*inputs.left_out, *missing),
    )
    return found, drawn


def draw_samples(inputs: AssessmentInputs, blocks: Blocks) -> TeacherSamples:
    """Draw the samples at the ψ that was asked for, and at ψ 1."""
    psi, z_NZ = inputs.request.truncation_psi, latents(inputs.generator, inputs.request)
    at_psi = np.concatenate([draw(inputs.generator, z, psi) for z in blocks("drawing", z_NZ)])
    if psi == 1:
        return TeacherSamples(at_psi=at_psi, at_one=at_psi)
    at_one = [draw(inputs.generator, z, 1.0) for z in blocks("drawing at ψ 1", z_NZ)]
    return TeacherSamples(at_psi=at_psi, at_one=np.concatenate(at_one))


def latents(generator: Generator, request: AssessRequest) -> NDArray[np.float32]:
    """Return z [N, Z]: those of the first candidates that `distill generate` draws with that seed."""
    return sample_z(request.seed, 0, range(request.samples), [CONTENT], generator.z_dim)[:, 0]


def draw(generator: Generator, z_NZ: NDArray[np.float32], psi: float) -> Pixels:
    """Draw z [N, Z] as uint8 pictures, averaged down to LARGEST_SIDE where they are larger."""
    ws_NLD = generator.map(torch.from_numpy(z_NZ), truncation_psi=psi)
    images_NCHW = generator.synthesize(ws_NLD).clamp(-1, 1)
    return to_numpy(to_uint8(area_downsample(images_NCHW, min(generator.resolution, LARGEST_SIDE))))
