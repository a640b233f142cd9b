"""`distill evaluate --photos`: a student on a folder of photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.errors import DistillError
from distill.evaluation.faces import judge_facts, judge_note, judge_of, share_note

if TYPE_CHECKING:
    from distill.attributes.judge import Judge
    from distill.editing.latent_edit import LatentEdit
    from distill.editing.translator import Translator
    from distill.evaluation.photos import PhotoEvaluation
    from distill.faces.detection import FaceDetector

FILES = ("photos.md", "photos.json", "photos.png")


def evaluate_on_photos(options: dict[str, Any]) -> None:
    """Measure and write what the options say; print the report."""
    from distill.cli.evaluate import default_out, make_folder
    from distill.editing.translator import make_translator
    from distill.faces.photos import find_photos, photo_detector
    from distill.networks.student import load_student

    out = options["out"] or default_out(options["source"])
    photos = _limited(find_photos([options["photos"]], out), options["limit"])
    student = load_student(options["source"], device=options["device"], precision=options["precision"])
    detector = photo_detector()
    ready = make_translator(student, style=options["style"], size=None, batch=options["batch"])
    judge, skipped = judge_of(options["scorer"], device=str(student.device))
    about = facts_of(ready, judge, len(photos), options)
    if options["dry_run"]:
        facts = {**about, "out": str(out)}
        lines = [*head_of(about), ("out", str(out))]
        click.echo(
            json.dumps(facts, indent=2) if options["as_json"] else "\n".join(f"{k:9}  {v}" for k, v in lines)
        )
        return
    latent_edit = edit_of(ready, judge, options) if options["latent_edit"] else None
    make_folder(out)
    found = measure(photos, ready, detector, judge, latent_edit, quiet=options["as_json"])
    write(
        out,
        about,
        found,
        notes_of(found, judge, skipped, ready.student.facts.selected_by),
        as_json=options["as_json"],
    )


def measure(
    photos: list[Path],
    ready: Translator,
    detector: FaceDetector,
    judge: Judge | None,
    latent_edit: LatentEdit | None,
    *,
    quiet: bool,
) -> PhotoEvaluation:
    """Evaluate with progress."""
    from dataclasses import replace

    from distill.attributes.face_scores import FaceScores
    from distill.attributes.moves import wanted_ways
    from distill.evaluation.photos import evaluate_photos
    from distill.progress import Progress

    ways = wanted_ways({"task": ready.student.facts.task})
    faces = FaceScores(scorer=judge.scorer if judge else None, ways=ways)
    with Progress(len(photos), noun="photo", quiet=quiet, keep=False) as progress:

        def embed(step: int, steps: int) -> None:
            progress.beside(f"embedding: step {step} of {steps}")
            progress.advance(0)

        edit = replace(latent_edit, on_step=embed) if latent_edit else None
        return evaluate_photos(photos, ready, detector, faces, latent_edit=edit, advance=progress.advance)


def edit_of(ready: Translator, judge: Judge | None, options: dict[str, Any]) -> LatentEdit:
    """Make the edit that the student was distilled from, as the task's recipe has it.

    Raises DistillError where the task is none along a direction, and for a teacher or direction that is not here.
    """
    from distill.attributes.moves import wanted_ways
    from distill.directions.file import read_direction
    from distill.editing.latent_edit import LatentEdit
    from distill.generation.edit_settings import DirectionChoice
    from distill.networks.perceptual import default_perceptual, load_perceptual
    from distill.stylegan2.load import load_generator
    from pipelines import RECIPES

    facts = ready.student.facts
    recipe = RECIPES.get(facts.task or "")
    if recipe is None or not isinstance(recipe.edit, DirectionChoice):
        learned = facts.task or "an unknown task"
        raise DistillError(
            f"--latent-edit is for students of an edit along a direction; this one learned {learned}"
        )
    teacher, attribute = options["teacher"] or facts.generator, recipe.edit.attribute
    if teacher is None:
        raise DistillError("--latent-edit needs the student's teacher: name it with --teacher")
    device = str(ready.student.device)
    return LatentEdit(
        generator=load_generator(teacher, device=device),
        direction=read_direction(attribute, generator=teacher),
        strength=recipe.edit.delta,
        features=load_perceptual(_comparing(default_perceptual()), device=device),
        way=wanted_ways({"task": facts.task}).get(attribute),
        scorer=judge.scorer if judge else None,
    )


def _comparing(features: str) -> str:
    if features == "none":
        raise DistillError("--latent-edit compares perceptual features: pip install 'distill[train]'")
    return features


def facts_of(ready: Translator, judge: Judge | None, photos: int, options: dict[str, Any]) -> dict[str, Any]:
    """What is measured, for the head of the report."""
    student = ready.student
    return {
        "student": str(student.path),
        "task": student.facts.task,
        "kimg": student.facts.kimg,
        "photos": str(options["photos"]),
        "count": photos,
        "roles": [*ready.roles, "output"],
        "resolution": ready.size,
        "scorer": judge_facts(judge, ready.student.facts.selected_by) if judge else None,
        "batch": ready.batch,
        "device": str(student.device),
        "precision": student.precision,
    }


def head_of(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts as lines for people."""
    *inputs, target = facts["roles"]
    seen = f", {facts['kimg']:g} kimg" if facts["kimg"] is not None else ""
    task = f"{facts['task']}: " if facts["task"] else ""
    return [
        ("student", f"{facts['student']}{seen}"),
        ("photos", f"{facts['photos']} ({facts['count']})"),
        ("roles", f"{task}{' + '.join(inputs)} -> {target}, {facts['resolution']} px"),
        ("scorer", facts["scorer"]["name"] if facts["scorer"] else "none"),
    ]


