"""`distill blend`: the coarse layers of one generator and the fine ones of another."""

from __future__ import annotations

import json
from pathlib import Path

import click

from distill.cli import options


@click.command()
@click.option(
    "--low", required=True, type=options.TEXT, metavar="NAME|FILE", help="Generator of the coarse layers."
)
@click.option(
    "--high", required=True, type=options.TEXT, metavar="NAME|FILE", help="Generator of the fine layers."
)
@click.option(
    "--at", required=True, type=int, metavar="PX", help="Layers of this resolution and up come from --high."
)
@click.option(
    "--width",
    type=options.POSITIVE,
    help="Change over softly; the larger, the softer.",
)
@click.option("--out", required=True, type=options.FILE, help="The .safetensors file to write.")
@options.overwrite
@options.as_json
def blend(
    low: str, high: str, at: int, width: float | None, out: Path, overwrite: bool, as_json: bool
) -> None:
    """Put two generators of one shape together: shapes of the first, textures of the second, or the other way round.

    It makes sense of a generator and one fine-tuned from it (distill train-stylegan2 --child), or of two such. The
    mapping and the mean of w are those of --low: its latents draw the same faces, in other hands. With --width the
    change is soft, and halfway at half of --at.

    \b
    distill blend --low portraits --high runs/drawings/generator.safetensors --at 32
        --out toon.safetensors
    distill blend --low runs/drawings/generator.safetensors --high portraits --at 16 --width 1
        --out real.safetensors
    """
    from distill.files import path_text
    from distill.stylegan2 import blend as blending

    if out.suffix != ".safetensors":
        raise click.UsageError(f"--out {out}: the name must end in .safetensors")
    found = blending.blend(low, high, at=at, out=out, width=width, overwrite=overwrite)
    options.tell([found.warning] if found.warning else [])
    if as_json:
        click.echo(
            json.dumps({"path": str(found.path), "sha256": found.sha256, "shares_of_high": found.shares})
        )
        return
    shares = ", ".join(
        f"{size} px {first:.3g} {second:.3g}" for size, (first, second) in found.shares.items()
    )
    click.echo(f"{path_text(found.path)}: share of --high by layer: {shares}")
