"""Score histograms: accepted and dropped candidates stacked, thresholds as lines."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.shards.inspect.page_style import ACCEPTED, DROPPED, FAINT, GRID, THRESHOLD

BINS = 40
SIZE = (4.2, 2.1)  # inches
ROUND = (1, 2, 5, 10)  # times a power of ten, between two ticks


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Counts per bin: `edges` [bins + 1], `accepted`, `dropped` [bins]; `unscored` have no value."""

    name: str
    edges: NDArray[np.float64]
    accepted: NDArray[np.int64]
    dropped: NDArray[np.int64]
    unscored: int
    thresholds: Sequence[tuple[str, float]]

    def shows(self, value: float) -> bool:
        """Say whether a value lies inside the range drawn."""
        return bool(self.edges[0] <= value <= self.edges[-1])


def thresholds_of(score: str, rules: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """Find the min_… and max_… settings that a score is held against: (setting, value).

    A score belongs to the rule whose name it starts with ("face_framing" to "face"); where words follow the rule's
    name, the setting must share one ("max_framing_error"). A setting of any rule may name its score ("min_ssim"). The
    score of an attribute belongs to the selection that names it: a probability that is held against a confidence,
    from both sides.
    """
    found = []
    for settings in rules:
        name = str(settings.get("name", ""))
        confidence = settings.get("min_confidence")
        if settings.get("attribute") == score and isinstance(confidence, int | float):
            found += [("min_confidence", float(confidence)), ("its other side", 1 - float(confidence))]
        if score != name:
            bounds = {key: settings.get(key) for key in (f"min_{score}", f"max_{score}")}
            found += [(key, float(value)) for key, value in bounds.items() if isinstance(value, int | float)]
        if not name or (score != name and not score.startswith(f"{name}_")):
            continue
        words = set(score.removeprefix(name).split("_")) - {""}
        for key, value in settings.items():
            kind, _, what = key.partition("_")
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if kind in ("min", "max") and is_number and (not words or words & set(what.split("_"))):
                found.append((key, float(value)))
    return found


def histograms(
    accepted_M: NDArray[np.bool_],
    scores: Mapping[str, NDArray[np.floating[Any]]],
    *,
    rules: Sequence[Mapping[str, Any]] = (),
    parts: Sequence[str] = (),
    strengths: Sequence[str] = (),
) -> list[Histogram]:
    """Count every score of M candidates; K values a candidate give K histograms, named by `parts` or `strengths`."""
    result = []
    for name, values in scores.items():
        columns, limits = values.reshape(len(values), -1).T, thresholds_of(name, rules)
        edges = bins(values, limits)
        names = next((given for given in (parts, strengths) if len(given) == len(columns)), None)
        for k, column in enumerate(columns):
            part = names[k] if names else str(k)
            title = name if len(columns) == 1 else f"{name} · {part}"
            result.append(count(title, accepted_M, column, edges=edges, thresholds=limits))
    return result


def bins(values: NDArray[Any], thresholds: Sequence[tuple[str, float]] = ()) -> NDArray[np.float64]:
    """Return bin edges over all finite values and each threshold not further away than twice their range."""
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    span = max(high - low, 1e-6 * max(abs(low), 1.0))
    near = [value for _, value in thresholds if low - 2 * span <= value <= high + 2 * span]
    low, high = min([low, *near]), max([high, *near])
    margin = 0.03 * max(high - low, span)
    return np.linspace(low - margin, high + margin, BINS + 1)


def count(
    name: str,
    accepted_M: NDArray[np.bool_],
    values_M: NDArray[Any],
    *,
    edges: NDArray[np.float64],
    thresholds: Sequence[tuple[str, float]] = (),
) -> Histogram:
    """Count one score of M candidates, NaN where not scored."""
    scored = np.isfinite(values_M)
    return Histogram(
        name=name,
        edges=edges,
        accepted=np.histogram(values_M[scored & accepted_M], edges)[0],
        dropped=np.histogram(values_M[scored & ~accepted_M], edges)[0],
        unscored=int((~scored).sum()),
        thresholds=thresholds,
    )


def draw_svg(histogram: Histogram) -> bytes:
    """Draw a histogram as SVG; bars are stacked, accepted below; thresholds outside the range are left out.

    The same histogram gives the same bytes. Its words stand in the page, where they are escaped.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure: Any = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    left, widths = histogram.edges[:-1], np.diff(histogram.edges)
    bars = {"align": "edge", "edgecolor": "white", "linewidth": 0.5}
    axes.bar(left, histogram.accepted, widths, color=ACCEPTED, **bars)
    axes.bar(left, histogram.dropped, widths, bottom=histogram.accepted, color=DROPPED, **bars)
    for _, value in histogram.thresholds:
        if histogram.shows(value):
            axes.axvline(value, color=THRESHOLD, linewidth=1.2, linestyle="--")
    top = max(1, int((histogram.accepted + histogram.dropped).max()))
    axes.set_xlim(histogram.edges[0], histogram.edges[-1])
    axes.set_ylim(0, 1.05 * top)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, steps=ROUND))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=ROUND))
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=FAINT, labelsize=8)
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "distill", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()
