"""The measures as pictures: path lengths, the two manifolds, attributes, and what truncation trades for what."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from numpy.typing import NDArray

from distill.evaluation.generator_metrics.plan import MetricsRun
from distill.evaluation.generator_metrics.readers import Floats
from distill.evaluation.generator_metrics.results import AttributeSeparation, Measured, MetricResult
from distill.evaluation.student_scores import evenly
from distill.metrics.manifold import Manifolds
from distill.metrics.path_length import PathLength

SAMPLES, PICTURES, OUTSIDE = "#2f7fb8", "#b9c0c7", "#e07b39"
COLOURS = ("#2f7fb8", "#e07b39", "#3a9d5d", "#b3261e", "#7b5ea7")
INK = "#20242a"
DPI, BINS = 110, 60
POINTS = 2000  # of each kind that are shown
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
}


def make_pictures(run: MetricsRun, measured: Measured) -> dict[str, bytes]:
    """Draw what was measured, as PNGs by file name."""
    images: dict[str, bytes] = {}
    with rc_context(STYLE):
        if measured.lengths:
            images["path-lengths.png"] = draw_path_lengths(measured.distances, measured.lengths)
        if measured.manifolds:
            images["manifolds.png"] = draw_manifolds(*measured.manifolds, psi=max(run.request.psi))
        if measured.attributes:
            images["separability.png"] = draw_separability(measured.attributes)
        if len(run.request.psi) > 1:
            images["truncation-sweep.png"] = draw_sweep(measured.results)
    return images


def draw_path_lengths(
    distances: Mapping[str, NDArray[np.float32]], lengths: Mapping[str, PathLength]
) -> bytes:
    """Draw the distances of all steps on one logarithmic axis, a panel for each measure, the mean as a line."""
    figure = Figure(figsize=(7.2, 0.8 + 1.25 * len(distances)), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(distances), 1, sharex=True, squeeze=False)[:, 0]
    above = [values[values > 0] for values in distances.values()]
    low = min((np.quantile(values, 0.001) for values in above if len(values)), default=0.1)
    high = max((np.quantile(values, 0.999) for values in above if len(values)), default=1.0)
    edges = np.geomspace(low, max(high, low * 1.01), BINS + 1)
    for panel, colour, (name, values) in zip(panels, _cycle(len(distances)), distances.items(), strict=True):
        length = lengths[name]
        panel.hist(np.clip(values, edges[0], edges[-1]), bins=edges, color=colour, alpha=0.75)
        panel.axvspan(edges[0], max(length.low, edges[0]), color=PICTURES, alpha=0.35, lw=0)
        panel.axvspan(min(length.high, edges[-1]), edges[-1], color=PICTURES, alpha=0.35, lw=0)
        panel.axvline(length.mean, color=INK, lw=1.2)
        error = f"{length.error:.2g}" if length.error < 100 else f"{length.error:.0f}"
        panel.set_title(f"{name}: {length.mean:.4g} ± {error}", loc="left", fontsize=9)
        panel.set(xscale="log", xlim=(edges[0], edges[-1]), yticks=[])
        panel.spines["left"].set_visible(False)
    for ticks in (panels[-1].xaxis.set_major_formatter, panels[-1].xaxis.set_minor_formatter):
        ticks(LogFormatter(minor_thresholds=(2, 1)))
    panels[-1].set_xlabel("distance / ε² of a step; line: the mean; grey: left out of it")
    return _png(figure)


def draw_manifolds(generated: Floats, real: Floats, found: Manifolds, *, psi: float) -> bytes:
    """Draw samples and pictures on the two strongest components of the pictures' features."""
    places = components(real)
    figure = Figure(figsize=(9.2, 4.7), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    marks = (
        (
            left,
            generated,
            found.generated_inside,
            real,
            "samples",
            "pictures",
            f"precision {found.precision:.3f}",
        ),
        (right, real, found.real_covered, generated, "pictures", "samples", f"recall {found.recall:.3f}"),
    )
    for axes, shown, inside, behind, name, other, title in marks:
        some, far = evenly(len(shown), POINTS), evenly(len(behind), POINTS)
        axes.scatter(*places(behind[far]).T, s=5, color=PICTURES, lw=0, label=other)
        for colour, which, words in ((SAMPLES, True, "inside"), (OUTSIDE, False, "outside")):
            rows = some[inside[some] == which]
            label = f"{name} {words} the manifold of the {other}"
            axes.scatter(*places(shown[rows]).T, s=7, color=colour, lw=0, alpha=0.8, label=label)
        axes.set_title(f"{title} at ψ {psi:g}", loc="left")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), fontsize=8, frameon=False, markerscale=2)
        axes.set_xlabel("first component of the pictures' features")
    left.set_ylabel("second component")
    return _png(figure)


