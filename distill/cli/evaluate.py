"""`distill evaluate`: a student in numbers, beside what doing nothing would score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.errors import DistillError, os_error

if TYPE_CHECKING:
    from distill.attributes.face_scores import FaceScores
    from distill.evaluation.student import Chosen, Evaluation
    from distill.networks.student import Student, StudentFacts
    from distill.shards.dataset import TripletDataset

FILES = ("evaluation.md", "evaluation.json", "samples.png")


@click.command("evaluate", short_help="Score a student beside two baselines, and time it.")
@click.argument("source", metavar="RUN|FILE", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), help="The data set: a folder of shards.")
@click.option("--photos", type=click.Path(path_type=Path), help="Instead: a folder of photos of faces.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results.  [RUN/evaluation]")
@click.option("--limit", type=click.IntRange(1), help="At most so many rows, evenly spread.")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Images at once.")
@click.option("--features", default="auto", show_default=True,
              help="Of the Fréchet distance: auto, efficientnet_lite0, pixels8, inception=FILE or none.")  # fmt: skip
@click.option("--perceptual", default="auto", show_default=True,
              help="Features of the perceptual distance: auto, efficientnet_lite0, vgg19 or none.")  # fmt: skip
@click.option("--faces", type=click.IntRange(0), default=64, show_default=True,
              help="Rows whose faces are compared (0.8 s each on a CPU); 0: none.")  # fmt: skip
@click.option("--scorer", default="auto", show_default=True,
              help="Who judges attributes: face-api[=FILE], builtin, a file; auto: face-api if fetched.")  # fmt: skip
@click.option("--latent-edit", is_flag=True,
              help="With --photos: also embed each face into the teacher and edit it there, about 16 s a face on a"
                   " CPU core at 64 px.")  # fmt: skip
@click.option("--style", metavar="IMAGE", type=click.Path(path_type=Path),
              help="With --photos: the second face, for students of two inputs.")  # fmt: skip
@click.option(
    "--teacher",
    metavar="NAME|PATH",
    help="The generator to time, and to edit in.  [the recipe's, where it is here]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto", show_default=True
)
@click.option("--dry-run", is_flag=True, help="Print what would be measured; measure and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print plan or report as JSON.")
def evaluate(**options: Any) -> None:
    """Compare a student's images with their targets: L1, SSIM, perceptual and Fréchet distance, faces, time.

    Two baselines stand beside it: copying the content, and the mean of the inputs; for faces also the target itself.
    Of faces: is it the same person, how many change class (gender), how many years does the age move. Where --data is
    what the student was trained on, the rows held out from training count. --out gets evaluation.md, evaluation.json,
    samples.png. --photos measures faces alone, on photos (no target is needed): photos.md, photos.json, photos.png.

    \b
    distill evaluate runs/student --data runs/demo
    distill evaluate runs/student --photos holidays --scorer face-api --latent-edit
    distill evaluate latest_net_G.pth --data runs/demo --limit 500 --features inception=weights.pth
    """
    from distill.networks.student import load_student

    if (options["data"] is None) == (options["photos"] is None):
        raise click.UsageError("give either --data DIR, a data set, or --photos DIR, a folder of photos")
    if options["photos"] is not None:
        from distill.cli.evaluate_photos import evaluate_on_photos

        evaluate_on_photos(options)
        return
    if options["latent_edit"]:
        raise click.UsageError("--latent-edit goes with --photos: a data set's target is the edit itself")
    if options["style"] is not None:
        raise click.UsageError("--style goes with --photos: a data set brings all inputs")
    student = load_student(options["source"], device=options["device"], precision=options["precision"])
    dataset = open_data(options["data"], student)
    chosen = choose_rows(student.facts, dataset).limited(options["limit"])
    out = options["out"] or default_out(options["source"])
    about = facts_of(student, dataset, chosen, options)
    if options["dry_run"]:
        print_facts({**about, "out": str(out)}, as_json=options["as_json"])
        return
    make_folder(out)
    found, notes = measure(student, dataset, chosen, options)
    write(out, about, found, notes, options)


def open_data(folder: Path, student: Student) -> TripletDataset:
    """Open the roles that the student takes and was taught, at the size it was trained on where that is stored."""
    from distill.shards.dataset import TripletDataset

    facts = student.facts
    roles = (*facts.inputs, facts.target) if facts.inputs and facts.target else None
    dataset = TripletDataset(folder, roles=roles)
    student.architecture.check_inputs(3 * (len(dataset.roles) - 1))
    side = min(facts.resolution or dataset.resolution, dataset.resolution)
    if side != dataset.resolution:
        dataset = TripletDataset(folder, roles=roles, resolution=side)
    student.architecture.check_sides(side, side)
    return dataset


def choose_rows(facts: StudentFacts, dataset: TripletDataset) -> Chosen:
    """Take the rows that were held out from training where it is this data set, else all; and say why."""
    import numpy as np

    from distill.evaluation.student import Chosen
    from distill.shards.split import split_rows

    def everything(why: str) -> Chosen:
        return Chosen(rows=np.arange(len(dataset)), part="all", why=why)

    if facts.data_digest is None:
        return everything("what the student was trained on is not known, so these rows may be among it")
    if facts.data_digest != dataset.digest:
        return everything(
            f"the student was trained on another data set, {facts.data_digest}, not {dataset.digest}"
        )
    if not facts.val_fraction or facts.seed is None:
        return everything("nothing was held out: the student was trained on these very rows")
    held = split_rows(dataset, fraction=facts.val_fraction, seed=facts.seed)[1]
    if not len(held):
        return everything(
            f"of {len(dataset)} rows none was held out: the student was trained on these very rows"
        )
    return Chosen(rows=held, part="validation", why=f"held out from training, of {len(dataset)}")


def measure(
    student: Student, dataset: TripletDataset, chosen: Chosen, options: dict[str, Any]
) -> tuple[Evaluation, list[str]]:
    """Evaluate with progress; return what was found, and notes for the reader."""
    import torch

    from distill.evaluation.faces import judge_facts, judge_note, open_faces, share_note
    from distill.evaluation.student import evaluate as run
    from distill.evaluation.times import teacher_times
    from distill.metrics.features import load_features
    from distill.networks.perceptual import default_perceptual, load_perceptual
    from distill.progress import Progress

    device, batch = str(student.device), options["batch"]
    name = default_perceptual() if options["perceptual"] == "auto" else options["perceptual"]
    perceptual = load_perceptual(name, device=device)
    features = None if options["features"] == "none" else load_features(options["features"], device=device)
    faces, judge, skipped = open_faces(dataset.recipe, options, device=device)
    try:
        times = teacher_times(
            dataset.recipe, source=options["teacher"], batch=batch, device=device, perceptual=perceptual
        )
        with Progress(len(chosen.rows), noun="image", quiet=options["as_json"]) as progress:
            found = run(
                student, dataset, chosen.rows, perceptual=perceptual, features=features, faces=faces,
                face_rows=options["faces"], batch=batch,
                advance=lambda count, done: progress.advance(count),
            )  # fmt: skip
    except torch.OutOfMemoryError as error:
        raise DistillError(f"{device}: out of memory with --batch {batch}; take a smaller one") from error
    found.times.update(times)
    found.not_measured.update(skipped)
    notes = notes_of(found, student.facts, faces, name)
    if judge:
        found.judge.update(judge_facts(judge, dataset.recipe))
        notes += [judge_note(judge, dataset.recipe), share_note(found.face_rows)]
    return found, notes


def notes_of(found: Evaluation, facts: StudentFacts, faces: FaceScores | None, perceptual: str) -> list[str]:
    """What a reader must know of the numbers."""
    from distill.faces.identity import SAME_PERSON

    notes = [f"{what}: not measured: {why}" for what, why in found.not_measured.items()]
    if any(name.startswith("frechet") for name in found.scores["student"]):
        notes.append(
            f"The Fréchet distance of {found.rows} images compares only with one of as many, and of these features."
        )
    if perceptual != "none" and perceptual == facts.perceptual:
        notes.append(
            f"The student was trained to be near in {perceptual}: its perceptual distance flatters it."
        )
    if faces is not None:
        lost = f", {faces.without} had no face that could be found" if faces.without else ""
        notes.append(f"Faces: {faces.faces} rows compared by dlib's descriptor{lost}; the target's column shows what"
                     " the edit itself does.")  # fmt: skip
    if found.between_people is not None:
        close = (
            ": too near for that descriptor to tell people apart"
            if found.between_people < SAME_PERSON
            else ""
        )
        notes.append(f"Two different faces of this data set lie {found.between_people:.3f} apart{close}.")
    if "mean_of_inputs" not in found.scores:
        notes.append("With one input the mean of the inputs is the content: one baseline.")
    return notes


def facts_of(
    student: Student, dataset: TripletDataset, chosen: Chosen, options: dict[str, Any]
) -> dict[str, Any]:
    """What is compared with what, for the head of the report."""
    facts = student.facts
    return {
        "student": str(student.path),
        "kimg": facts.kimg,
        "data": str(options["data"]),
        "digest": dataset.digest,
        "roles": list(dataset.roles),
        "rows": len(chosen.rows),
        "part": chosen.part,
        "why": chosen.why,
        "resolution": dataset.resolution,
        "trained_at": facts.resolution,
        "batch": options["batch"],
        "device": str(student.device),
        "precision": student.precision,
    }


def print_facts(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for name, value in head_of(facts):
        click.echo(f"{name:9}  {value}")
    click.echo(f"{'out':9}  {facts['out']}")


def head_of(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts as lines for people."""
    *inputs, target = facts["roles"]
    trained = facts["trained_at"]
    other = f" (trained at {trained})" if trained not in (None, facts["resolution"]) else ""
    seen = f", {facts['kimg']:g} kimg" if facts["kimg"] is not None else ""
    return [
        ("student", f"{facts['student']}{seen}"),
        ("data", f"{facts['data']} (digest {facts['digest']})"),
        ("roles", f"{' + '.join(inputs)} -> {target}, {facts['resolution']} px{other}"),
        ("rows", f"{facts['rows']} ({facts['part']}: {facts['why']})"),
    ]


def write(
    out: Path, about: dict[str, Any], found: Evaluation, notes: list[str], options: dict[str, Any]
) -> None:
    """Write the table, the JSON and the picture; print the one that was asked for."""
    from distill.evaluation import report
    from distill.files import atomic_write
    from distill.shards.inspect.sheet import png_bytes

    table = report.text("Evaluation", head_of(about), found, notes)
    everything = {**about, **report.as_json(found), "notes": notes}
    data = json.dumps(everything, indent=2, ensure_ascii=False)
    picture = report.draw_samples(found.shown, note=f"{len(found.shown)} rows, evenly spread, not chosen")
    for name, content in zip(FILES, (table.encode(), f"{data}\n".encode(), png_bytes(picture)), strict=True):
        atomic_write(out / name, content, synced=False)
    click.echo(data if options["as_json"] else f"{table}\n{', '.join(str(out / name) for name in FILES)}")


def default_out(source: Path) -> Path:
    """RUN/evaluation; for a file, a folder beside it."""
    return source / "evaluation" if source.is_dir() else source.with_name(f"{source.stem}-evaluation")


def make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise os_error(error) from error
