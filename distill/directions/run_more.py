"""How `distill directions import` and `sefa` run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from distill.cli.signals import stop_on_signals
from distill.directions.file import SUFFIX, Direction, write_direction
from distill.directions.foreign import read_array, rows_of
from distill.directions.look import JUDGED, draw_w, many_w, truncated
from distill.directions.measure import check_stop, find_subjects
from distill.directions.run import (
    check_outputs,
    judge_all,
    open_generator,
    open_studio,
    show_all,
    write_all,
)
from distill.directions.scorers import check_known, told
from distill.directions.sefa import Factor, affine_weights, factorise
from distill.directions.strip import COLUMNS, ROWS, draw_strip, edited
from distill.directions.unit import Floats, in_layers, layer_range, spread, to_unit
from distill.directions.workflow import Found, output_paths, scales_of
from distill.files import atomic_write
from distill.progress import Progress
from distill.shards.inspect.sheet import png_bytes
from distill.stylegan2.generator import Generator
from distill.weights.checkpoint import file_sha256

UNIT_SAMPLES = 10_000  # w whose deviation is the unit, where no samples are drawn anyway


def run_import(file: Path, options: Mapping[str, Any], command: str, *, as_json: bool) -> None:
    """Read, scale, turn by the scores of edited faces, write and show."""
    array = read_array(file)
    opened = open_studio(options, command)
    generator, attribute, scorer = opened.generator, options["attribute"], opened.studio.scorer
    check_known([attribute], scorer)
    layers = layer_range(options["layers"], generator.num_ws)
    rows = rows_of(array, num_ws=generator.num_ws, w_dim=generator.w_dim, layers=layers)
    paths = output_paths(options["out"], opened.stem, [attribute])
    check_outputs(list(paths.values()), overwrite=options["overwrite"])
    w_ND = unit_samples(generator, options["seed"])
    vector = to_unit(rows, w_ND)
    facts = {
        "source": f"{file.name} (sha256 {file_sha256(file)[:12]}…), shape {list(array.shape)}",
        "layers": list(layers),
        "deviation": round(spread(w_ND, vector), 6),
        "length_in_file": round(float(np.linalg.norm(rows, axis=1).max()), 6),
        "teacher": opened.teacher.name,
        "scorer": opened.settings["scorer"],
        "seed": options["seed"],
    }
    found = Found(name=f"{opened.stem}-{attribute}", attribute=attribute, vector=vector, facts=facts)
    with stop_on_signals() as stop:
        click.echo(f"trying it on {options['faces']} drawn faces", err=True)
        subjects = find_subjects(opened.studio, options["faces"], seed=options["seed"], stop=stop)
        scores = subjects.looked.scores
        scales = scales_of(scores, scorer.kinds, told(scorer, [attribute]))
        judged = judge_all(opened, [found], subjects, scales, stop)
        write_all(opened, judged, paths, subjects, scales)
    show_all(judged, paths, as_json=as_json)


def run_sefa(options: Mapping[str, Any], *, as_json: bool) -> None:
    """Factorise, scale, draw and write."""
    generator, teacher = open_generator(options)
    layers = layer_range(options["layers"], generator.num_ws)
    factors = factorise(affine_weights(generator.network.synthesis, layers), options["count"])
    stem, out = Path(teacher.name).stem, options["out"]
    paths = [out / f"{stem}-sefa-{k:02d}{SUFFIX}" for k in range(1, len(factors) + 1)]
    check_outputs(paths, overwrite=options["overwrite"])
    w_ND = unit_samples(generator, options["seed"])
    ws_NLD = truncated(
        generator, draw_w(generator, options["seed"], JUDGED, range(ROWS)), options["truncation_psi"]
    )
    done = []
    with stop_on_signals() as stop, Progress(len(factors), noun="direction", keep=False) as progress:
        for path, factor in zip(paths, factors, strict=True):
            check_stop(stop)
            vector = to_unit(in_layers(factor.vector, generator.num_ws, layers), w_ND)
            facts = _facts_of(factor, layers, spread(w_ND, vector), teacher.name, options)
            _write_factor(path, vector, facts, generator, ws_NLD)
            done.append({"file": str(path), **facts})
            progress.advance()
    if as_json:
        click.echo(json.dumps(done, indent=2))
        return
    for one in done:
        click.echo(f"{one['file']}  eigenvalue {one['eigenvalue']:.4g} ({one['share']:.1%} of all)")
    click.echo("what each does is in the picture (.png) beside it")


def unit_samples(generator: Generator, seed: int) -> Floats:
    """Return w [N, D] whose deviation is the unit of strength."""
    return np.asarray(many_w(generator, seed, UNIT_SAMPLES).double().numpy())


def _facts_of(
    factor: Factor, layers: tuple[int, int], deviation: float, teacher: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "source": f"factorised style layers, eigenvalue {factor.eigenvalue:.4g}",
        "layers": list(layers),
        "eigenvalue": factor.eigenvalue,
        "share": round(factor.share, 6),
        "deviation": round(deviation, 6),
        "teacher": teacher,
        "truncation_psi": options["truncation_psi"],
        "seed": options["seed"],
    }


def _write_factor(
    path: Path, vector: Floats, facts: dict[str, Any], generator: Generator, ws_NLD: torch.Tensor
) -> None:
    strip = draw_strip(
        edited(generator, ws_NLD, vector, COLUMNS),
        COLUMNS,
        title=f"{path.stem}: strength in standard deviations of w",
        note=f"{facts['share']:.1%} of all eigenvalues; which end is positive means nothing.",
    )
    direction = Direction(
        name=path.stem,
        attribute=f"sefa-{path.stem.rpartition('-')[2]}",
        vector=torch.from_numpy(vector).float(),
        generator_sha256=generator.sha256,
        facts=facts,
    )
    write_direction(path, direction)
    atomic_write(path.with_suffix(".png"), png_bytes(strip))
