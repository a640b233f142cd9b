"""What is measured on one picture of a face: who it shows, what a scorer reads off it, how far it is from others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.attributes.judge import Judge
from distill.evaluation.comparison.photo_list import FrozenFace
from distill.evaluation.truth_scores import as_batch
from distill.faces.alignment import Floats, Pixels
from distill.faces.detection import FaceDetector
from distill.faces.identity import describe, descriptor_sha256
from distill.metrics.pairs import scores_of_each
from distill.networks.perceptual import PerceptualFeatures


@dataclass(frozen=True, kw_only=True, eq=False)
class InputReading:
    """What is known of a face before it is edited, and of its true edit."""

    pixels: Pixels
    descriptor: Floats
    scores: Mapping[str, float]
    truth: Pixels | None
    true_descriptor: Floats | None


@dataclass(kw_only=True, eq=False)
class PictureMeter:
    """Measures pictures of registered faces: the landmarks of the input stand for all.

    Raises DistillError on construction where dlib's models are not there.
    """

    judge: Judge
    perceptual: PerceptualFeatures
    device: torch.device
    detector: FaceDetector = field(default_factory=FaceDetector)
    _inputs: dict[str, InputReading] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._models = (self.detector.landmarks_sha256, descriptor_sha256())

    def depends_on(self) -> dict[str, Any]:
        """What the numbers depend on beside the pictures."""
        return {
            "scorer_sha256": self.judge.scorer.sha256,
            "perceptual": self.perceptual.name,
            "landmarks_sha256": self._models[0],
            "descriptor_sha256": self._models[1],
        }

    def input_of(self, face: FrozenFace) -> InputReading:
        """Read the face before the edit, once."""
        if face.name not in self._inputs:
            pixels, truth = face.pixels(), face.true_pixels()
            self._inputs[face.name] = InputReading(
                pixels=pixels,
                descriptor=describe(pixels, face.face.landmarks),
                scores=self._scores(pixels, face),
                truth=truth,
                true_descriptor=None if truth is None else describe(truth, face.face.landmarks),
            )
        return self._inputs[face.name]

    def __call__(self, face: FrozenFace, picture: Pixels) -> dict[str, Any]:
        """Measure one picture [H, W, 3]: plain values.

        `face`: dlib finds one in it. `identity`: the distance to the input's descriptor. `before`, `after`: scores.
        `to_input` and, of true pairs, `to_truth`: L1 of 0..1, SSIM, perceptual distance; `identity_to_truth`.
        """
        before = self.input_of(face)
        same = np.array_equal(picture, before.pixels)
        person = before.descriptor if same else describe(picture, face.face.landmarks)
        row: dict[str, Any] = {
            "face": bool(self.detector(picture)),
            "identity": float(np.linalg.norm(person - before.descriptor)),
            "before": dict(before.scores),
            "after": dict(before.scores) if same else self._scores(picture, face),
            "to_input": self._distances(picture, before.pixels),
        }
        if before.truth is not None and before.true_descriptor is not None:
            row["to_truth"] = self._distances(picture, before.truth)
            row["identity_to_truth"] = float(np.linalg.norm(person - before.true_descriptor))
        return row

    def _scores(self, pixels: Pixels, face: FrozenFace) -> dict[str, float]:
        scores = self.judge.scorer(pixels[None], [face.face])
        return {name: float(values[0]) for name, values in scores.items() if not name.endswith("_spread")}

    def _distances(self, picture: Pixels, other: Pixels) -> dict[str, float]:
        a, b = (as_batch(image).to(self.device) for image in (picture, other))
        scores: Mapping[str, Tensor] = scores_of_each(a, b, self.perceptual)
        return {name: float(value) for name, value in scores.items()}
