"""Score a student on photos of faces: what becomes of the person, and of the attribute.

cut_photos (FFHQ alignment) ─► Translator (batches) ─► FaceScores (identity, scores of input and output)
                            └─► LatentEdit, where asked for ─┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.attributes.face_scores import CONTENT, FaceScores
from distill.editing.latent_edit import LatentEdit
from distill.editing.pictures import ContactSheet
from distill.editing.translator import Translator
from distill.evaluation.student_scores import COPY, LATENT_EDIT, STUDENT
from distill.faces.alignment import Pixels
from distill.faces.find import FoundPhotos
from distill.faces.photo_results import SkippedPhoto, json_paths, no_face
from distill.faces.photos import FaceCut, PhotoCuts, cut_photos, face_in_cut, photo_detector


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoRow:
    """One face: `before` and `after` are its scores, `distance` lies between its descriptors."""

    photo: Path
    name: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    distance: float

    def to_json(self) -> dict[str, Any]:
        return {
            **json_paths(photo=self.photo),
            "identity_distance": self.distance,
            "before": dict(self.before),
            "after": dict(self.after),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoEvaluation:
    """What was found: means by column (student, latent edit, copy of the content), a row a face, and the picture."""

    scores: Mapping[str, Mapping[str, float]]
    rows: Sequence[PhotoRow]
    skipped: Sequence[SkippedPhoto]
    between_people: float | None
    picture: Pixels


def score_photos(
    photos: FoundPhotos,
    translate: Translator,
    faces: FaceScores,
    *,
    latent_edit: LatentEdit | None = None,
    advance: Callable[[int], object] = lambda count: None,
) -> PhotoEvaluation:
    """Translate the largest face of each photo and measure it; `advance` hears of photos done.

    With `latent_edit` each face is also embedded into the teacher and edited there.

    Raises NothingWorked where no photo shows a face, DistillError where memory ends.
    """
    beside = ["embedded, edited"] if latent_edit else []
    sheet = ContactSheet([*translate.roles, "output", *beside])
    rows: list[PhotoRow] = []
    skipped = list(photos.left_out)
    for some in _batches(cut_photos(photos.files, photo_detector(), size=translate.size), translate.batch):
        cuts = [cut for cut in some if isinstance(cut, FaceCut)]
        skipped += [cut for cut in some if isinstance(cut, SkippedPhoto)]
        pixels, seen = [cut.pixels for cut in cuts], [face_in_cut(cut, translate.size) for cut in cuts]
        outputs = {STUDENT: translate(pixels)}
        if latent_edit and cuts:
            outputs[LATENT_EDIT] = latent_edit(pixels, seen)
        for i, (cut, face) in enumerate(zip(cuts, seen, strict=True)):
            mine = {name: images[i] for name, images in outputs.items()}
            faces.add_face(cut.pixels, face, {**mine, COPY: cut.pixels})
            row = _last_row(cut, faces)
            sheet.add(caption(row), [*translate.inputs(cut.pixels), *mine.values()])
            rows.append(row)
        advance(len(some))
    if not rows:
        raise no_face(len(photos.files), skipped)
    return PhotoEvaluation(
        scores=faces.result(),
        rows=rows,
        skipped=skipped,
        between_people=faces.between_people(),
        picture=sheet.draw(),
    )


def caption(row: PhotoRow) -> str:
    """Write what became of a face: "gender 0.98 → 0.03, age 35 → 33, id 0.41"."""
    parts = [
        f"{name} {_short(value)} → {_short(row.after[name])}"
        for name, value in row.before.items()
        if not name.endswith("_spread")
    ]
    return ", ".join([*parts, f"id {_short(row.distance)}"])


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 2 else f"{value:.2f}"


def _last_row(cut: FaceCut, faces: FaceScores) -> PhotoRow:
    before, after = (
        {score: values[-1] for score, values in faces.scores.get(column, {}).items()}
        for column in (CONTENT, STUDENT)
    )
    return PhotoRow(
        photo=cut.photo, name=cut.name, before=before, after=after, distance=faces.distances[STUDENT][-1]
    )


def _batches(photos: Iterator[PhotoCuts], batch: int) -> Iterator[list[FaceCut | SkippedPhoto]]:
    """Gather one outcome a photo; the cuts keep their whole photos, so few at a time."""
    waiting: list[FaceCut | SkippedPhoto] = []
    for found in photos:
        waiting += found
        if len(waiting) >= batch:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
