"""Score a student beside two baselines on the triplets of a data set, and time it beside its teacher.

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
from distill.metrics.features import Features
from distill.metrics.pairs import HIGHER_IS_BETTER, PairScores, copy_content, mean_of_inputs
from distill.metrics.speed import Time, device_text, milliseconds_per_image
from distill.networks.perceptual import PerceptualFeatures
from distill.networks.student import Student
from distill.pixels import to_float, to_numpy, to_uint8
from distill.shards.dataset import TripletDataset
from distill.stylegan2.generator import Generator, Noise
from distill.stylegan2.load import load_generator
from distill.stylegan2.projection import STEPS, project
from distill.weights.registry import entry_of

Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]

STUDENT, COPY, MEAN, TARGET = "student", "copy_content", "mean_of_inputs", "target"
LATENT_EDIT = "latent_edit"  # a column of photos: embedded into the teacher and edited there
SHOWN = 8  # rows of the sample picture
PROBE_STEPS = 10  # of an embedding, whose time stands for that of all


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The rows that are scored. `part`: "validation" or "all"; `why`: in words, for a person."""

    rows: Rows
    part: str
    why: str

    def limited(self, count: int | None) -> Chosen:
        """Keep at most `count` rows, evenly spread."""
        if count is None or count >= len(self.rows):
            return self
        places = np.linspace(0, len(self.rows) - 1, count).round().astype(np.int64)
        return Chosen(rows=self.rows[places], part=self.part, why=self.why)


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
    times: dict[str, Time]
    shown: list[dict[str, Pixels]]
    not_measured: dict[str, str] = field(default_factory=dict)
    judge: dict[str, Any] = field(default_factory=dict)


