"""Directions that are not fitted: a published one, turned and scaled, and those of the factorised style layers."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.directions.file import SUFFIX, Direction, write_direction
from distill.directions.foreign import read_array, rows_of
from distill.directions.look import JUDGED, draw_w, many_w, truncated
from distill.directions.measure import check_stop, find_subjects
from distill.directions.requests import ImportRequest, Note, SefaRequest
from distill.directions.scorers import check_known, told
from distill.directions.sefa import Factor, affine_weights, factorise
from distill.directions.strip import COLUMNS, ROWS, draw_strip, edited
from distill.directions.trial import (
    Tried,
    check_outputs,
    open_generator,
    open_studio,
    output_folders,
    try_and_write,
)
from distill.directions.unit import Floats, in_layers, layer_range, spread, to_unit
from distill.directions.workflow import Found, output_paths, scales_of
from distill.files import atomic_write, path_text
from distill.progress import Progress
from distill.shards.inspect.sheet import png_bytes
from distill.stylegan2.generator import Generator
from distill.weights.checkpoint import file_sha256

DEVIATIONS = "strength in standard deviations of w"
UNIT_SAMPLES = 10_000  # w whose deviation is the unit, where no samples are drawn anyway


@dataclass(frozen=True, kw_only=True)
class Named:
    """A direction's file, its name, and the attribute that it says it moves."""

    path: Path
    name: str
    attribute: str


def import_direction(request: ImportRequest, *, stop: threading.Event, note: Note) -> Tried:
    """Read a published direction, scale it, turn it by the scores of edited faces, and write it.

    Raises DistillError for a file or shape that does not fit, Interrupted when `stop` is set.
    """
    array = read_array(request.file)
    opened = open_studio(request.scored, [request.attribute], request.command)
    generator, attribute, scorer = opened.generator, request.attribute, opened.studio.scorer
    seed = request.scored.drawn.seed
    check_known([attribute], scorer, otherwise="; --no-orient imports it with its own sign and length")
    layers = layer_range(request.layers, generator.num_ws)
    rows = rows_of(array, num_ws=generator.num_ws, w_dim=generator.w_dim, layers=layers)
    paths = output_paths(request.out, opened.stem, [attribute])
    check_outputs(paths.values(), overwrite=request.overwrite)
    with output_folders(paths.values()):
        w_ND = unit_samples(generator, seed)
        vector = to_unit(rows, w_ND)
        facts = {
            **_facts_of_file(request, array, rows),
            "layers": list(layers),
            "deviation": round(spread(w_ND, vector), 6),
            "teacher": opened.teacher.name,
            "scorer": opened.settings["scorer"],
            "seed": seed,
        }
        found = Found(name=f"{opened.stem}-{attribute}", attribute=attribute, vector=vector, facts=facts)
        note(f"trying it on {request.faces} drawn faces")
        subjects = find_subjects(opened.studio, request.faces, seed=seed, stop=stop)
        scales = scales_of(subjects.looked.scores, scorer.kinds, told(scorer, [attribute]))
        return try_and_write(opened, [found], subjects, scales, paths, stop=stop)


def import_as_it_is(request: ImportRequest) -> dict[str, Any]:
    """Write a published direction with its own sign and length, and its picture; return what there is to tell.

    For attributes that no scorer at hand knows: nothing is scored. Raises DistillError for what does not fit.
    """
    array = read_array(request.file)
    drawn = request.scored.drawn
    generator, teacher = open_generator(drawn)
    layers = layer_range(request.layers, generator.num_ws)
    rows = rows_of(array, num_ws=generator.num_ws, w_dim=generator.w_dim, layers=layers)
    [path] = output_paths(request.out, Path(teacher.name).stem, [request.attribute]).values()
    check_outputs([path], overwrite=request.overwrite)
    ws_NLD = truncated(generator, draw_w(generator, drawn.seed, JUDGED, range(ROWS)), drawn.truncation_psi)
    facts = {
        **_facts_of_file(request, array, rows),
        "layers": list(layers),
        "deviation": round(spread(unit_samples(generator, drawn.seed), rows), 6),
        "oriented": False,
        "teacher": teacher.name,
        "truncation_psi": drawn.truncation_psi,
        "seed": drawn.seed,
    }
    named = Named(path=path, name=path.stem, attribute=request.attribute)
    with output_folders([path]):
        _write_with_picture(
            named, rows, facts, generator, ws_NLD,
            unit="strength, 1 as published", note="Its own sign and length: no scorer was asked.",
        )  # fmt: skip
    return {"file": path_text(path, line=False), "attribute": request.attribute, **facts}


def _facts_of_file(request: ImportRequest, array: NDArray[Any], rows: Floats) -> dict[str, Any]:
    sha256 = file_sha256(request.file)[:12]
    return {
        "source": f"{path_text(request.file.name)} (sha256 {sha256}…), shape {list(array.shape)}",
        "length_in_file": round(float(np.linalg.norm(rows, axis=1).max()), 6),
    }


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
    with output_folders(paths), Progress(len(factors), noun="direction", keep=False) as progress:
        for path, factor in zip(paths, factors, strict=True):
            check_stop(stop)
            vector = to_unit(in_layers(factor.vector, generator.num_ws, layers), w_ND)
            facts = _facts_of(factor, layers, spread(w_ND, vector), teacher.name, request)
            named = Named(path=path, name=path.stem, attribute=f"sefa-{path.stem.rpartition('-')[2]}")
            note = f"{facts['share']:.1%} of all eigenvalues; which end is positive means nothing."
            _write_with_picture(named, vector, facts, generator, ws_NLD, unit=DEVIATIONS, note=note)
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


def _write_with_picture(
    named: Named,
    vector: Floats,
    facts: dict[str, Any],
    generator: Generator,
    ws_NLD: Tensor,
    *,
    unit: str,
    note: str,
) -> None:
    images = edited(generator, ws_NLD, vector, COLUMNS)
    strip = draw_strip(images, COLUMNS, title=f"{named.name}: {unit}", note=note)
    direction = Direction(
        name=named.name,
        attribute=named.attribute,
        vector=torch.from_numpy(vector).float(),
        generator_sha256=generator.sha256,
        facts=facts,
    )
    write_direction(named.path, direction)
    atomic_write(named.path.with_suffix(".png"), png_bytes(strip))
