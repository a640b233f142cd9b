"""`distill translate`: run a student on a person's own photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.cli.align import print_skips, reason_counts
from distill.errors import NothingWorked
from distill.progress import plural

if TYPE_CHECKING:
    from distill.editing.translate import Translated, Translator
    from distill.faces.detection import FaceDetector
    from distill.faces.photos import Skipped


@click.command("translate")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model",
    required=True,
    metavar="RUN|FILE",
    type=click.Path(path_type=Path),
    help="A run of distill train-pix2pix, a .safetensors file or a published pix2pixHD generator (*_net_G.pth).",
)
@click.option(
    "--style",
    metavar="IMAGE",
    type=click.Path(path_type=Path),
    help="The second face, for students of two inputs (6 channels), as those of style-mix are.",
)
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Where the PNGs go."
)
@click.option(
    "--size",
    type=click.IntRange(16, 2048),
    help="Side of the student's images in pixels.  [default: what it was trained at, else 256]",
)
@click.option("--paste-back", is_flag=True, help="Also blend the result into the photo: DIR/pasted/NAME.png.")
@click.option(
    "--all-faces", is_flag=True, help="Every face of a photo, as NAME_01.png, … from the largest on."
)
@click.option(
    "--face-index",
    metavar="K",
    type=click.IntRange(min=0),
    help="The K-th face in order of size instead of the largest (0).",
)
@click.option(
    "--batch", default=8, show_default=True, type=click.IntRange(1, 1024), help="Faces translated at a time."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON report instead of text.")
def translate(photos: tuple[Path, ...], out: Path, as_json: bool, **options: Any) -> None:
    """Turn the face of each of PHOTOS (files and folders) into what a student makes of it, as DIR/NAME.png.

    A face is found, turned upright and cut out as by `distill align`. DIR/compare holds inputs and output side by
    side, DIR/sheet.png all of them together. Photos without a face are skipped and counted.
    """
    if options["all_faces"] and options["face_index"] is not None:
        raise click.UsageError("--all-faces and --face-index exclude each other")
    from distill.editing.translate import Translated
    from distill.faces.photos import Skipped, find_photos, photo_detector

    files = find_photos(photos, out)
    detector = photo_detector(all_faces=options["all_faces"])
    landmarks_sha256 = detector.landmarks_sha256  # a missing model shows before the first photo
    ready = _translator(**options)
    trained = ready.student.facts.resolution
    if trained not in (None, ready.size):
        click.echo(f"note: the student was trained at {trained} px and now runs at {ready.size}", err=True)
    results = _results(files, out, ready, detector, **options)
    done = [result for result in results if isinstance(result, Translated)]
    skips = [result for result in results if isinstance(result, Skipped)]
    if as_json:
        report = _report(ready, results, out)
        click.echo(json.dumps({**report, "landmarks_sha256": landmarks_sha256}, indent=2))
    else:
        _print_summary(ready, done, skips, len(files), out)
    if not done:
        raise NothingWorked(
            f"none of {len(files)} photos gave a face ({reason_counts(skips)}); nothing written to {out}"
        )


def _translator(
    *, model: Path, style: Path | None, size: int | None, batch: int, device: str, precision: Any, **_: Any
) -> Translator:
    from distill.editing.translate import translator
    from distill.faces.photos import photo_detector
    from distill.networks.student import load_student

    student = load_student(model, device=device, precision=precision)
    return translator(student, style=style, size=size, batch=batch, detector=photo_detector())


def _results(
    files: list[Path],
    out: Path,
    ready: Translator,
    detector: FaceDetector,
    *,
    paste_back: bool,
    all_faces: bool,
    face_index: int | None,
    **_: Any,
) -> list[Translated | Skipped]:
    from distill.editing.translate import translate_photos
    from distill.progress import Progress

    outcomes = translate_photos(
        files, out, ready, detector, paste=paste_back, all_faces=all_faces, face_index=face_index or 0
    )
    results: list[Translated | Skipped] = []
    with Progress(len(files), noun="photo", keep=False) as progress:
        for outcome in outcomes:
            results += outcome
            progress.advance()
    return results


def _print_summary(
    ready: Translator, done: list[Translated], skips: list[Skipped], photos: int, out: Path
) -> None:
    if done:
        used = len({result.photo for result in done})
        how = f"{ready.size}×{ready.size}, {ready.student.device.type}, {ready.student.precision}"
        click.echo(
            f"translated {plural(len(done), 'face')} from {used} of {plural(photos, 'photo')} ({how}) "
            f"into {click.format_filename(out)}; all on one sheet: {click.format_filename(out / 'sheet.png')}"
        )
    print_skips(skips)


def _report(ready: Translator, results: list[Translated | Skipped], out: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from distill.faces.photos import Skipped, count_reasons

    skips = [result for result in results if isinstance(result, Skipped)]
    done = len(results) - len(skips)
    student = ready.student
    return {
        "model": str(student.path),
        "facts": asdict(student.facts),
        "inputs": ready.roles,
        "size": ready.size,
        "device": student.device.type,
        "precision": student.precision,
        "sheet": str(out / "sheet.png") if done else None,
        "translated": done,
        "skipped": count_reasons(skips),
        "results": [result.to_json() for result in results],
    }
