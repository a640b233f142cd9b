"""What happens to faces: how far an output is from the content's person, and what a classifier reads off it.

Roles are registered, so the landmarks of the content's face stand for all images of a row. N rows, H W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from distill.attributes.moves import moves
from distill.attributes.protocol import Kind
from distill.faces.detection import Face, FaceDetector
from distill.faces.identity import SAME_PERSON, describe, descriptor_distances, descriptor_sha256

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


CONTENT, TARGET = "content", "target"  # columns: of the scores before, and of what they should be after


class Scorer(Protocol):
    """Images and their faces -> scores by name, [N]; `kinds` says what each is."""

    @property
    def kinds(self) -> Mapping[str, Kind]: ...
    def __call__(
        self, images: NDArray[np.uint8], faces: list[Face | None], /
    ) -> Mapping[str, NDArray[np.floating[Any]]]: ...


class FaceScores:
    """Collect rows: a content, and beside it images by column, of which `target` is what they should show.

    `ways`: the scores that the edit should raise (1) or lower (-1). Raises DistillError on construction where dlib's
    models are not there. About 0.2 s for each image.
    """

    def __init__(
        self,
        *,
        scorer: Scorer | None = None,
        detector: FaceDetector | None = None,
        ways: Mapping[str, int] | None = None,
    ) -> None:
        self.detector, self.scorer = detector or FaceDetector(), scorer
        self._check = (self.detector.landmarks_sha256, descriptor_sha256())
        self.ways = ways or {}
        self.faces = self.without = 0  # rows in which the content's face was found, and was not
        self.distances: dict[str, list[float]] = {}  # by column, a value for each row with a face
        self.scores: dict[str, dict[str, list[float]]] = {}  # by column, then by score
        self._content: list[Floats] = []
        self._rows: dict[str, list[int]] = {}  # by column: which rows it has, of those with a face

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
            self.add_face(
                content_NHWC[row], found[0], {name: images[row] for name, images in columns.items()}
            )

    def add_face(self, content: Pixels, face: Face, images: Mapping[str, Pixels]) -> None:
        """Compare images [H, W, 3] with a content whose face is known; a column need not have all rows."""
        row = self.faces
        self.faces += 1
        person = describe(content, face.landmarks)
        self._content.append(person)
        for name, image in images.items():
            other = person if np.array_equal(image, content) else describe(image, face.landmarks)
            self.distances.setdefault(name, []).append(float(np.linalg.norm(person - other)))
            self._rows.setdefault(name, []).append(row)
        if self.scorer is None:
            return
        scores = self.scorer(np.stack([content, *images.values()]), [face] * (1 + len(images)))
        for score, values in scores.items():
            for name, value in zip((CONTENT, *images), values, strict=True):
                self.scores.setdefault(name, {}).setdefault(score, []).append(float(value))

    def result(self) -> dict[str, dict[str, float]]:
        """Return means by column; nothing where no face was found.

        `identity_distance`: between dlib's descriptors of content and image, 0 for equal ones. `same_person`: the
        share below dlib's limit of 0.6. Then what the image's scores are beside the content's, see `moves`, and
        `<attribute>_miss`: mean |score - the target's score|, where there is a target.
        """
        return {
            name: {
                "identity_distance": float(np.mean(distances)),
                "same_person": float(np.mean(np.asarray(distances) < SAME_PERSON)),
                **self._moves(name),
                **self._misses(name),
            }
            for name, distances in self.distances.items()
        }

    def _moves(self, name: str) -> dict[str, float]:
        found: dict[str, float] = {}
        kinds = self.scorer.kinds if self.scorer else {}
        for score, after in self.scores.get(name, {}).items():
            if not score.endswith("_spread"):
                before, kind = self._beside(name, self.scores[CONTENT][score]), kinds[score]
                found |= moves(score, kind, before, np.asarray(after), way=self.ways.get(score))
        return found

    def _misses(self, name: str) -> dict[str, float]:
        wanted = self.scores.get(TARGET, {})
        return {
            f"{score}_miss": float(np.mean(np.abs(self.scores[name][score] - self._beside(name, values))))
            for score, values in wanted.items()
            if not score.endswith("_spread")
        }

    def _beside(self, name: str, values: list[float]) -> Floats:
        """Return the values, one for each row with a face, of the rows that a column has."""
        return np.asarray(values)[self._rows[name]]

    def between_people(self) -> float | None:
        """Return the mean distance between the contents of different rows; None for fewer than two."""
        if len(self._content) < 2:
            return None
        people = np.stack(self._content)
        distances = descriptor_distances(people, people)
        return float(distances[np.triu_indices(len(people), k=1)].mean())
