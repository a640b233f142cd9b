"""What happens to faces: how far an output is from the content's person, and what a classifier reads off it.

Roles are registered, so the landmarks of the content's face stand for all images of a row. N rows, H W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from distill.faces.detection import Face, FaceDetector
from distill.faces.identity import SAME_PERSON, describe, descriptor_distances, descriptor_sha256

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


class Scorer(Protocol):
    """Images and their faces -> scores by name, [N]."""

    def __call__(
        self, images: NDArray[np.uint8], faces: list[Face | None], /
    ) -> Mapping[str, NDArray[np.floating[Any]]]: ...


class FaceScores:
    """Collect rows: a content, and beside it images by column, of which `target` is what they should show.

    Raises DistillError on construction where dlib's models are not there. About 0.2 s for each image.
    """

    def __init__(self, *, scorer: Scorer | None = None, detector: FaceDetector | None = None) -> None:
        self.detector, self.scorer = detector or FaceDetector(), scorer
        self._check = (self.detector.landmarks_sha256, descriptor_sha256())
        self.faces = self.without = 0  # rows in which the content's face was found, and was not
        self._distances: dict[str, list[float]] = {}
        self._misses: dict[str, dict[str, list[float]]] = {}
        self._content: list[Floats] = []

    def add(
        self, content_NHWC: Pixels, columns: Mapping[str, Pixels], *, only: NDArray[np.bool_] | None = None
    ) -> None:
        """Compare uint8 images [N, H, W, 3] of each column with their contents, of all rows or `only` some.

        A row without a face is counted.
        """
        for row in range(len(content_NHWC)) if only is None else np.flatnonzero(only):
            found = self.detector(content_NHWC[row])
            if not found:
                self.without += 1
                continue
            self.faces += 1
            self._add_row(
                content_NHWC[row], found[0], {name: images[row] for name, images in columns.items()}
            )

    def _add_row(self, content: Pixels, face: Face, images: Mapping[str, Pixels]) -> None:
        person = describe(content, face.landmarks)
        self._content.append(person)
        for name, image in images.items():
            other = person if np.array_equal(image, content) else describe(image, face.landmarks)
            distance = float(np.linalg.norm(person - other))
            self._distances.setdefault(name, []).append(distance)
        if self.scorer is not None:
            self._add_attributes(self.scorer, face, images)

    def _add_attributes(self, scorer: Scorer, face: Face, images: Mapping[str, Pixels]) -> None:
        names = list(images)
        scores = scorer(np.stack([images[name] for name in names]), [face] * len(names))
        for score, values in scores.items():
            wanted = float(values[names.index("target")])
            for name, value in zip(names, values, strict=True):
                misses = self._misses.setdefault(name, {}).setdefault(score, [])
                misses.append(abs(float(value) - wanted))

    def result(self) -> dict[str, dict[str, float]]:
        """Return means by column; nothing where no face was found.

        `identity_distance`: between dlib's descriptors of content and image, 0 for equal ones. `same_person`: the
        share below dlib's limit of 0.6. `<attribute>_miss`: mean |score - the target's score|.
        """
        return {
            name: {
                "identity_distance": float(np.mean(distances)),
                "same_person": float(np.mean(np.asarray(distances) < SAME_PERSON)),
                **{f"{score}_miss": float(np.mean(m)) for score, m in self._misses.get(name, {}).items()},
            }
            for name, distances in self._distances.items()
        }

    def between_people(self) -> float | None:
        """Return the mean distance between the contents of different rows; None for fewer than two."""
        if len(self._content) < 2:
            return None
        people = np.stack(self._content)
        distances = descriptor_distances(people, people)
        return float(distances[np.triu_indices(len(people), k=1)].mean())
