"""From the numbers that were read to the measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distill import __version__
from distill.devices import be_reproducible
from distill.evaluation.generator_metrics import names
from distill.evaluation.generator_metrics.names import FID, KID, LS, PR, Metric, at_psi
from distill.evaluation.generator_metrics.plan import MetricsRun
from distill.evaluation.generator_metrics.readers import Floats, Reader
from distill.evaluation.generator_metrics.sources import sample_latents
from distill.evaluation.training_pictures import chosen_numbers
from distill.metrics.frechet import frechet_distance, moments
from distill.metrics.kernel import MOST as SUBSET
from distill.metrics.kernel import subset_distances
from distill.metrics.manifold import Manifolds, compare_manifolds
from distill.metrics.path_length import KINDS, PathLength, forms_differ, mean_path_length
from distill.metrics.separability import Separation, select_surest, separability_score, separate
from distill.networks.efficientnet_lite import NAME as LITE0

MAPPED = 4096  # latents that are mapped at once


@dataclass(frozen=True, kw_only=True)
class MetricResult:
    """One number. `base`: its name without the ψ, by which it stands in a row. `error`: of KID the spread of the
    subsets, of a path length the standard error. `flattering`: the generator was taught by these very features."""

    name: str
    base: str
    value: float
    psi: float = 1.0
    error: float | None = None
    samples: int
    pictures: int | None = None
    features: str
    features_sha256: str
    higher_is_better: bool = False
    flattering: bool = False


@dataclass(frozen=True, kw_only=True)
class AttributeSeparation:
    """How well planes separate one attribute in z and in w, and over how many samples: the surest half."""

    attribute: str
    samples: int
    z: Separation
    w: Separation


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """All results, and what their pictures are drawn from.

    `distances`: name of a path length -> those of all steps [N]. `manifolds`: at the largest ψ, with the features of
    samples and pictures.
    """

    results: tuple[MetricResult, ...]
    attributes: tuple[AttributeSeparation, ...]
    distances: Mapping[str, NDArray[np.float32]]
    lengths: Mapping[str, PathLength]
    manifolds: tuple[Floats, Floats, Manifolds] | None
    distill: str = field(default=__version__)


def measure(run: MetricsRun) -> Measured:
    """Take all measures that were asked for, from the disk; the same numbers wherever it was read."""
    be_reproducible()
    results: list[MetricResult] = []
    manifolds, attributes = None, list[AttributeSeparation]()
    lengths, distances = dict[str, PathLength](), dict[str, NDArray[np.float32]]()
    for metric in run.request.metrics:
        if metric.measure in (FID, KID):
            results += _distances(run, metric)
        elif metric.measure == PR:
            found, manifolds = _manifolds(run, metric)
            results += found
        elif metric.measure in KINDS:
            result, values = _path_length(run, metric)
            distances[result.name], lengths[result.name] = values, mean_path_length(values)
            results.append(result)
        elif metric.measure == LS:
            attributes = list(_separations(run, metric.count))
            results += _separability_results(run, attributes, metric.count)
    return Measured(
        results=tuple(results),
        attributes=tuple(attributes),
        distances=distances,
        lengths=lengths,
        manifolds=manifolds,
    )


# ---- Beside pictures


def _pictures(run: MetricsRun, metric: Metric, reader: Reader | None) -> Floats:
    """The features of the pictures that a measure takes: all, or at most as many as there are samples."""
    read = run.pictures.rows if run.pictures else 0
    values = run.rows(run.pictures, reader, read)
    if metric.full or read <= metric.count:
        return values
    total, seed = run.total_pictures, run.request.seed
    return values[np.isin(chosen_numbers(total, read, seed), chosen_numbers(total, metric.count, seed))]


def _distances(run: MetricsRun, metric: Metric) -> Iterator[MetricResult]:
    """FID in both covariances, or KID, at every ψ."""
    reader = run.readers.frechet
    real = _pictures(run, metric, reader)
    for psi in run.request.psi:
        generated = run.rows(run.samples[psi], reader, metric.count)
        if metric.measure == KID:
            subsets = subset_distances(generated, real, seed=run.request.seed)
            base = names.kernel_name(_features(reader), metric.count, full=metric.full)
            alike = len(generated) == len(real) <= SUBSET  # then every subset is the whole
            error = None if alike else float(subsets.std())
            yield _result(run, metric, base, float(subsets.mean()), psi, reader, real, error=error)
            continue
        for unbiased in (False, True) if _features(reader) == "inception" else (True,):
            base = names.frechet_name(_features(reader), metric.count, full=metric.full, unbiased=unbiased)
            ours, theirs = (moments(x, unbiased=unbiased) for x in (generated, real))
            yield _result(run, metric, base, frechet_distance(theirs, ours), psi, reader, real)


def _manifolds(
    run: MetricsRun, metric: Metric
) -> tuple[list[MetricResult], tuple[Floats, Floats, Manifolds]]:
    """Precision and recall at every ψ; and what they are at the largest."""
    reader, found = run.readers.manifold, []
    real = _pictures(run, metric, reader)
    device = "cuda" if run.device.startswith("cuda") and torch.cuda.is_available() else "cpu"
    for psi in run.request.psi:  # ascending
        generated = run.rows(run.samples[psi], reader, metric.count)
        compared = compare_manifolds(generated, real, device=device)
        for part, value in (("precision", compared.precision), ("recall", compared.recall)):
            base = names.manifold_name(part, _features(reader), metric.count, full=metric.full)
            found.append(_result(run, metric, base, value, psi, reader, real, higher_is_better=True))
    return found, (generated, real, compared)


def _features(reader: Reader | None) -> str:
    return reader.name if reader else ""


def _result(
    run: MetricsRun,
    metric: Metric,
    base: str,
    value: float,
    psi: float,
    reader: Reader | None,
    real: Floats,
    *,
    error: float | None = None,
    higher_is_better: bool = False,
) -> MetricResult:
    taught = run.about["training"].get("critic") == "projected"
    return MetricResult(
        name=at_psi(base, psi),
        base=base,
        value=value,
        psi=psi,
        error=error,
        samples=metric.count,
        pictures=len(real),
        features=_features(reader),
        features_sha256=reader.sha256 if reader else "",
        higher_is_better=higher_is_better,
        flattering=taught and _features(reader) == LITE0,
    )


# ---- Path lengths


def _path_length(run: MetricsRun, metric: Metric) -> tuple[MetricResult, NDArray[np.float32]]:
    """Return a path length and the distances that it is the mean of."""
    reader = run.readers.steps
    values = run.rows(run.steps, reader, metric.count, metric.measure)[:, 0]
    form = run.request.crop_form if forms_differ(run.generator.resolution, KINDS[metric.measure]) else ""
    name = names.path_name(metric.measure, _features(reader), metric.count, form=form)
    length = mean_path_length(values)
    result = MetricResult(
        name=name,
        base=name,
        value=length.mean,
        error=length.error,
        samples=metric.count,
        features=_features(reader),
        features_sha256=reader.sha256 if reader else "",
    )
    return result, values


# ---- Linear separability


def _separations(run: MetricsRun, count: int) -> Iterator[AttributeSeparation]:
    """Separate every attribute in z and w. Raises DistillError for a scorer that tells nothing."""
    read = [run.rows(run.samples[1.0], reader, count) for reader in run.readers.scores]
    scores = np.concatenate(read, axis=1)
    z, w = _latents(run, count)
    for column, (name, kind) in enumerate(run.readers.kinds.items()):
        surest = select_surest(name, scores[:, column], probability=kind == "probability")
        yield AttributeSeparation(
            attribute=name,
            samples=len(surest.rows),
            z=separate(z[surest.rows], surest.classes),
            w=separate(w[surest.rows], surest.classes),
        )


def _latents(run: MetricsRun, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return z [N, Z] and untruncated w [N, D] of all samples."""
    parts = [range(first, min(first + MAPPED, count)) for first in range(0, count, MAPPED)]
    z = np.concatenate([sample_latents(run.generator, run.request.seed, rows) for rows in parts])
    w = [run.generator.map(torch.from_numpy(z[rows.start : rows.stop]))[:, -1].numpy() for rows in parts]
    return z, np.concatenate(w)


def _separability_results(
    run: MetricsRun, attributes: Sequence[AttributeSeparation], count: int
) -> list[MetricResult]:
    """The score over all attributes, in z and in w."""
    sha256 = " ".join(reader.sha256 for reader in run.readers.scores)
    scores: dict[str, Any] = {
        "z": separability_score([one.z.bits for one in attributes]),
        "w": separability_score([one.w.bits for one in attributes]),
    }
    return [
        MetricResult(
            name=(name := names.separability_name(len(attributes), space, count)),
            base=name,
            value=value,
            samples=count,
            features=", ".join(one.attribute for one in attributes),
            features_sha256=sha256,
        )
        for space, value in scores.items()
    ]
