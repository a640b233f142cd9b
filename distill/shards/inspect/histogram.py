"""Score histograms as inline SVG: accepted and dropped candidates stacked, thresholds as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 40
WIDTH, HEIGHT = 420, 210  # of the drawing, in its own units
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 36, 30  # margins around the bars


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
    name, the setting must share one ("max_framing_error"). The score of an attribute belongs to the selection that
    names it: a probability that is held against a confidence, from both sides.
    """
    found = []
    for settings in rules:
        name = str(settings.get("name", ""))
        confidence = settings.get("min_confidence")
        if settings.get("attribute") == score and isinstance(confidence, int | float):
            found += [("min_confidence", float(confidence)), ("its other side", 1 - float(confidence))]
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
            title = name if values.ndim == 1 else f"{name} · {part}"
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


def svg(histogram: Histogram) -> str:
    """Draw a histogram; bars are stacked, accepted below; thresholds outside the range are left out."""
    top = max(1, int((histogram.accepted + histogram.dropped).max()))
    total = int((histogram.accepted + histogram.dropped).sum())
    label = f"{histogram.name}: {total} candidates scored"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">',
        *_axes(histogram, top),
        *_bars(histogram, top),
        *_threshold_lines(histogram),
        "</svg>",
    ]
    return "\n".join(parts)


def _x(histogram: Histogram, value: float) -> float:
    low, high = histogram.edges[0], histogram.edges[-1]
    return float(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT))


def _y(count: float, top: int) -> float:
    return HEIGHT - BOTTOM - count / top * (HEIGHT - TOP - BOTTOM)


def _bars(histogram: Histogram, top: int) -> list[str]:
    bars = []
    for k in range(BINS):
        left, right = _x(histogram, histogram.edges[k]), _x(histogram, histogram.edges[k + 1])
        base = 0
        for kind, n in (("accepted", histogram.accepted[k]), ("dropped", histogram.dropped[k])):
            if n:
                y, height = _y(base + n, top), _y(base, top) - _y(base + n, top)
                bars.append(
                    f'<rect class="{kind}" x="{left + 0.5:.1f}" y="{y:.1f}"'
                    f' width="{right - left - 1:.1f}" height="{height:.1f}"/>'
                )
            base += int(n)
    return bars


def _axes(histogram: Histogram, top: int) -> list[str]:
    floor = HEIGHT - BOTTOM
    lines = [f'<line class="axis" x1="{LEFT}" y1="{floor}" x2="{WIDTH - RIGHT}" y2="{floor}"/>']
    for n in ticks(0, top, 3):
        y = _y(n, top)
        lines.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        lines.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{n:,.0f}</text>')
    for value in ticks(histogram.edges[0], histogram.edges[-1], 5):
        x = _x(histogram, value)
        text = f"{value:.6g}"
        lines.append(f'<text class="tick" x="{x:.1f}" y="{floor + 17}" text-anchor="middle">{text}</text>')
    return lines


def _threshold_lines(histogram: Histogram) -> list[str]:
    lines = []
    for k, (name, value) in enumerate(histogram.thresholds):
        if not histogram.shows(value):
            continue
        x = _x(histogram, value)
        anchor, dx = ("start", 4) if x < WIDTH / 2 else ("end", -4)
        lines.append(
            f'<line class="threshold" x1="{x:.1f}" y1="{TOP - 28}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>'
        )
        lines.append(
            f'<text class="limit" x="{x + dx:.1f}" y="{TOP - 18 + 12 * (k % 2)}" text-anchor="{anchor}">'
            f"{escape(name)} {value:.6g}</text>"
        )
    return lines


def ticks(low: float, high: float, about: int) -> list[float]:
    """Choose round values inside [low, high], 1, 2 or 5 times a power of ten apart, at most `about` steps."""
    span = max(high - low, 1e-12)
    power = 10.0 ** np.floor(np.log10(span / about))
    step = next(power * k for k in (1, 2, 5, 10) if span / (power * k) <= about)
    first = np.ceil(low / step - 1e-9) + 0.0  # no -0
    return [float(round(k * step, 12)) for k in np.arange(first, np.floor(high / step + 1e-9) + 1)]
