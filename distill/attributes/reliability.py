"""The reliability diagram: how often a classifier is right, over how sure it says it is."""

from __future__ import annotations

import io
from collections.abc import Sequence

from distill.attributes.calibration import Bin

SIZE, DPI = (6.4, 7.2), 120  # inches, dots an inch
RIGHT, TOO_SURE, TOO_MODEST, COUNT, LINE = "#2f7fb8", "#e07b39", "#3a9d5d", "#aab2bb", "#59636e"


def draw_reliability(bins: Sequence[Bin], *, title: str) -> bytes:
    """Draw the share that is right in each bin of confidence, its distance to the mean confidence, and the counts.

    Where bars end below their confidence the classifier is too sure of itself, above it too modest. Returns a PNG.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    shares, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    full = [part for part in bins if part.count]
    left, width = [part.low for part in full], 0.94 * (bins[0].high - bins[0].low)
    right = [part.accuracy for part in full]
    shares.bar(left, right, width, align="edge", color=RIGHT, label="share right")
    for label, colour, sign in (("too sure", TOO_SURE, 1), ("too modest", TOO_MODEST, -1)):
        gaps = [max(0.0, sign * (part.confidence - part.accuracy)) for part in full]
        bottoms = [min(part.accuracy, part.confidence) for part in full]
        shares.bar(left, gaps, width, bottoms, align="edge", color=colour, label=label)
    shares.plot((bins[0].low, 1), (bins[0].low, 1), "--", color=LINE, label="share = confidence")
    shares.set_title(title, wrap=True)
    shares.set(ylabel="share that is right", ylim=(0, 1), xlim=(bins[0].low, 1))
    shares.yaxis.set_major_formatter(PercentFormatter(1))
    shares.grid(axis="y", alpha=0.4)
    shares.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=4, fontsize="small", frameon=False)
    bars = counts.bar(left, [part.count for part in full], width, align="edge", color=COUNT)
    counts.bar_label(bars, fontsize="small", padding=1)
    counts.set(xlabel="confidence", ylabel="pictures")
    counts.margins(y=0.25)
    counts.xaxis.set_major_formatter(PercentFormatter(1))
    for axes in (shares, counts):
        axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
