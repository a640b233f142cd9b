"""`distill plot`: the losses and scores of training runs as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from distill.cli import options


@click.command("plot", short_help="Draw the losses and scores of training runs.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=options.PATH)
@click.option("--out", type=options.FILE, help="A .png, .svg or .pdf.  [default: of one run: RUN/curves.png]")
@click.option(
    "--only", metavar="NAME,…", default="", help="Numbers to draw, or the beginnings of their names."
)
@click.option("--smooth", type=options.COUNT, default=1, show_default=True,
              help="Draw means of so many values, the raw ones faint behind them.")  # fmt: skip
@click.option("--log", is_flag=True, help="Logarithmic, where all values are positive.")
@options.overwrite
def plot(
    runs: tuple[Path, ...], out: Path | None, only: str, smooth: int, log: bool, overwrite: bool
) -> None:
    """Draw a panel for each number in a run's stats.jsonl, whichever trainer wrote it; several runs together.

    A run that is still going on can be drawn too. Nothing is smoothed unless --smooth asks for it.

    \b
    distill plot runs/student
    distill plot runs/a runs/b --only l1,ssim,loss --out compared.png
    """
    from distill.files import check_file, path_text, write_result
    from distill.training.curves import FORMATS, draw_curves, read_curves

    curves = [read_curves(run) for run in runs]
    if out is None:
        if len(runs) > 1:
            raise click.UsageError(f"{len(runs)} runs in one picture: say where it goes with --out FILE.png")
        out, overwrite = (runs[0] if runs[0].is_dir() else runs[0].parent) / "curves.png", True
    if out.suffix.lower() not in FORMATS:
        raise click.UsageError(f"--out {out}: the name must end in {', '.join(FORMATS)}")
    check_file(out, overwrite=overwrite)
    wishes = [name for name in (part.strip() for part in only.split(",")) if name]
    form = out.suffix.lower().removeprefix(".")
    write_result(out, draw_curves(curves, only=wishes, smooth=smooth, log=log, form=form))
    for run, found in zip(runs, curves, strict=True):
        if found.broken:
            click.echo(f"{path_text(run)}: {found.broken} of its lines are broken and left out", err=True)
    click.echo(path_text(out))
