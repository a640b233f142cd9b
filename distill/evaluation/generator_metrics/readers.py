"""What reads numbers off images: networks of features, and scorers of faces; opened once per process.

N images [N, H, W, 3], D numbers of each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.attributes.open import open_scorer
from distill.attributes.protocol import AttributeScorer, main_scores
from distill.errors import DistillError
from distill.faces.detection import FILLED_SIDE, FaceDetector
from distill.files import file_sha256
from distill.metrics.features import Features, load_features, nvidia_inception, nvidia_vgg16
from distill.networks.efficientnet_lite import lite0_file
from distill.networks.image_distance import FeatureDistance, ImageDistance, LpipsDistance
from distill.networks.lpips import LpipsVGG16
from distill.networks.perceptual import load_perceptual

Floats = NDArray[np.float32]
Read = Callable[[Tensor], Floats]  # uint8 [N, H, W, 3] -> [N, D]

LITE0, LPIPS = "efficientnet_lite0", "lpips_vgg16"


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What reads images, as plain values that travel to a worker.

    `name`: inception, vgg16, efficientnet_lite0, pixels8, scores or lpips_vgg16. `source`: its file, or the scorer;
    "" where it comes with a package. `sha256`: of all that its numbers depend on besides the images.
    """

    name: str
    source: str = ""
    sha256: str

    @property
    def folder(self) -> str:
        """Name the folder of its numbers."""
        return f"{self.name}-{self.sha256[:12]}"


def reader_of(name: str, source: str = "") -> Reader:
    """Name a reader and what is behind it. Raises DistillError for a file that is not there."""
    return Reader(name=name, source=source, sha256=_sha256(name, source))


def _sha256(name: str, source: str) -> str:
    if name == "scores":
        return scorer_sha256(open_scorer(source))
    if name == "pixels8":
        return hashlib.sha256(b"pixels8").hexdigest()
    try:
        return file_sha256(lite0_file("features") if name == LITE0 else source)
    except OSError as error:
        raise DistillError(f"{source}: cannot be read ({error.strerror})") from error


def scorer_sha256(scorer: AttributeScorer) -> str:
    """Hash a scorer with the model that finds the faces for it."""
    finder = FaceDetector().landmarks_sha256 if scorer.needs_face else ""
    return hashlib.sha256(f"{scorer.sha256} {finder} {FILLED_SIDE}".encode()).hexdigest()


@lru_cache(maxsize=8)
def open_reader(reader: Reader, device: str) -> Read:
    """Open what reads images. Raises DistillError where it is another one here than the run began with."""
    check_same(reader)
    if reader.name == "scores":
        return FaceReader(open_scorer(reader.source, device=device))
    return _FeatureReader(_features(reader, device))


def _features(reader: Reader, device: str) -> Features:
    if reader.name == "inception":
        return nvidia_inception(Path(reader.source), device)
    if reader.name == "vgg16":
        return nvidia_vgg16(Path(reader.source), device)
    return load_features(reader.name, device=device)


@lru_cache(maxsize=1)
def open_step_distance(reader: Reader, device: str) -> ImageDistance:
    """Open the distance that path lengths are measured by."""
    check_same(reader)
    if reader.name == LPIPS:
        return LpipsDistance(LpipsVGG16(Path(reader.source)).to(device))
    return FeatureDistance(load_perceptual(reader.name, device=device))


def check_same(reader: Reader) -> None:
    """Raise DistillError where the files of a reader are others than it was named with."""
    if (found := _sha256(reader.name, reader.source)) != reader.sha256:
        raise DistillError(
            f"{reader.name} has sha256 {found[:12]}… here, the run began with {reader.sha256[:12]}…;"
            " give every worker the same files"
        )


class _FeatureReader:
    """Features as float32 on the host."""

    def __init__(self, features: Features) -> None:
        self.features = features

    @torch.inference_mode()
    def __call__(self, images_NHWC: Tensor) -> Floats:
        values: Floats = self.features.extract(images_NHWC).float().cpu().numpy()
        return values


class FaceReader:
    """Scores of the largest face of each image, a column each; NaN where no face is found."""

    def __init__(self, scorer: AttributeScorer) -> None:
        self.scorer, self.find = scorer, FaceDetector(max_side=FILLED_SIDE)

    @property
    def columns(self) -> list[str]:
        """Name the scores; those that belong to another (age_spread to age) are left out."""
        return main_scores(self.scorer)

    def __call__(self, images_NHWC: Tensor) -> Floats:
        images = images_NHWC.cpu().numpy()
        faces = [
            max(self.find(image), key=lambda face: face.area, default=None)
            if self.scorer.needs_face
            else None
            for image in images
        ]
        scores = self.scorer(images, faces)
        return np.stack([scores[name] for name in self.columns], axis=1).astype(np.float32)
