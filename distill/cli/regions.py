"""`distill regions`: which parts of its pictures a generator knows."""

from __future__ import annotations

import json
from pathlib import Path

import click

from distill.cli import options


@click.command("regions")
@click.argument("generator", metavar="GENERATOR", type=options.TEXT)
@click.option(
    "--out", required=True, metavar="FILE", type=options.FILE, help="The .safetensors file to write."
)
@options.seed
@options.device
@options.overwrite
@options.as_json
def regions(generator: str, out: Path, seed: int, device: str, overwrite: bool, as_json: bool) -> None:
    """Find the regions of the faces that GENERATOR (a name, file or URL) draws: hair, background, clothes and more.

    Clusters of the generator's activations are named by the landmarks of the faces and by their place. FILE belongs
    to this generator alone. A picture beside it, FILE with the ending .png, shows every region of 16 samples.

    \b
    distill regions portraits --out regions/portraits.safetensors
    distill regions runs/faces/generator.safetensors --out regions/faces.safetensors
    """
    from distill.faces.regions.run import RegionsRequest, make_regions
    from distill.progress import Progress

    request = RegionsRequest(generator=generator, out=out, seed=seed, device=device, overwrite=overwrite)
    found = make_regions(request, lambda samples: Progress(samples, noun="sample", keep=False))
    click.echo(json.dumps(found.to_json(), indent=2) if as_json else "\n".join(found.lines()))
