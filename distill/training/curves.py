"""The curves of training runs as one picture: a panel for each number of stats.jsonl, runs over each other."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.files import path_text, read_regular
from distill.shards.inspect.sheet import in_font
from distill.training.stats_line import FILE, read_line

FORMATS = (".png", ".svg", ".pdf")
COLUMNS, PANEL, DPI = 4, (3.6, 2.6), 110  # panels side by side, their size in inches, dots an inch
HEAD = 0.75  # inches above the panels
COLOURS = ("#2f7fb8", "#e07b39", "#3a9d5d", "#b3261e", "#7b5ea7", "#6b6b6b", "#c2a300", "#0d9aa5")
INK, FAINT = "#20242a", "#68707a"
UNASKED = ("seconds",)  # drawn only where it is named
SCORE = re.compile(
    r"^(?!loss|parent)(?:.*[_/])?(l1|ssim|perceptual|frechet|kernel|fid|kid|identity|missed)(?:[_/].*)?$"
)
HIGHER_IS_BETTER = ("ssim", "identity")
AS_IT_IS = "lr"  # never smoothed, as scores
LIMIT = 2.0  # a baseline further off than this many times the range of a curve is named, not drawn
LOG_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curves:
    """The numbers of one run: name -> (images seen in thousands [M], values [M]); NaN where not finite."""

    label: str
    of: dict[str, tuple[Floats, Floats]]
    broken: int = 0  # lines that could not be read


def read_curves(run: Path) -> Curves:
    """Read a run's folder, or its stats.jsonl. A line cut short (the run may be writing it) is left out, counted.

    Raises DistillError where there is no such file, or nothing in it.
    """
    path = run / FILE if run.is_dir() else run
    try:
        lines = read_regular(path).splitlines()
    except OSError as error:
        what = f"{path}: {error.strerror or error}"
        raise DistillError(f"{what}; name the folder of a training run, which holds {FILE}") from error
    rows = [row for row in map(read_line, lines) if row]
    broken = sum(1 for line in lines if line.strip()) - len(rows)
    names = list(dict.fromkeys(name for row in rows for name in row if name != "samples"))
    if broken and not names:
        raise DistillError(
            f"{path}: no line of it is one of training; name the folder of a training run, which holds {FILE}"
        )
    if not names:
        raise DistillError(
            f"{path}: no line with numbers yet; run the command again when training has gone on"
        )
    curves = {}
    for name in names:
        points = [(row["samples"] / 1000, row[name]) for row in rows if name in row]
        at, values = np.asarray(points, np.float64).T
        curves[name] = (at, values)
    return Curves(path_text(path.parent.absolute().name or path), curves, broken)


def draw_curves(
    runs: Sequence[Curves],
    *,
    only: Sequence[str] = (),
    smooth: int = 1,
    log: bool = False,
    form: str = "png",
    baselines: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> bytes:
    """Draw a panel for each number: raw values; scores with their best value marked.

    `only`: names, or beginnings of names, to draw. `smooth` above 1 draws the mean of this many values up to each
    place, the raw ones faint behind it, and says so; scores are never smoothed. `log`: logarithmic where all
    values are positive and the largest is at least twice the smallest. `form`: png, svg or pdf. `baselines`: scores
    by name of what is compared with, dashed. Raises DistillError for a name that no run has.
    """
    names = chosen_names(runs, only)
    columns = min(COLUMNS, len(names))
    lines = -(-len(names) // columns)
    size = (max(columns * PANEL[0], 2 * PANEL[0]), lines * PANEL[1] + HEAD)
    figure: Any = Figure(figsize=size, dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - HEAD / size[1]), wspace=0.03, hspace=0.04)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    for panel, name in zip(panels, names, strict=False):
        _draw_panel(panel, name, runs, 1 if name == AS_IT_IS or SCORE.search(name) else smooth)
        _draw_baselines(panel, name, baselines)
        panel.set_xlim(0, 1.02 * _images(runs))
        panel.xaxis.set_major_locator(ticker.MaxNLocator(5))
        if log and _spread(np.concatenate([run.of[name][1] for run in runs if name in run.of])) >= 2:
            panel.set_yscale("log", subs=[])
            panel.yaxis.set_major_locator(ticker.LogLocator(subs=LOG_STEPS))
            panel.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    _head(figure, runs, smooth, size)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, metadata={"Date": None} if form == "svg" else None)
    return buffer.getvalue()


def chosen_names(runs: Sequence[Curves], only: Sequence[str] = ()) -> list[str]:
    """List the names to draw: scores first, then losses, then all others, each in the order of the files."""
    names = list(dict.fromkeys(name for run in runs for name in run.of))
    for wish in only:
        if not any(_wished(name, [wish]) for name in names):
            raise DistillError(f"no number {wish!r} in these runs; the numbers are {', '.join(names)}")
    kept = [name for name in names if (_wished(name, only) if only else name not in UNASKED)]
    return sorted(kept, key=lambda name: 0 if SCORE.search(name) else 1 if "loss" in name else 2)


def _wished(name: str, only: Sequence[str]) -> bool:
    return any(name == wish or name.startswith(f"{wish}_") for wish in only)


def running_mean(values_M: Floats, count: int) -> Floats:
    """Average up to `count` values ending at each place, fewer at the start; NaN are left out."""
    good = np.isfinite(values_M)
    sums = np.concatenate([[0.0], np.cumsum(np.where(good, values_M, 0.0))])
    counts = np.concatenate([[0], np.cumsum(good)])
    last = np.arange(1, len(values_M) + 1)
    first = np.maximum(last - count, 0)
    seen = counts[last] - counts[first]
    means: Floats = np.where(seen > 0, (sums[last] - sums[first]) / np.maximum(seen, 1), np.nan)
    return means


def best_of(name: str, values_M: Floats) -> int | None:
    """Return the place of a score's best value; None for what is no score, or never finite."""
    match = SCORE.search(name)
    if match is None or not np.isfinite(values_M).any():
        return None
    return int(np.nanargmax(values_M) if match[1] in HIGHER_IS_BETTER else np.nanargmin(values_M))


