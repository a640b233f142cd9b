"""The curves of a run as inline SVG: a panel for each number, baselines as dashed lines. Needs no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from distill.shards.inspect.histogram import ticks
from distill.training.curves import Curves, Floats, best_of, chosen_names

WIDTH, HEIGHT = 380, 200  # of a panel, in its own units
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 26  # margins around the curve
MOST = 400  # points of a curve; more are averaged
LIMIT = 2.0  # a baseline further off than this many times the curve's range is named, not drawn


def panels(found: Curves, baselines: Mapping[str, Mapping[str, float]]) -> str:
    """Draw every number of a run over thousands of images; `baselines` by name, then by score."""
    figures = []
    for name in chosen_names([found]):
        at, values = thinned(*found.of[name])
        lines = [(who, scores[name]) for who, scores in baselines.items() if name in scores]
        best = best_of(name, found.of[name][1])
        text = escape(name.replace("_", " "))
        if best is not None:
            text += f", best {found.of[name][1][best]:.4g} at {found.of[name][0][best]:.4g}"
        off = [f"{escape(who)}: {value:.4g}" for who, value in lines if not _near(value, values)]
        note = f" <br>{', '.join(off)}" if off else ""
        drawing = panel(name, at, values, [line for line in lines if _near(line[1], values)])
        figures.append(f"<figure>{drawing}<figcaption>{text}{note}</figcaption></figure>")
    return f'<div class="charts">{"".join(figures)}</div>'


def thinned(at_M: Floats, values_M: Floats, most: int = MOST) -> tuple[Floats, Floats]:
    """Average neighbours until at most `most` points are left; what is not finite is left out."""
    good = np.isfinite(values_M)
    at, values = at_M[good], values_M[good]
    if len(at) <= most:
        return at, values
    parts = [np.array_split(x, most) for x in (at, values)]
    return np.asarray([x[-1] for x in parts[0]]), np.asarray([x.mean() for x in parts[1]])


def panel(name: str, at: Floats, values: Floats, lines: Sequence[tuple[str, float]]) -> str:
    """Draw one curve with its axes, and lines at fixed values."""
    heights = [*values, *(value for _, value in lines)]
    low, high = (float(min(heights)), float(max(heights))) if heights else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    low, high, last = low - margin, high + margin, float(max([*at, 1e-9]))

    def x(value: float) -> float:
        return LEFT + value / last * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">']
    for value in ticks(low, high, 4):
        parts.append(
            f'<line class="grid" x1="{LEFT}" y1="{y(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y(value):.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.6g}</text>'
        )
    for value in ticks(0, last, 4):
        parts.append(
            f'<text class="tick" x="{x(value):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{value:.6g}</text>'
        )
    for who, value in lines:
        parts.append(
            f'<line class="threshold" x1="{LEFT}" y1="{y(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y(value):.1f}"/>'
        )
        parts.append(f'<text class="limit" x="{LEFT + 4}" y="{y(value) - 3:.1f}">{escape(who)}</text>')
    points = " ".join(f"{x(a):.1f},{y(v):.1f}" for a, v in zip(at, values, strict=True))
    if len(values) == 1:
        parts.append(f'<circle class="accepted" cx="{x(at[0]):.1f}" cy="{y(values[0]):.1f}" r="3"/>')
    return "\n".join([*parts, f'<polyline class="curve" points="{points}"/>', "</svg>"])


def _near(value: float, values: Floats) -> bool:
    """Tell whether a line at `value` leaves the curve readable."""
    if not len(values):
        return False
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 0.05 * abs(high))
    return low - LIMIT * span <= value <= high + LIMIT * span
