"""Score a student beside two baselines on rows of a data set, and time it.

Shapes: N rows, B of a batch, k inputs of a student, C = 3, H W image. The baselines give the numbers a meaning: a
student that changes nothing (copy the content), and one that blends (mean of the inputs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.attributes.face_scores import FaceScores
from distill.errors import DistillError
from distill.evaluation.times import student_time
from distill.metrics.features import Features
from distill.metrics.pairs import HIGHER_IS_BETTER, PairScores, copy_content, mean_of_inputs
from distill.networks.perceptual import PerceptualFeatures
from distill.networks.student import Student
from distill.pixels import to_float, to_numpy, to_uint8
from distill.shards.dataset import TripletDataset
from distill.timing import ImageTime

Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]

STUDENT, COPY, MEAN, TARGET = "student", "copy_content", "mean_of_inputs", "target"
LATENT_EDIT = "latent_edit"  # a column of photos: embedded into the teacher and edited there
SHOWN = 8  # rows of the sample picture


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What was found. `scores`: column -> measure -> value; `faces`: the same of faces, with `target` as a column.

    `shown`: rows of the sample picture, name -> uint8 [H, W, 3]. `not_measured`: measure -> why.
    `judge`: who scored the attributes of faces.
    """

    rows: int
    scores: dict[str, dict[str, float]]
    faces: dict[str, dict[str, float]]
    face_rows: int
    between_people: float | None
    times: dict[str, ImageTime]
    shown: list[dict[str, Pixels]]
    not_measured: Mapping[str, str] = field(default_factory=dict)
    judge: Mapping[str, Any] | None = None


def score_student(
    student: Student,
    dataset: TripletDataset,
    rows: Rows,
    *,
    perceptual: PerceptualFeatures | None,
    features: Features | None,
    faces: FaceScores | None = None,
    face_rows: int = 0,
    changes: NDArray[np.float32] | None = None,
    batch: int = 8,
    advance: Callable[[int], object] = lambda rows: None,
) -> Evaluation:
    """Score `student` on rows of `dataset`, whose roles are the inputs in order and last the target.

    `face_rows`: in this many rows, evenly spread, faces are compared too. `changes` [n, K]: what each row of the
    data set asks of a student of any strength, in units. `advance` hears of rows done. Raises DistillError where the
    images do not fit the student, ShardCorrupt by name for a broken shard.
    """
    if not len(rows):
        raise DistillError(f"{dataset.folder}: no row to evaluate on")
    columns = {
        name: PairScores(perceptual=perceptual, features=features, device=student.device)
        for name in baselines(student.input_count)
    }
    with_faces, in_picture = spread(rows, face_rows), spread(rows, SHOWN)
    shown: list[dict[str, Pixels]] = []
    for first in range(0, len(rows), batch):
        part = rows[first : first + batch]
        inputs, target = read_rows(dataset, part, student.device)
        images = answers(student, inputs, None if changes is None else torch.from_numpy(changes[part]))
        for name, scores in columns.items():
            scores.add(images[name], target)
        pixels = {name: to_numpy(to_uint8(image)) for name, image in {**images, TARGET: target}.items()}
        if faces is not None:
            faces.add(pixels[COPY], pixels, only=np.isin(part, with_faces))
        shown += pictures(dataset.roles, inputs, pixels, only=np.isin(part, in_picture))
        advance(len(part))
    times = {STUDENT: student_time(student, read_rows(dataset, rows[:batch], student.device)[0])}
    return _found(len(rows), columns, faces, times, shown)


def _found(
    rows: int,
    columns: Mapping[str, PairScores],
    faces: FaceScores | None,
    times: dict[str, ImageTime],
    shown: list[dict[str, Pixels]],
) -> Evaluation:
    return Evaluation(
        rows=rows,
        scores={name: scores.result() for name, scores in columns.items()},
        faces=faces.result() if faces else {},
        face_rows=faces.faces if faces else 0,
        between_people=faces.between_people() if faces else None,
        times=times,
        shown=shown,
    )


def baselines(inputs: int) -> tuple[str, ...]:
    """Name the columns of a student with this many inputs: with one, the mean of the inputs is the content."""
    return (STUDENT, COPY, MEAN) if inputs > 1 else (STUDENT, COPY)


def answers(student: Student, inputs_NCHW: Tensor, changes_NK: Tensor | None = None) -> dict[str, Tensor]:
    """What the student and each baseline make of the inputs [N, 3k, H, W]: name -> [N, 3, H, W]."""
    found = {
        STUDENT: student(inputs_NCHW, changes_NK),
        COPY: copy_content(inputs_NCHW),
        MEAN: mean_of_inputs(inputs_NCHW),
    }
    return {name: found[name] for name in baselines(inputs_NCHW.shape[1] // 3)}


def read_rows(dataset: TripletDataset, rows: Rows, device: torch.device) -> tuple[Tensor, Tensor]:
    """Read inputs [N, 3k, H, W] and targets [N, 3, H, W], float in [-1, 1]. The dataset's dtype is uint8."""
    items = [dataset[int(row)] for row in rows]
    *inputs, target = (
        to_float(torch.stack([item[role] for item in items]).permute(0, 2, 3, 1)).to(device)
        for role in dataset.roles
    )
    return torch.cat(inputs, dim=1), target


def evenly(count: int, most: int) -> Rows:
    """Return at most `most` of 0..count-1, evenly spread."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def spread(rows: Rows, most: int) -> Rows:
    """Choose at most `most` of the rows, evenly spread."""
    return rows[evenly(len(rows), most)]


def pictures(
    roles: Sequence[str], inputs_NCHW: Tensor, pixels: Mapping[str, Pixels], *, only: NDArray[np.bool_]
) -> list[dict[str, Pixels]]:
    """Rows of the sample picture: inputs, output, target, baselines, under names for a person."""
    columns = {
        f"input: {role}": to_numpy(to_uint8(image))
        for role, image in zip(roles[:-1], inputs_NCHW.chunk(len(roles) - 1, dim=1), strict=True)
    }
    columns |= {"output": pixels[STUDENT], f"target: {roles[-1]}": pixels[TARGET], "copy": pixels[COPY]}
    if MEAN in pixels:
        columns["mean"] = pixels[MEAN]
    return [{name: images[i] for name, images in columns.items()} for i in np.flatnonzero(only)]


# ---- verdict


def unbeaten(evaluation: Evaluation) -> dict[str, list[str]]:
    """For each measure, name the baselines that the student does not beat; [] where it beats all."""
    mine = evaluation.scores[STUDENT]
    others = {name: scores for name, scores in evaluation.scores.items() if name != STUDENT}
    return {
        measure: [name for name, scores in others.items() if not better(measure, value, scores[measure])]
        for measure, value in mine.items()
    }


def better(measure: str, value: float, other: float) -> bool:
    """Tell whether a value of a measure is better than another one; not-a-number is never."""
    return value > other if measure in HIGHER_IS_BETTER else value < other
