"""`distill assess-teacher`: what a trained generator can do, in numbers and pictures."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.errors import DistillError, os_error

if TYPE_CHECKING:
    from distill.evaluation.teacher import Assessment, Drawn, Plan, TrainingPictures
    from distill.stylegan2.generator import Generator

# Facts of a file that stand elsewhere in the report, or that every StyleGAN2 shares.
NOT_TOLD = {"architecture", "mapping_lr_multiplier", "conv_clamp", "origin", "c_dim", "img_channels",
            "img_resolution", "w_dim", "z_dim"}  # fmt: skip


@click.command("assess-teacher", short_help="Measure a generator; write pictures and a card.")
@click.argument("source", metavar="NAME|PATH")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Its training pictures: a folder, or an .h5 file."
)
@click.option("--samples", type=click.IntRange(2, 10_000), default=1000, show_default=True)
@click.option("--pictures", type=click.IntRange(2), default=2000, show_default=True,
              help="At most so many training pictures, chosen by the seed.")  # fmt: skip
@click.option("--truncation-psi", type=click.FloatRange(0, 2), default=0.7, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True)
@click.option("--faces/--no-faces", default=None, help="Look for faces.  [where it draws faces]")
@click.option("--features", default="auto", show_default=True,
              help="Of the score: auto, efficientnet_lite0, inception=FILE or pixels8.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results.  [NAME-assessment]")
@click.option("--card", type=click.Path(path_type=Path), metavar="FILE.md",
              help="Also put the section into this model card, and its grid beside it.")  # fmt: skip
@click.option("--show-nearest", is_flag=True,
              help="Write nearest.png, which shows training pictures: mind whom they show.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--dry-run", is_flag=True, help="Print the plan; draw and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print plan or report as JSON.")
def assess_teacher(**options: Any) -> None:
    """Draw samples of a generator and measure them: score, variety, faces, likeness to its training pictures.

    --out gets samples.png, samples-psi1.png, truncation.png, report.json and assessment.md. Without --data there
    is no score and no likeness. The descriptors of faces take most of the time: about 0.2 s a face.

    \b
    distill assess-teacher runs/faces/generator.safetensors --data faces.h5
    distill assess-teacher portraits --data faces/ --samples 200 --out look
    """
    from distill.evaluation.teacher import compared_side, work_of

    if not 0 <= options["truncation_psi"] <= 2:  # nan passes the range above
        raise click.UsageError("--truncation-psi is a number from 0 to 2")
    if options["show_nearest"] and not options["data"]:
        raise click.UsageError("--show-nearest needs --data")
    generator, about = open_generator(options["source"], options["device"])
    plan = make_plan(options, str(about["name"]))
    out = options["out"] or Path(f"{Path(str(about['name'])).stem}-assessment")
    check_places(out, options["card"])
    pictures = open_pictures(options, generator.resolution, about["training"]) if options["data"] else None
    work = work_of(plan, generator.resolution, len(pictures.numbers) if pictures else 0)
    if options["dry_run"]:
        print_plan(plan, pictures, compared_side(generator.resolution, pictures), out, sum(work.values()),
                   as_json=options["as_json"])  # fmt: skip
        return
    found, drawn = measure(generator, about, plan, pictures, work, options)
    report(found, drawn, generator, pictures, out, options)


def open_generator(source: str, device: str) -> tuple[Generator, dict[str, Any]]:
    """Load the generator; return it and what its file and the table of weights say of it."""
    from distill.devices import resolve_device
    from distill.stylegan2.facts import teacher_facts
    from distill.stylegan2.load import build_generator
    from distill.weights.registry import cached_checkpoint, resolve

    path = resolve(source)
    checkpoint = cached_checkpoint(path)
    generator = build_generator(checkpoint, device=resolve_device(device))
    about = teacher_facts(source).model_dump(mode="json")
    about["parameters"] = sum(p.numel() for p in generator.network.parameters())
    about["bytes"] = path.stat().st_size
    about["training"] = {k: v for k, v in sorted(checkpoint.facts.items()) if k not in NOT_TOLD}
    return generator, about


def make_plan(options: Mapping[str, Any], name: str) -> Plan:
    """Decide what is measured, and say what is not."""
    from distill.evaluation.teacher import Plan
    from distill.faces.detection import FaceDetector
    from distill.faces.identity import descriptor_sha256
    from distill.weights.registry import domain_of

    domain, faces, data = domain_of(options["source"]), options["faces"], options["data"]
    looked = domain in ("face", "unknown") if faces is None else faces
    left_out = []
    if not looked:
        why = "--no-faces was given" if faces is False else f"{name} draws another domain ({domain})"
        left_out.append(f"faces and likeness to training pictures: {why}")
    if data is None:
        what = "score and likeness to training pictures" if looked else "score"
        left_out.append(f"{what}: no training pictures were given (--data)")
    if looked:  # a model that is missing shows before minutes of work
        _ = FaceDetector().landmarks_sha256
        if data:
            descriptor_sha256()
    return Plan(
        samples=options["samples"],
        truncation_psi=options["truncation_psi"],
        seed=options["seed"],
        faces=looked,
        left_out=tuple(left_out),
    )


def check_places(out: Path, card: Path | None) -> None:
    """Make sure that the results can be written once they are there."""
    from distill.evaluation.teacher_text import put_into

    folder = next((place for place in (out, *out.absolute().parents) if place.exists()), out)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DistillError(f"{folder}: no folder that can be written to; choose another --out")
    if card is None:
        return
    if card.suffix != ".md" or not card.parent.is_dir() or not os.access(card.parent, os.W_OK):
        raise DistillError(
            f"--card {card}: a file that ends in .md, in a folder that can be written to, is needed"
        )
    try:
        put_into(read_card(card), "")
    except DistillError as error:
        raise DistillError(f"{card}: {error}") from error


def read_card(card: Path) -> str:
    """Read a model card, empty where there is none yet."""
    try:
        return card.read_text("utf-8") if card.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise DistillError(f"cannot be read as text ({getattr(error, 'strerror', None) or error})") from error


def open_pictures(
    options: Mapping[str, Any], resolution: int, training: Mapping[str, Any]
) -> TrainingPictures:
    """Read training pictures, averaged down to what is compared, and tell which were held out."""
    import numpy as np

    from distill.evaluation.teacher import LARGEST_SIDE, TrainingPictures
    from distill.evaluation.teacher_measures import averaged
    from distill.training.images import open_images
    from distill.training.pictures import hold_out

    path, side = options["data"], min(resolution, LARGEST_SIDE)
    images = open_images(
        path, resolution=side if path.is_dir() else None, skipped=lambda line: click.echo(line, err=True)
    )
    total, held_out = len(images), None
    if total < 2:
        raise DistillError(f"{path}: {total} picture; at least two are needed to compare with")
    order = np.random.Generator(np.random.Philox(options["seed"])).permutation(total)
    numbers = np.sort(order[: options["pictures"]])
    trained, seed = training.get("training_images"), training.get("seed")
    known = str(training.get("data_digest")) == images.digest
    if known and isinstance(trained, int) and isinstance(seed, int) and 0 < trained <= total:
        held_out = np.isin(numbers, hold_out(total, total - trained, seed)[1])
    parts = np.array_split(numbers, -(-len(numbers) // 64))
    side = min(side, images.resolution)
    pixels = np.concatenate([averaged(images.read(part), side) for part in parts])
    return TrainingPictures(
        name=path.resolve().name, pixels=pixels, numbers=numbers, total=total, held_out=held_out
    )


def print_plan(
    plan: Plan, pictures: TrainingPictures | None, side: int, out: Path, seconds: float, *, as_json: bool
) -> None:
    from distill.timing import clock

    facts: dict[str, Any] = {
        "samples": plan.samples,
        "truncation_psi": plan.truncation_psi,
        "seed": plan.seed,
        "pictures": f"{len(pictures.numbers)} of {pictures.total}" if pictures else "none",
        "compared_at": f"{side} px",
        "faces": plan.faces,
        "left_out": "; ".join(plan.left_out) or "nothing",
        "time_on_one_core": f"about {clock(seconds)}",
        "out": str(out),
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):18} {value}")


def measure(
    generator: Generator,
    about: Mapping[str, Any],
    plan: Plan,
    pictures: TrainingPictures | None,
    work: Mapping[str, float],
    options: Mapping[str, Any],
) -> tuple[Assessment, Drawn]:
    from distill.evaluation.teacher import assess
    from distill.evaluation.teacher_measures import load_look
    from distill.evaluation.teacher_progress import StagedProgress
    from distill.metrics.features import load_features

    device = str(generator.device)
    features = load_features(options["features"], device=device) if pictures else None
    look = load_look(device)
    with StagedProgress(work, quiet=options["as_json"]) as progress:
        return assess(generator, about, plan, pictures, features=features, look=look, watch=progress.blocks)


def report(
    found: Assessment,
    drawn: Drawn,
    generator: Generator,
    pictures: TrainingPictures | None,
    out: Path,
    options: Mapping[str, Any],
) -> None:
    """Write pictures, report and text, and print the main numbers."""
    from distill.evaluation.teacher_pictures import make_pictures
    from distill.evaluation.teacher_text import put_into, section, summary
    from distill.files import atomic_write

    images = make_pictures(found, drawn, generator, pictures if options["show_nearest"] else None)
    command = shlex.join(command_words(options))
    text = json.dumps(found.to_json(), indent=2, ensure_ascii=False)
    files = {
        **images,
        "report.json": f"{text}\n".encode(),
        "assessment.md": section(found, command, grid="samples.png").encode(),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise os_error(error) from error
    for name, content in files.items():
        atomic_write(out / name, content, synced=False)
    if card := options["card"]:
        grid = card.with_suffix(".png")
        atomic_write(grid, images["samples.png"], synced=False)
        atomic_write(
            card, put_into(read_card(card), section(found, command, grid=grid.name)).encode(), synced=False
        )
    if options["as_json"]:
        click.echo(text)
        return
    click.echo(summary(found))
    click.echo(f"{out}: {', '.join(files)}" + (f"; {card} and its picture" if card else ""))


def command_words(options: Mapping[str, Any]) -> list[str]:
    """Write the command again for whoever reads the card, with paths by their last part."""
    words = ["distill", "assess-teacher", Path(options["source"]).name]
    if options["data"]:
        words += ["--data", options["data"].resolve().name, "--pictures", str(options["pictures"])]
    words += ["--samples", str(options["samples"]), "--truncation-psi", f"{options['truncation_psi']:g}"]
    words += ["--seed", str(options["seed"])]
    if options["data"] and options["features"] != "auto":
        kind, equals, _ = options["features"].partition("=")
        words += ["--features", f"{kind}=FILE" if equals else kind]
    if options["faces"] is not None:
        words.append("--faces" if options["faces"] else "--no-faces")
    return words
