"""From samples and drawn faces to directions that are fitted, oriented, judged and written."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distill.attributes.protocol import Kind
from distill.directions.file import Direction, read_direction
from distill.directions.fit import CONFIDENCE, fit, judge
from distill.directions.look import Studio
from distill.directions.measure import Curve, Subjects, measure
from distill.directions.samples import Samples, check_faces
from distill.directions.summary import Scale, movements, recommended, rises, scale_of, summary
from distill.directions.unit import Floats, in_layers, orthogonal, spread, to_unit
from distill.errors import DistillError
from distill.stylegan2.generator import Generator

Facts = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class FitPlan:
    """What to fit: attributes by their scores' names; `orthogonal_to`: such names, files, or shipped ones."""

    attributes: Sequence[str]
    kinds: Mapping[str, Kind]
    method: str = "auto"
    layers: tuple[int, int]
    orthogonal_to: Sequence[str] = ()
    confidence: float = CONFIDENCE
    seed: int = 0
    scorer: str = "builtin"


@dataclass(frozen=True, kw_only=True)
class Found:
    """A direction [L, D] for an attribute (None: without one) before it is judged, with the facts of its making."""

    name: str
    attribute: str | None
    vector: Floats
    facts: Facts


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A direction that was tried on drawn faces: its curve and what that comes to as plain values."""

    direction: Direction
    curve: Curve
    drawn: Facts


def fit_directions(
    plan: FitPlan, samples: Samples, w_ND: Floats, generator: Generator, teacher: str
) -> list[Found]:
    """Fit every attribute of a plan to samples and their w [N, D], in units of the deviation of w.

    Raises DistillError for what cannot be fitted, and for directions of another generator or shape.
    """
    fits = {
        name: _fitted(name, plan, samples, w_ND)
        for name in dict.fromkeys((*plan.attributes, *plan.orthogonal_to))
        if name in samples.scores
    }
    raw = {name: in_layers(normal, generator.num_ws, plan.layers) for name, (normal, _) in fits.items()}
    for name in plan.orthogonal_to:
        if name not in raw:
            raw[name] = named_vector(name, generator, teacher)
    return [_finished(name, plan, raw, fits[name][1], samples, w_ND, teacher) for name in plan.attributes]


def named_vector(name: str, generator: Generator, teacher: str) -> Floats:
    """Return a direction [L, D] out of a file or by name. Raises DistillError where it does not fit."""
    direction = read_direction(name, generator=teacher)
    direction.check_fits(num_ws=generator.num_ws, w_dim=generator.w_dim, generator_sha256=generator.sha256)
    return np.asarray(direction.vector.double().numpy())


def judge_direction(
    found: Found,
    studio: Studio,
    subjects: Subjects,
    scales: Mapping[str, Scale],
    *,
    stop: threading.Event,
    progress: Callable[[int], None] = lambda pictures: None,
) -> Judged:
    """Edit drawn faces, and turn the direction round where that lowers its attribute's score.

    Raises DistillError where no edited face could be scored, Interrupted when `stop` is set.
    """
    curve = measure(studio, found.vector, subjects, stop=stop, progress=progress)
    vector, facts = found.vector, dict(found.facts)
    if found.attribute is not None:
        slope = rises(curve, found.attribute)
        if not np.isfinite(slope):
            raise DistillError(
                f"{found.name}: no face is left at strengths up to 2, so its sign cannot be told; take fewer --layers"
            )
        facts["turned"] = slope < 0
        if slope < 0:
            vector, curve = -vector, curve.turned()
        facts["recommended_strength"], facts["recommended_share"] = recommended(
            curve, found.attribute, scales
        )
    facts["movement"] = movements(curve, scales)
    direction = Direction(
        name=found.name,
        attribute=found.attribute or found.name,
        vector=torch.from_numpy(vector).float(),
        generator_sha256=studio.generator.sha256,
        facts=facts | {"judged_faces": len(subjects.ws), "truncation_psi": studio.truncation_psi},
    )
    return Judged(direction=direction, curve=curve, drawn=summary(curve, found.attribute, scales))


def scales_of(
    scores: Mapping[str, NDArray[Any]], kinds: Mapping[str, Kind], names: Sequence[str]
) -> dict[str, Scale]:
    """Read the scale of each score off many samples."""
    return {name: scale_of(name, scores[name], kinds[name]) for name in names}


def cosines(directions: Sequence[Direction]) -> list[list[float]]:
    """Return the cosine between every two directions, as vectors in w+."""
    rows = np.stack([direction.vector.double().numpy().ravel() for direction in directions])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [[round(float(value), 4) for value in row] for row in rows @ rows.T]


def output_paths(asked: str | None, teacher: str, attributes: Sequence[str]) -> dict[str, Path]:
    """Return the file of each attribute's direction.

    `asked` is a .safetensors file (one attribute), a folder that exists or ends in "/", or a name: NAME.safetensors,
    with several attributes NAME-ATTRIBUTE.safetensors. None: directions/TEACHER-ATTRIBUTE.safetensors.
    """
    suffix, stem = ".safetensors", teacher.removesuffix(".safetensors").removesuffix(".pkl")
    out = Path(asked or "directions")
    if not asked or asked.endswith(("/", os.sep)) or out.is_dir():
        return {name: out / f"{stem}-{name}{suffix}" for name in attributes}
    if out.suffix == suffix and len(attributes) > 1:
        raise DistillError(f"--out {out}: one file holds one direction; for {len(attributes)} name a folder")
    if len(attributes) == 1:
        return {attributes[0]: out if out.suffix == suffix else out.with_name(out.name + suffix)}
    return {name: out.with_name(f"{out.name}-{name}{suffix}") for name in attributes}


def _fitted(name: str, plan: FitPlan, samples: Samples, w_ND: Floats) -> tuple[Floats, Facts]:
    """Return the unit normal [D] of one attribute and the facts of its fit."""
    known = np.isfinite(samples.scores[name])
    check_faces(known)
    fitted = fit(
        w_ND[known],
        samples.scores[name][known],
        name,
        kind=plan.kinds[name],
        method=plan.method,
        confidence=plan.confidence,
    )
    return fitted.normal, {"method": fitted.method, **fitted.facts}


def _finished(
    name: str,
    plan: FitPlan,
    raw: Mapping[str, Floats],
    facts: Facts,
    samples: Samples,
    w_ND: Floats,
    teacher: str,
) -> Found:
    """Take the other directions out of one, measure its unit, and ask the held-out faces."""
    others = {other: raw[other] for other in plan.orthogonal_to if other != name}
    vector = orthogonal(raw[name], others) if others else raw[name]
    known = np.isfinite(samples.scores[name])
    seen = judge(
        w_ND[known],
        samples.scores[name][known],
        vector.sum(axis=0),
        kind=plan.kinds[name],
        confidence=plan.confidence,
    )
    vector = to_unit(vector, w_ND)
    made = {
        "layers": list(plan.layers),
        "samples": len(samples.found),
        "orthogonal_to": list(others),
        "held_out": seen,
        "deviation": round(spread(w_ND, vector), 6),
        "teacher": teacher,
        "scorer": plan.scorer,
        "seed": plan.seed,
    }
    return Found(name=f"{Path(teacher).stem}-{name}", attribute=name, vector=vector, facts=facts | made)
