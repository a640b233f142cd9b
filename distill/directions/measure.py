"""What steps along a direction do to drawn faces: scores, faces still found, likeness to the face before.

Shapes: F faces, S strengths, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.attributes.protocol import Scores
from distill.directions.look import BATCH, JUDGED, Describe, Looked, Studio, draw_w, truncated
from distill.directions.unit import Floats
from distill.errors import DistillError, Interrupted
from distill.faces.detection import Face
from distill.faces.identity import NUMBERS

STRENGTHS = tuple(k / 2 for k in range(-8, 9))  # -4, -3.5, …, 4
TRIES = 10  # samples drawn for each face that is wanted
IDENTITY_FACES = 24  # faces whose descriptors are compared, at whole strengths: one takes about 0.2 s


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """F drawn faces before any edit: truncated w+ [F, L, D], how they look, descriptors [<= F, 128] of the first."""

    ws: Tensor
    looked: Looked
    descriptors: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """What became of F faces at S strengths: scores by name, float [F, S], NaN where no face was found.

    `identity` [F, S] is the distance of the descriptor from that at strength 0, NaN where it was not measured.
    """

    strengths: Floats
    scores: Mapping[str, Floats]
    identity: Floats

    @property
    def found(self) -> NDArray[np.bool_]:
        return np.isfinite(next(iter(self.scores.values())))

    def turned(self) -> Curve:
        """The curve of the opposite direction."""
        scores = {name: values[:, ::-1] for name, values in self.scores.items()}
        return replace(self, scores=scores, identity=self.identity[:, ::-1])


def find_subjects(
    studio: Studio,
    count: int,
    *,
    seed: int,
    stop: threading.Event,
    identity_faces: int = IDENTITY_FACES,
) -> Subjects:
    """Draw samples until `count` show a face; they are not those that directions are fitted to.

    Raises DistillError where too few do, Interrupted when `stop` is set.
    """
    generator, kept, parts, found = studio.generator, [], [], 0
    for start in range(0, TRIES * count, BATCH):
        check_stop(stop)
        w_ND = draw_w(generator, seed, JUDGED, range(start, start + BATCH))
        ws_NLD = truncated(generator, w_ND, studio.truncation_psi)
        looked = studio.look(studio.draw(ws_NLD))
        kept.append(ws_NLD[torch.from_numpy(looked.found).to(ws_NLD.device)])
        parts.append(chosen(looked, np.flatnonzero(looked.found)))
        found += len(kept[-1])
        if found >= count:
            break
    else:
        raise DistillError(
            f"{found} of {TRIES * count} drawn samples show a face, {count} are needed to judge a direction by:"
            " lower --truncation-psi, or take a generator of faces"
        )
    looked = chosen(joined(parts), np.arange(count))
    pairs = zip(looked.images[:identity_faces], looked.faces, strict=False)
    descriptors = [
        studio.describe(image, face.landmarks) if face else np.full(NUMBERS, np.nan) for image, face in pairs
    ]
    return Subjects(ws=torch.cat(kept)[:count], looked=looked, descriptors=np.array(descriptors))


def measure(
    studio: Studio,
    vector_LD: Floats,
    subjects: Subjects,
    *,
    stop: threading.Event,
    progress: Callable[[int], None] = lambda pictures: None,
    strengths: Sequence[float] = STRENGTHS,
) -> Curve:
    """Move the subjects along a direction [L, D], strength by strength, and look at them."""
    vector = torch.from_numpy(vector_LD).float().to(subjects.ws.device)
    count, names = len(subjects.ws), list(subjects.looked.scores)
    scores = {name: np.full((count, len(strengths)), np.nan) for name in names}
    identity = np.full((count, len(strengths)), np.nan)
    work = [
        (place, slice(start, min(start + BATCH, count)))
        for place, strength in enumerate(strengths)
        for start in range(0, count, BATCH)
        if strength != 0
    ]
    batches = (subjects.ws[rows] + strengths[place] * vector for place, rows in work if not stop.is_set())
    for (place, rows), looked in zip(work, studio.look_at(batches), strict=False):
        for name in names:
            scores[name][rows, place] = looked.scores[name]
        if strengths[place] == round(strengths[place]):
            compared = _distances(looked, subjects.descriptors[rows], studio.describe)
            identity[rows.start : rows.start + len(compared), place] = compared
        progress(len(looked.faces))
    check_stop(stop)
    if 0.0 in strengths:
        middle = list(strengths).index(0.0)
        for name in names:
            scores[name][:, middle] = subjects.looked.scores[name]
        identity[: len(subjects.descriptors), middle] = subjects.descriptors[:, 0] * 0.0  # NaN stays NaN
    return Curve(strengths=np.asarray(strengths, np.float64), scores=scores, identity=identity)


def check_stop(stop: threading.Event) -> None:
    if stop.is_set():
        raise Interrupted(
            "interrupted while faces were edited; the same command keeps the samples and starts the edits again"
        )


def pictures_in(subjects: Subjects) -> int:
    """Count the pictures that `measure` draws."""
    return len(subjects.ws) * (len(STRENGTHS) - 1)


def chosen(looked: Looked, rows: NDArray[np.int64]) -> Looked:
    """Keep some rows."""
    return Looked(
        images=looked.images[rows],
        faces=[looked.faces[row] for row in rows],
        scores={name: values[rows] for name, values in looked.scores.items()},
    )


def joined(parts: Sequence[Looked]) -> Looked:
    faces: list[Face | None] = [face for part in parts for face in part.faces]
    scores: dict[str, Scores] = {
        name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores
    }
    return Looked(images=np.concatenate([part.images for part in parts]), faces=faces, scores=scores)


def _distances(looked: Looked, before_KD: Floats, describe: Describe) -> Floats:
    """Compare the first K faces with their descriptors before the edit: [K], NaN where no face was found."""
    distances = np.full(len(before_KD), np.nan)
    for k, before in enumerate(before_KD):
        face = looked.faces[k]
        if face is not None:
            distances[k] = np.linalg.norm(describe(looked.images[k], face.landmarks) - before)
    return distances