def notes_of(
    found: PhotoEvaluation, judge: Judge | None, skipped: dict[str, str], selected_by: dict[str, str] | None
) -> list[str]:
    """What a reader must know of the numbers."""
    from distill.faces.photo_results import count_reasons

    notes = [f"{what}: not measured: {why}" for what, why in skipped.items()]
    notes += [f"{count} photos left out: {reason}" for reason, count in count_reasons(found.skipped).items()]
    if judge:
        notes += [judge_note(judge, selected_by), share_note(len(found.rows))]
        notes.append("In the picture: scores of the photo > of the output, gender as the probability of female; id,"
                     " the distance of their faces.")  # fmt: skip
    if found.between_people is not None:
        notes.append(f"Two different faces of these photos lie {found.between_people:.3f} apart.")
    return notes


def write(
    out: Path, about: dict[str, Any], found: PhotoEvaluation, notes: list[str], *, as_json: bool
) -> None:
    """Write the table, the JSON and the picture; print the one that was asked for."""
    from PIL import Image

    from distill.evaluation.report import face_table, plain
    from distill.files import atomic_write
    from distill.shards.inspect.sheet import png_bytes

    head = "\n".join(f"    {name:9}  {value}" for name, value in head_of(about))
    said = "\n".join(f"- {note}" for note in notes)
    table = f"# Evaluation on photos\n\n{head}\n\n{face_table(found.scores)}\n\n{said}\n"
    everything = {
        **about,
        "faces": len(found.rows),
        "scores": {name: plain(scores) for name, scores in found.scores.items()},
        "distance_between_people": found.between_people,
        "rows": [row.to_json() for row in found.rows],
        "skipped": [skip.to_json() for skip in found.skipped],
        "notes": notes,
    }
    data = json.dumps(everything, indent=2, ensure_ascii=False)
    contents = (table.encode(), f"{data}\n".encode(), png_bytes(Image.fromarray(found.picture)))
    for name, content in zip(FILES, contents, strict=True):
        atomic_write(out / name, content, synced=False)
    click.echo(data if as_json else f"{table}\n{', '.join(str(out / name) for name in FILES)}")


def _limited(photos: list[Path], limit: int | None) -> list[Path]:
    """Keep at most `limit` photos, evenly spread."""
    if not photos:
        raise DistillError("no photos: the folder holds no files")
    if limit is None or limit >= len(photos):
        return photos
    return [photos[round(k * (len(photos) - 1) / max(1, limit - 1))] for k in range(limit)]
