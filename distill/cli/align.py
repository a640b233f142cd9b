"""`distill align`: cut the faces out of a person's own photos as the generators frame them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from distill.errors import NothingWorked

if TYPE_CHECKING:
    from distill.faces.photos import Aligned, Skipped


@click.command("align")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Where the PNGs go."
)
@click.option(
    "--size",
    default=256,
    show_default=True,
    type=click.IntRange(16, 2048),
    help="Side of the output in pixels.",
)
@click.option(
    "--mode",
    default="ffhq",
    show_default=True,
    type=click.Choice(["ffhq", "chip"]),
    help="ffhq: what face generators and students expect. chip: dlib's tighter get_face_chip.",
)
@click.option(
    "--all-faces", is_flag=True, help="Every face of a photo, as NAME_01.png, … from the largest on."
)
@click.option(
    "--face-index",
    metavar="K",
    type=click.IntRange(min=0),
    help="The K-th face in order of size instead of the largest (0).",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON report instead of text.")
def align(
    photos: tuple[Path, ...],
    out: Path,
    size: int,
    mode: Literal["ffhq", "chip"],
    all_faces: bool,
    face_index: int | None,
    as_json: bool,
) -> None:
    """Find the face in each of PHOTOS (files and folders), turn it upright and cut it out as DIR/NAME.png.

    What gave no face is listed with its reason. The 68-point landmark model was trained on iBUG 300-W, whose
    licence excludes commercial use; $DISTILL_LANDMARKS names a model of your own.
    """
    if all_faces and face_index is not None:
        raise click.UsageError("--all-faces and --face-index exclude each other")
    from tqdm import tqdm

    from distill.faces.photos import Aligned, Skipped, align_photos, find_photos, photo_detector

    files = find_photos(photos, out)
    detector = photo_detector(all_faces=all_faces)
    landmarks_sha256 = detector.landmarks_sha256  # a missing model shows before the first photo
    outcomes = align_photos(
        files, out, detector, size=size, mode=mode, all_faces=all_faces, face_index=face_index or 0
    )
    progress = tqdm(outcomes, total=len(files), unit="photo", disable=None, leave=False)
    results = [result for outcome in progress for result in outcome]
    done = [result for result in results if isinstance(result, Aligned)]
    skips = [result for result in results if isinstance(result, Skipped)]
    if as_json:
        click.echo(_report(results, done, skips, size=size, mode=mode, landmarks_sha256=landmarks_sha256))
    else:
        _print_summary(done, skips, len(files), out, f"{size}×{size}, {mode}")
    if not done:
        raise NothingWorked(
            f"none of {len(files)} photos gave a face ({reason_counts(skips)}); nothing written to {out}"
        )


def _print_summary(done: list[Aligned], skips: list[Skipped], photos: int, out: Path, how: str) -> None:
    if done:
        used = len({result.photo for result in done})
        faces = "1 face" if len(done) == 1 else f"{len(done)} faces"
        click.echo(
            f"aligned {faces} from {used} of {photos} photos ({how}) into {click.format_filename(out)}"
        )
    print_skips(skips)


def print_skips(skips: list[Skipped]) -> None:
    """Print what was skipped: the count of each reason, then each photo."""
    if skips:
        click.echo(f"skipped {len(skips)}: {reason_counts(skips)}")
    for skip in sorted(skips, key=lambda skip: skip.reason):
        click.echo(f"  {skip.reason}: {click.format_filename(skip.photo)} ({skip.detail})")


def _report(
    results: list[Aligned | Skipped],
    done: list[Aligned],
    skips: list[Skipped],
    *,
    size: int,
    mode: str,
    landmarks_sha256: str,
) -> str:
    from distill.faces.photos import count_reasons

    report = {
        "size": size,
        "mode": mode,
        "landmarks_sha256": landmarks_sha256,
        "aligned": len(done),
        "skipped": count_reasons(skips),
        "results": [result.to_json() for result in results],
    }
    return json.dumps(report, indent=2)


def reason_counts(skips: list[Skipped]) -> str:
    """Write each reason with its count."""
    from distill.faces.photos import count_reasons

    return ", ".join(f"{reason} {count}" for reason, count in count_reasons(skips).items())
