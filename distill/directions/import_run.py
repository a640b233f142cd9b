"""Directions that are not fitted: a published one, turned and scaled, and those of the factorised style layers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.directions.file import SUFFIX, Direction, write_direction
from distill.directions.foreign import read_array, rows_of
from distill.directions.look import JUDGED, draw_w, many_w, truncated
from distill.directions.measure import check_stop, find_subjects
from distill.directions.requests import ImportRequest, Note, SefaRequest
from distill.directions.scorers import check_known, told
from distill.directions.sefa import Factor, affine_weights, factorise
from distill.directions.strip import COLUMNS, ROWS, draw_strip, edited
from distill.directions.trial import Tried, check_outputs, open_generator, open_studio, try_and_write
from distill.directions.unit import Floats, in_layers, layer_range, spread, to_unit
from distill.directions.workflow import Found, output_paths, scales_of
from distill.files import atomic_write
from distill.progress import Progress
from distill.shards.inspect.sheet import png_bytes
from distill.stylegan2.generator import Generator
from distill.weights.checkpoint import file_sha256

UNIT_SAMPLES = 10_000  # w whose deviation is the unit, where no samples are drawn anyway


def import_direction(request: ImportRequest, *, stop: threading.Event, note: Note) -> Tried:
    """Read a published direction, scale it, turn it by the scores of edited faces, and write it.

    Raises DistillError for a file or shape that does not fit, Interrupted when `stop` is set.
    """
    array = read_array(request.file)
    opened = open_studio(request.scored, request.command)
    generator, attribute, scorer = opened.generator, request.attribute, opened.studio.scorer
    seed = request.scored.drawn.seed
    check_known([attribute], scorer)
    layers = layer_range(request.layers, generator.num_ws)
    rows = rows_of(array, num_ws=generator.num_ws, w_dim=generator.w_dim, layers=layers)
    paths = output_paths(request.out, opened.stem, [attribute])
    check_outputs(list(paths.values()), overwrite=request.overwrite)
    w_ND = unit_samples(generator, seed)
    vector = to_unit(rows, w_ND)
    facts = {
        "source": f"{request.file.name} (sha256 {file_sha256(request.file)[:12]}…), shape {list(array.shape)}",
        "layers": list(layers),
        "deviation": round(spread(w_ND, vector), 6),
        "length_in_file": round(float(np.linalg.norm(rows, axis=1).max()), 6),
        "teacher": opened.teacher.name,
        "scorer": opened.settings["scorer"],
        "seed": seed,
    }
    found = Found(name=f"{opened.stem}-{attribute}", attribute=attribute, vector=vector, facts=facts)
    note(f"trying it on {request.faces} drawn faces")
    subjects = find_subjects(opened.studio, request.faces, seed=seed, stop=stop)
    scales = scales_of(subjects.looked.scores, scorer.kinds, told(scorer, [attribute]))
    return try_and_write(opened, [found], subjects, scales, paths, stop=stop)


def factorise_styles(request: SefaRequest, *, stop: threading.Event) -> list[dict[str, Any]]:
    """Factorise the style layers, write each direction with its picture; return the facts of each.

    Raises Interrupted when `stop` is set.
    """
    generator, teacher = open_generator(request.drawn)
    layers = layer_range(request.layers, generator.num_ws)
    factors = factorise(affine_weights(generator.network.synthesis, layers), request.count)
    stem, seed = Path(teacher.name).stem, request.drawn.seed
    paths = [request.out / f"{stem}-sefa-{k:02d}{SUFFIX}" for k in range(1, len(factors) + 1)]
    check_outputs(paths, overwrite=request.overwrite)
    w_ND = unit_samples(generator, seed)
    ws_NLD = truncated(generator, draw_w(generator, seed, JUDGED, range(ROWS)), request.drawn.truncation_psi)
    done = []
    with Progress(len(factors), noun="direction", keep=False) as progress:
        for path, factor in zip(paths, factors, strict=True):
            check_stop(stop)
            vector = to_unit(in_layers(factor.vector, generator.num_ws, layers), w_ND)
            facts = _facts_of(factor, layers, spread(w_ND, vector), teacher.name, request)
            _write_factor(path, vector, facts, generator, ws_NLD)
            done.append({"file": str(path), **facts})
            progress.advance()
    return done


def unit_samples(generator: Generator, seed: int) -> Floats:
    """Return w [N, D] whose deviation is the unit of strength."""
    return np.asarray(many_w(generator, seed, UNIT_SAMPLES).double().numpy())


def _facts_of(
    factor: Factor, layers: tuple[int, int], deviation: float, teacher: str, request: SefaRequest
) -> dict[str, Any]:
    return {
        "source": f"factorised style layers, eigenvalue {factor.eigenvalue:.4g}",
        "layers": list(layers),
        "eigenvalue": factor.eigenvalue,
        "share": round(factor.share, 6),
        "deviation": round(deviation, 6),
        "teacher": teacher,
        "truncation_psi": request.drawn.truncation_psi,
        "seed": request.drawn.seed,
    }


def _write_factor(
    path: Path, vector: Floats, facts: dict[str, Any], generator: Generator, ws_NLD: Tensor
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