def components(real_MD: Floats) -> Any:
    """Return the projection of features [N, D] on the two strongest components of the pictures' [N, 2]."""
    centre = real_MD.mean(axis=0)
    some = (real_MD - centre)[evenly(len(real_MD), POINTS)]
    axes = np.linalg.svd(some, full_matrices=False)[2][:2]
    return lambda x: (x - centre) @ axes.T


def draw_separability(attributes: Sequence[AttributeSeparation]) -> bytes:
    """Draw the bits that stay unknown of each attribute, in z and in w."""
    figure = Figure(figsize=(6.4, 1.3 + 0.55 * len(attributes)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(attributes), dtype=float)
    for shift, space, colour in ((-0.19, "z", PICTURES), (0.19, "w", SAMPLES)):
        found = [getattr(one, space) for one in attributes]
        bars = axes.barh(at + shift, [one.bits for one in found], 0.36, color=colour, label=f"in {space}")
        axes.bar_label(
            bars, [f"{one.bits:.3f}, {one.accuracy:.1%} right" for one in found], padding=3, fontsize=8
        )
    axes.set_yticks(at, [one.attribute for one in attributes])
    axes.invert_yaxis()
    widest = max(max(one.z.bits, one.w.bits) for one in attributes)
    axes.set(xlabel="bits of the attribute that stay unknown, 0 where a plane separates it")
    axes.set_xlim(0, 1.45 * max(widest, 0.05))
    axes.set_axisbelow(True)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return _png(figure)


def draw_sweep(results: Sequence[MetricResult]) -> bytes:
    """Draw quality against variety, ψ by ψ; and each distance over ψ."""
    precision = {one.psi: one for one in results if "precision" in one.base}
    recall = {one.psi: one for one in results if "recall" in one.base}
    others: dict[str, list[MetricResult]] = {}
    for one in results:
        if one.pictures is not None and not one.higher_is_better:
            others.setdefault(one.base, []).append(one)
    count = bool(precision) + len(others)
    figure = Figure(figsize=(4.6 * max(count, 1), 4.0), dpi=DPI, layout="constrained")
    panels = iter(figure.subplots(1, max(count, 1), squeeze=False)[0])
    if precision:
        _quality(next(panels), precision, recall)
    for base, found in others.items():
        axes = next(panels)
        psis, errors = [one.psi for one in found], [one.error or 0.0 for one in found]
        axes.errorbar(psis, [one.value for one in found], yerr=errors, marker="o", color=SAMPLES, capsize=3)
        axes.set_title(f"{base}, lower is better", loc="left", fontsize=9)
        axes.set_xticks(psis, [f"{psi:g}" for psi in psis])
        low, high = axes.get_ylim()
        axes.set_ylim(min(0.0, low), 1.08 * high)
        axes.set_xlabel("truncation ψ")
        axes.grid(alpha=0.3)
    return _png(figure)


def _quality(
    axes: Any, precision: Mapping[float, MetricResult], recall: Mapping[float, MetricResult]
) -> None:
    psis = sorted(precision)
    x, y = [recall[psi].value for psi in psis], [precision[psi].value for psi in psis]
    axes.plot(x, y, color=PICTURES, zorder=1)
    for psi, colour, *place in zip(psis, _cycle(len(psis)), x, y, strict=True):
        axes.scatter(*place, color=colour, label=f"ψ {psi:g}", zorder=2)
    axes.set(xlabel="recall: variety", ylabel="precision: quality")
    axes.set_xlim(-0.03 * max(x) - 0.002, 1.1 * max(x) + 0.01)
    axes.set_ylim(0, 1.05)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)


def _cycle(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