def evaluate(
    student: Student,
    dataset: TripletDataset,
    rows: Rows,
    *,
    perceptual: PerceptualFeatures | None,
    features: Features | None,
    faces: FaceScores | None = None,
    face_rows: int = 0,
    batch: int = 8,
    advance: Callable[[int, int], None] = lambda count, done: None,
) -> Evaluation:
    """Score `student` on rows of `dataset`, whose roles are the inputs in order and last the target.

    `face_rows`: of so many rows, evenly spread, the faces are compared too. `advance` hears of each batch: (its
    rows, rows so far). Raises DistillError where the images do not fit the student, ShardCorrupt by name for a
    broken shard.
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
        images = answers(student, inputs)
        for name, scores in columns.items():
            scores.add(images[name], target)
        pixels = {name: to_numpy(to_uint8(image)) for name, image in {**images, TARGET: target}.items()}
        if faces is not None:
            faces.add(pixels[COPY], pixels, only=np.isin(part, with_faces))
        shown += pictures(dataset.roles, inputs, pixels, only=np.isin(part, in_picture))
        advance(len(part), first + len(part))
    times = {STUDENT: student_time(student, read_rows(dataset, rows[:batch], student.device)[0])}
    return _found(len(rows), columns, faces, times, shown)


def _found(
    rows: int,
    columns: Mapping[str, PairScores],
    faces: FaceScores | None,
    times: dict[str, Time],
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
    """Name the columns of a student with so many inputs: with one, the mean of the inputs is the content."""
    return (STUDENT, COPY, MEAN) if inputs > 1 else (STUDENT, COPY)


def answers(student: Student, inputs_NCHW: Tensor) -> dict[str, Tensor]:
    """What the student and each baseline make of the inputs [N, 3k, H, W]: name -> [N, 3, H, W]."""
    found = {
        STUDENT: student(inputs_NCHW),
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


def spread(rows: Rows, count: int) -> Rows:
    """Choose at most `count` of the rows, evenly spread."""
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(np.int64)
    return rows[places]


def pictures(
    roles: Sequence[str], inputs_NCHW: Tensor, pixels: Mapping[str, Pixels], *, only: NDArray[np.bool_]
) -> list[dict[str, Pixels]]:
    """Rows of the sample picture: inputs, student, target, baselines, under names for a person."""
    columns = {
        f"input: {role}": to_numpy(to_uint8(image))
        for role, image in zip(roles[:-1], inputs_NCHW.chunk(len(roles) - 1, dim=1), strict=True)
    }
    columns |= {STUDENT: pixels[STUDENT], f"target: {roles[-1]}": pixels[TARGET], "copy": pixels[COPY]}
    if MEAN in pixels:
        columns["mean"] = pixels[MEAN]
    return [{name: images[i] for name, images in columns.items()} for i in np.flatnonzero(only)]


# ---- times


def student_time(student: Student, inputs_NCHW: Tensor) -> Time:
    """Time the student on a batch that is on its device already."""
    N, side = len(inputs_NCHW), inputs_NCHW.shape[-1]
    took = milliseconds_per_image(lambda: student(inputs_NCHW), images=N, device=student.device)
    return Time(took, f"batch {N}, {side} px, {student.precision}, {device_text(student.device)}")


def teacher_times(
    recipe: Mapping[str, Any],
    *,
    source: str | None = None,
    batch: int,
    device: str | torch.device,
    perceptual: PerceptualFeatures,
) -> dict[str, Time]:
    """Time the teacher's edit where w+ is known, and where a photo must be embedded first.

    `source`: a name or file; by default the recipe's generator, where it is on this machine. Nothing is fetched.
    Raises DistillError for a `source` of another generator than the recipe's.
    """
    found = _teacher(recipe, source, str(device))
    if isinstance(found, str):
        return dict.fromkeys(("teacher_edit", "embedding_and_edit"), Time(None, f"not measured: {found}"))
    edit = edit_time(found, batch=batch, noise=recipe.get("noise", "const"))
    return {"teacher_edit": edit, "embedding_and_edit": embedding_time(found, edit, perceptual)}


def _teacher(recipe: Mapping[str, Any], source: str | None, device: str) -> Generator | str:
    """Load the recipe's generator, or say why not."""
    facts = recipe.get("generator")
    if not isinstance(facts, dict) or not isinstance(facts.get("name"), str):
        return "the recipe names no generator"
    name = facts["name"]
    if source is None:
        entry = entry_of(name)
        if entry is None:
            return f"the generator {name} is a file of its maker; name it with --teacher"
        if not entry.path.is_file():
            return f"{name} is not on this machine; distill weights fetch {name}"
    generator = load_generator(source or name, device=device)
    if generator.sha256 != facts.get("sha256"):
        what = f"{source or name} has sha256 {generator.sha256[:12]}…, the recipe's {str(facts.get('sha256'))[:12]}…"
        if source is not None:
            raise DistillError(f"--teacher {what}: another generator than the one that made this data set")
        return what
    return generator


def edit_time(generator: Generator, *, batch: int, noise: Noise) -> Time:
    """Time one drawn image for each triplet, the target."""
    z_NZ = torch.randn(batch, generator.z_dim, generator=torch.Generator().manual_seed(0))
    ws_NLD = generator.map(z_NZ)
    took = milliseconds_per_image(
        lambda: generator.synthesize(ws_NLD, noise=noise), images=batch, device=generator.device
    )
    how = f"one image of known w+, batch {batch}, {generator.resolution} px, {generator.precision}"
    return Time(took, f"{how}, {device_text(generator.device)}")


def embedding_time(generator: Generator, edit: Time, perceptual: PerceptualFeatures) -> Time:
    """Time what a student saves: the search for a photo's w+ (`distill.stylegan2.projection`), and then the edit."""
    if not perceptual.weights or edit.milliseconds is None:
        return Time(None, "not measured: embedding compares perceptual features; name some with --perceptual")
    target = generator.synthesize(generator.w_avg.expand(1, generator.num_ws, -1))
    took = milliseconds_per_image(
        lambda: project(generator, target, features=perceptual, steps=PROBE_STEPS),
        images=1,
        device=generator.device,
    )
    how = f"{STEPS} steps by the time of {PROBE_STEPS}, batch 1, {generator.resolution} px, fp32"
    return Time(took * STEPS / PROBE_STEPS + edit.milliseconds, f"{how}, {device_text(generator.device)}")


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