def labels_of(runs: Sequence[Curves]) -> list[str]:
    """Name each run; runs of one name are numbered."""
    names = [run.label for run in runs]
    return [
        f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def _draw_panel(panel: Any, name: str, runs: Sequence[Curves], smooth: int) -> None:
    bests = []
    for number, run in enumerate(runs):
        if name not in run.of:
            continue
        at, values = run.of[name]
        colour = COLOURS[number % len(COLOURS)]
        dots = "o" if len(at) < 3 else None  # a line of one point is not seen
        if smooth > 1:
            panel.plot(at, values, color=colour, alpha=0.25, lw=0.8)
            panel.plot(at, running_mean(values, smooth), color=colour, lw=1.4, marker=dots, ms=3)
        else:
            panel.plot(at, values, color=colour, lw=1.2, marker=dots, ms=3)
        if (best := best_of(name, values)) is not None:
            panel.plot(at[best], values[best], "o", color=colour, ms=5, mfc="white", clip_on=False)
            bests.append(f"{values[best]:.4g} at {at[best]:.4g}")
    if bests:
        more = " …" if len(bests) > 2 else ""
        panel.text(0, 1.03, f"best {' | '.join(bests[:2])}{more}", transform=panel.transAxes, fontsize=7.5,
                   color=FAINT)  # fmt: skip
    title = panel.set_title(
        in_font(name), fontsize=9, color=INK, loc="left", fontweight="bold", pad=16 if bests else 6
    )
    title.set_parse_math(False)
    panel.ticklabel_format(axis="y", scilimits=(-3, 4))
    panel.yaxis.get_offset_text().set(fontsize=7.5, color=FAINT)
    panel.grid(color="#e3e6ea", lw=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color("#c3c9d1")
    panel.tick_params(labelsize=7.5, colors=FAINT, length=2)


def _draw_baselines(panel: Any, name: str, baselines: Mapping[str, Mapping[str, float]]) -> None:
    """Draw a dashed line for each baseline; one that is too far off to leave the curve readable is only named."""
    values = np.concatenate([line.get_ydata() for line in panel.get_lines()] or [[0.0]])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    room = LIMIT * max(high - low, 0.05 * abs(high))
    far = []
    for number, (who, scores) in enumerate(baselines.items()):
        if name not in scores:
            continue
        if low - room <= scores[name] <= high + room:
            panel.axhline(scores[name], color=FAINT, lw=0.9, ls="--")
            side, at = (("right", 0.99), ("left", 0.01))[number % 2]  # two that lie close are named apart
            panel.text(at, scores[name], who, fontsize=7, color=FAINT, ha=side, va="bottom",
                       transform=panel.get_yaxis_transform(),
                       bbox={"fc": "white", "ec": "none", "alpha": 0.7, "pad": 0.5})  # fmt: skip
        else:
            far.append(f"{who}: {scores[name]:.4g}")
    if far:
        panel.text(0.99, 0.97, "\n".join(far), fontsize=7, color=FAINT, ha="right", va="top",
                   transform=panel.transAxes)  # fmt: skip


def _head(figure: Any, runs: Sequence[Curves], smooth: int, size: tuple[float, float]) -> None:
    """Name the runs in their colours, and say what was done to the values."""
    how = f"means of {smooth} values, raw ones faint, scores raw" if smooth > 1 else "raw values"
    text = f"{how} over thousands of images; ○ best"
    figure.text(0.012, 1 - 0.58 / size[1], text, fontsize=8, color=FAINT)
    left = 0.012 * size[0]
    for number, label in enumerate(labels_of(runs)):
        name = figure.text(
            left / size[0], 1 - 0.32 / size[1], in_font(label[:40]), fontsize=11, fontweight="bold"
        )
        name.set(color=COLOURS[number % len(COLOURS)], parse_math=False)
        left += name.get_window_extent().width / figure.dpi + 0.25


def _spread(values: Floats) -> float:
    """The largest value in units of the smallest; 0 where one is not positive."""
    good = values[np.isfinite(values)]
    return float(good.max() / good.min()) if good.size and good.min() > 0 else 0.0


def _images(runs: Sequence[Curves]) -> float:
    """Thousands of images of the longest run."""
    return max(float(at.max()) for run in runs for at, _ in run.of.values()) or 1.0
