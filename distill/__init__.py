"""StyleGAN2 distillation: paired data from a generator, and students trained on them.

The Python API. Each function does what the command of its name does; what it needs is imported when it is called.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from distill.devices import Precision
    from distill.editing.photos_and_videos import Translations
    from distill.editing.projected_photos import ProjectedPhoto
    from distill.editing.projections import read_projections
    from distill.evaluation.report import EvaluationReport
    from distill.faces.photo_results import PhotoResults
    from distill.generation.request import TaskChoices
    from distill.networks.student import NormStatistics, Student
    from distill.shards.dataset import TripletDataset
    from distill.stylegan2.blend import blend
    from distill.stylegan2.generator import Generator
    from distill.training.trainer import TrainingResult

__version__ = "0.1.0"
__all__ = [
    "TaskChoices", "TripletDataset", "blend", "evaluate", "generate", "load_generator", "load_student", "project",
    "read_projections", "train", "translate",
]  # fmt: skip

AnyPath = str | PathLike[str]
AS_THEY_ARE = {
    "TaskChoices": "distill.generation.request",
    "TripletDataset": "distill.shards.dataset",
    "blend": "distill.stylegan2.blend",
    "read_projections": "distill.editing.projections",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in AS_THEY_ARE:
            return getattr(importlib.import_module(AS_THEY_ARE[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def load_generator(
    source: AnyPath = "portraits",
    *,
    device: str = "auto",
    precision: Precision = "auto",
    compiled: bool = False,
) -> Generator:
    """Load a StyleGAN2 generator from a registry name, a file, or an https URL; see `stylegan2.load`."""
    from distill.stylegan2 import load

    return load.load_generator(str(source), device=device, precision=precision, compiled=compiled)


def generate(
    task: str,
    *,
    n: int,
    out: AnyPath,
    generator: AnyPath = "portraits",
    choices: TaskChoices | None = None,
    workers: int | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    quiet: bool = False,
) -> TripletDataset:
    """Make a data set of `n` accepted rows of a task in the folder `out`, and open it: what `distill generate` does.

    `choices` change the recipe of the task. Runs in this process, or in `workers` processes of their own; a script
    then needs `if __name__ == "__main__":`. The same call resumes. Raises DistillError for bad input.
    """
    from distill.cli.tasks import task_recipe
    from distill.errors import DistillError
    from distill.generation import request
    from distill.generation.conditions import ChosenConditions
    from distill.generation.job import RunCallbacks, prepare, run_job
    from distill.progress import Progress
    from distill.shards.dataset import TripletDataset

    if type(n) is not int or not isinstance(choices, request.TaskChoices | None):
        raise DistillError(f"n is a whole number and choices are TaskChoices, not {n!r} and {choices!r}")
    run = prepare(
        request.GenerateRequest(
            task=task_recipe(task),
            n=n,
            generator=str(generator),
            out=Path(out),
            choices=choices or request.TaskChoices(),
            conditions=ChosenConditions(precision=precision),
            workers=workers,
            cluster="local" if workers else "none",
            device=device,
        )
    )
    with Progress(run.plan.n, done=run.plan.rows_done, quiet=quiet, keep=False) as progress:
        run_job(run, callbacks=RunCallbacks.shown(progress))
    return TripletDataset(out)


def train(
    model: str,
    *,
    data: AnyPath | None = None,
    out: AnyPath,
    preset: str | None = None,
    settings: Mapping[str, object] | None = None,
    seed: int = 0,
    resume: bool = False,
    minutes: float | None = None,
    features: str = "auto",
    log: str | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    quiet: bool = False,
) -> TrainingResult:
    """Train a model of the table of trainers (such as "pix2pix", "stargan"): what `distill train-MODEL` does.

    `settings` change the preset by name. `resume` goes on from the checkpoint in `out`; `log` "wandb" sends
    the numbers to Weights & Biases too. The result says where the weights and the page are. Raises DistillError and
    Diverged.
    """
    from distill.training.request import TrainRequest
    from distill.training.run import run_training
    from distill.training.trainers import open_trainer

    request = TrainRequest(
        data=Path(data) if data is not None else None,
        out=Path(out),
        preset=preset,
        changes=settings or {},
        seed=seed,
        resume=resume,
        minutes=minutes,
        features=features,
        log=log,
        precision=precision,
    )
    return run_training(open_trainer(model), request, device=device, quiet=quiet)


def load_student(
    source: AnyPath,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    norm_statistics: NormStatistics = "running",
    reverse: bool = False,
    edit: str | None = None,
) -> Student:
    """Load a student by its name, from a run of `train`, a .safetensors file or a published generator.

    Call it with images [N, C, H, W] in [-1, 1]. `reverse`: the way b → a of a CycleGAN. `edit`: what to change, such
    as "age=+20,smile=1", for a student that can make several changes.
    """
    from distill.networks.student import load_student

    return load_student(
        source,
        device=device,
        precision=precision,
        norm_statistics=norm_statistics,
        reverse=reverse,
        edit=edit,
    )


def translate(
    photos: Sequence[AnyPath],
    *,
    model: AnyPath,
    out: AnyPath,
    style: AnyPath | None = None,
    size: int | None = None,
    align: Literal["ffhq", "none"] = "ffhq",
    paste_back: bool = False,
    all_faces: bool = False,
    reverse: bool = False,
    edit: str | None = None,
    strip: str | None = None,
    mark: bool = True,
    device: str = "auto",
    precision: Precision = "auto",
) -> Translations:
    """Run a student on the faces of photos and videos (files and folders) into `out`, as `distill translate` does.

    `align` "none" takes the middle of each picture. `edit`: see `load_student`. `strip` "age=-30:30:7": a row of each
    face too. `mark`: PNGs say which network drew them. Of the result `done` lists files, `skipped` what was left
    out and why; `check()` raises DistillError.
    """
    from distill.editing.photos_and_videos import split_files, translate_files
    from distill.editing.translate import TranslateRequest, open_translator
    from distill.weights.by_name import path_by_name

    request = TranslateRequest(
        photos=tuple(map(Path, photos)),
        model=path_by_name(model, "student"),
        out=Path(out),
        style=Path(style) if style is not None else None,
        size=size,
        align=align,
        paste_back=paste_back,
        all_faces=all_faces,
        reverse=reverse,
        edit=edit,
        strip=strip,
        mark=mark,
        device=device,
        precision=precision,
    )
    return translate_files(request, split_files(request), open_translator(request))


def project(
    photos: Sequence[AnyPath],
    *,
    out: AnyPath,
    generator: AnyPath = "portraits",
    space: str = "w+",
    lpips: AnyPath | None = None,
    encoder: AnyPath | None = None,
    steps: int | None = None,
    tuning_steps: int = 350,
    batch: int | None = None,
    mark: bool = True,
    device: str = "auto",
) -> PhotoResults[ProjectedPhoto]:
    """Put the faces of photos (files and folders) into the latent space of a generator: what `distill project` does.

    `space`: "w", "w+", "pti", "encoder", or several as "w,w+". `encoder`: a name or a file, by default the
    generator's own. `mark`: as of `translate`. The same call resumes. The result tells how near each photo came;
    `read_projections` reads.
    """
    from distill.editing.project import ProjectRequest, chosen_spaces, open_projection, project_photos
    from distill.weights.by_name import path_by_name

    request = ProjectRequest(
        photos=tuple(map(Path, photos)),
        out=Path(out),
        generator=str(generator),
        spaces=chosen_spaces(space),
        lpips=Path(lpips) if lpips is not None else None,
        encoder=path_by_name(encoder, "encoder") if encoder is not None else None,
        steps=steps,
        tuning_steps=tuning_steps,
        batch=batch,
        mark=mark,
        device=device,
    )
    return project_photos(open_projection(request))


def evaluate(
    model: AnyPath,
    *,
    data: AnyPath,
    out: AnyPath | None = None,
    limit: int | None = None,
    faces: int = 64,
    features: str = "auto",
    perceptual: str = "auto",
    device: str = "auto",
    precision: Precision = "auto",
) -> EvaluationReport:
    """Score a student on held-out rows of a data set beside two baselines, and write the report into `out`.

    What `distill evaluate --data` does; `facts` of the report has every number. `faces`: in
    how many rows faces are compared too.
    """
    from distill.evaluation.report import report_folder
    from distill.evaluation.student import EvaluateRequest, prepare
    from distill.weights.by_name import path_by_name

    request = EvaluateRequest(
        source=path_by_name(model, "student"),
        data=Path(data),
        out=Path(out) if out is not None else None,
        limit=limit,
        faces=faces,
        features=features,
        perceptual=perceptual,
        device=device,
        precision=precision,
    )
    ready = prepare(request)
    with report_folder(ready.out, ready.files) as outputs:
        (report := ready.run()).write(outputs)
    return report
