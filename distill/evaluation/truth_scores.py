"""What `distill evaluate --truth` measures: each way of editing beside the true edit, pair by pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.attributes.face_scores import TARGET, FaceScores
from distill.editing.latent_edit import LatentEdit
from distill.editing.translator import Translator
from distill.evaluation.student_scores import COPY, LATENT_EDIT, STUDENT
from distill.evaluation.true_pairs import TruePair
from distill.faces.alignment import Pixels, warp_quad
from distill.faces.decode import PhotoError, read_photo
from distill.faces.photo_detection import PhotoDetector
from distill.faces.photos import FaceCut, cut_largest_face, face_in_cut, photo_detector
from distill.metrics.pairs import PairScores
from distill.networks.perceptual import PerceptualFeatures
from distill.pixels import to_float

IDENTITY = "identity_to_truth"


class TruthColumn:
    """One way of editing: how far its images are from the truth."""

    def __init__(self, perceptual: PerceptualFeatures, device: torch.device) -> None:
        self.pairs = PairScores(perceptual=perceptual, features=None, device=device)
        self.faces = FaceScores()

    def result(self) -> dict[str, float]:
        identity = self.faces.result()[STUDENT]["identity_distance"]
        return {**self.pairs.result(), IDENTITY: identity}


class TruthScores:
    """What was found so far. `shown`: the pictures of each of the `measured` pairs by name.

    `changes`: what each pair asks of a student of any strength, [K], None where it has its edit.
    """

    def __init__(
        self,
        columns: dict[str, TruthColumn],
        translate: Translator,
        faces: FaceScores,
        changes: Mapping[TruePair, NDArray[np.float32]] | None = None,
    ) -> None:
        self.columns, self.translate, self.faces, self.changes = columns, translate, faces, changes
        self.detector: PhotoDetector = photo_detector()
        self.shown: list[dict[str, Pixels]] = []
        self.measured: list[TruePair] = []
        self.without = 0

    def counts(self) -> dict[str, int]:
        """The pairs measured in each column, of those that have any."""
        return {name: column.pairs.count for name, column in self.columns.items() if column.pairs.count}

    def add(self, pairs: Sequence[TruePair], edit: LatentEdit | None, embedded: set[TruePair]) -> None:
        size = self.translate.size
        cuts: list[tuple[TruePair, FaceCut]] = []
        for pair in pairs:
            try:
                cuts.append((pair, cut_largest_face(pair.source, self.detector, size=size)))
            except PhotoError:
                self.without += 1
        changes = None if self.changes is None else np.array([self.changes[pair] for pair, _ in cuts])
        outputs = self.translate([cut.pixels for _, cut in cuts], changes)
        for (pair, cut), output in zip(cuts, outputs, strict=True):
            face, truth = face_in_cut(cut, size), warp_quad(read_photo(pair.truth), cut.quad, size)
            images = {STUDENT: output, COPY: cut.pixels}
            if edit and pair in embedded:
                (images[LATENT_EDIT],) = edit([cut.pixels], [face])
            for name, image in images.items():
                column = self.columns[name]
                column.pairs.add(as_batch(image), as_batch(truth))
                column.faces.add_face(truth, face, {STUDENT: image})
            self.faces.add_face(cut.pixels, face, {**images, TARGET: truth})
            self.measured.append(pair)
            self.shown.append({"content": cut.pixels, "output": output, "truth": truth})


def as_batch(image: Pixels) -> Tensor:
    """An image [H, W, 3] as [1, 3, H, W] in [-1, 1]."""
    return to_float(torch.from_numpy(np.ascontiguousarray(image))[None])
