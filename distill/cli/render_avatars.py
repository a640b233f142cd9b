"""`distill render-avatars`: a file of drawn faces, with what is drawn as labels."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

SAMPLE = 16  # avatars that a dry run draws to tell the time


@click.command("render-avatars")
@click.option(
    "--style", default="toon-head", show_default=True, help="A DiceBear style; a wrong name lists all."
)
@click.option("--n", required=True, type=click.IntRange(1, 10_000_000), help="How many avatars.")
@click.option(
    "--out", required=True, metavar="FILE.h5", type=click.Path(path_type=Path), help="The file to write."
)
@click.option(
    "--resolution", default=64, show_default=True, help="Side in pixels, a power of two from 4 to 1024."
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Another seed, other avatars."
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes; by default one a core for many avatars."
)
@click.option("--overwrite", is_flag=True, help="Replace FILE.h5.")
@click.option("--dry-run", is_flag=True, help="Check everything, draw a few, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON report instead of text.")
def render_avatars(
    style: str,
    n: int,
    out: Path,
    resolution: int,
    seed: int,
    workers: int | None,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Draw N avatars and write them to FILE.h5: offline, the same for the same seed, with their attributes.

    Needs distill[avatars]. Each style has its own licence; it is printed, and recorded in the file.
    """
    from distill.cli.signals import stop_on_signals
    from distill.parallel import default_workers
    from distill.progress import Progress
    from distill.shards.images.avatars import licence_of, render
    from distill.shards.images.layout import check_resolution
    from distill.shards.images.write import check_output

    check_resolution(resolution)
    licence = licence_of(style)
    check_output(out, overwrite=overwrite, images=n, resolution=resolution)
    workers = workers or default_workers(n, 500)
    report: dict[str, Any] = {
        "style": style,
        "n": n,
        "resolution": resolution,
        "seed": seed,
        "workers": workers,
    }
    report |= {"out": str(out), "licence": licence.name, "attribution": licence.attribution}
    if dry_run:
        report |= {"bytes": n * 3 * resolution**2, "seconds": _estimate(style, n, resolution, workers)}
    else:
        with stop_on_signals() as stop, Progress(n, noun="picture", keep=False) as progress:
            written = render(
                style,
                n,
                out,
                resolution=resolution,
                seed=seed,
                stop=stop,
                workers=workers,
                progress=progress.advance,
            )
        report |= {"bytes": written.bytes, "seconds": round(progress.seconds, 1), "sha256": written.sha256}
    click.echo(json.dumps(report, indent=2, ensure_ascii=False) if as_json else _text(report))


def _estimate(style: str, n: int, resolution: int, workers: int) -> float:
    from distill.shards.images.avatars import draw

    draw(style, "warm-up", resolution)
    started = time.perf_counter()
    for index in range(SAMPLE):
        draw(style, f"sample-{index}", resolution)
    return round((time.perf_counter() - started) / SAMPLE * n / workers, 1)


def _text(report: dict[str, Any]) -> str:
    from distill.timing import clock

    size = f"{report['resolution']}×{report['resolution']}"
    what = f"{report['n']} {report['style']} avatars, {size}"
    megabytes = f"{report['bytes'] / 1e6:.1f} MB"
    if "sha256" in report:
        rate = report["n"] / max(report["seconds"], 0.1)
        lines = [f"{what} → {report['out']} ({megabytes}, {rate:.0f} a second)", f"sha256 {report['sha256']}"]
    else:
        took = clock(report["seconds"])
        lines = [f"{what} → {megabytes} in {report['out']}: about {took} with {report['workers']} workers"]
    lines.append(f"licence {report['licence']}: {report['attribution']}")
    return "\n".join(lines if "sha256" in report else [*lines, "dry run: nothing was written"])
