"""The answers of a student as pictures: curves of asked and measured, and strips of some faces."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from distill.editing.pictures import grid_sheet
from distill.evaluation.response.readings import FaceReading, places_of
from distill.evaluation.response.summary import AttributeResponse
from distill.evaluation.response.tables import change_text, measured_text
from distill.faces.alignment import Pixels
from distill.faces.identity import SAME_PERSON
from distill.networks.edits import EditCondition

MEASURED, POSSIBLE, IDENTITY, LOST = "#2f7fb8", "#68707a", "#e07b39", "#b9c0c7"
DPI, PANEL, HEIGHT = 110, 3.3, 5.6  # dots an inch; inches: width of a column, height of the figure
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": "#20242a",
}
BLANK = 0.45  # inches below the panels, for what the lines are


def draw_response(found: Sequence[AttributeResponse]) -> bytes:
    """Draw a column an attribute as a PNG: asked and measured above, identity and lost faces by amount below."""
    with rc_context(STYLE):
        width = max(PANEL * len(found), 2 * PANEL)
        figure = Figure(figsize=(width + 0.4, HEIGHT + BLANK), dpi=DPI, layout="constrained")
        above, below = figure.subplots(
            2, len(found), sharex="col", squeeze=False, gridspec_kw={"height_ratios": (3, 2)}
        )
        for each, upper, lower in zip(found, above, below, strict=True):
            _draw_changes(each, upper)
            _draw_identity(each, lower)
        distances = [axes.get_ylim()[1] for axes in below]
        for axes in below:
            axes.set_ylim(0, max(distances))
        below[0].set_ylabel("identity distance,\nshare without a face")
        lines = {
            label: handle
            for axes in (*above, *below)
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            lines.values(),
            lines.keys(),
            loc="outside lower center",
            ncols=2 if width < 3 * PANEL else 3,
            frameon=False,
            fontsize=8,
        )
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _draw_changes(each: AttributeResponse, axes: Any) -> None:
    """Draw the measured change over what is asked, beside what can be done of it."""
    condition, asked = each.condition, np.array(each.amounts)
    axes.plot(asked, asked, ":", color=POSSIBLE, lw=1, label="as much as is asked")
    possible = np.array(each.possible_means)
    if condition.kind == "probability" and np.isfinite(possible).all():
        axes.plot(asked, possible, "--", color=POSSIBLE, lw=1.2, label="as much as a probability can")
    means = np.array(each.means)
    if np.isfinite(means).any():
        low, high = each.band
        axes.fill_between(asked, low, high, color=MEASURED, alpha=0.2, lw=0, label="80 % of the faces")
        axes.plot(asked, means, "o-", color=MEASURED, ms=4, label="measured, mean")
        title = f"slope {each.slope:.2f}, Spearman {each.spearman:.2f}"
    else:
        title = "no scorer reads it"
    axes.set_title(f"{condition.name}\n{title}", loc="left", fontsize=9)
    axes.axhline(0, color=LOST, lw=0.8, zorder=0)
    axes.axvline(0, color=LOST, lw=0.8, zorder=0)
    axes.set_ylabel(f"measured, {unit_text(condition)}")


def _draw_identity(each: AttributeResponse, axes: Any) -> None:
    """Draw how far the person is from the photo, and in how many pictures no face is found."""
    asked = np.array(each.amounts)
    axes.plot(asked, each.distance, "s-", color=IDENTITY, ms=4, label="identity: distance to the photo")
    width = 0.5 * float(np.diff(asked).min())
    axes.bar(asked, each.without_face, width, color=LOST, zorder=0, label="share without a face")
    axes.axhline(SAME_PERSON, color=IDENTITY, lw=0.8, ls="--", label=f"{SAME_PERSON:g}: another person")
    axes.set_xlabel(f"asked, {unit_text(each.condition)}")
    texts = [change_text(each.condition, amount) for amount in each.amounts]
    axes.set_xticks(asked, texts, fontsize=8)


def unit_text(condition: EditCondition) -> str:
    return condition.unit if condition.kind == "value" else "probability"


def draw_strips(readings: Sequence[FaceReading], found: Sequence[AttributeResponse]) -> Pixels:
    """Draw for each attribute the faces that kept their pictures, a row each: the photo, then amount by amount."""
    shown = [each for each in readings if each.pictures]
    sheets = [_strip_sheet(shown, place, each) for place, each in enumerate(found)]
    return np.concatenate(sheets)


def _strip_sheet(shown: Sequence[FaceReading], place: int, each: AttributeResponse) -> Pixels:
    condition, at = each.condition, places_of(place)
    captions = [condition.text(amount) or f"{condition.name} as it is" for amount in each.amounts]
    cells = [[face.pictures[0], *(face.pictures[1 + picture] for picture in at)] for face in shown]
    return grid_sheet(
        np.array(cells),
        rows=[_measured_text(face, condition, at) for face in shown],
        columns=["photo", *captions],
    )


def _measured_text(face: FaceReading, condition: EditCondition, at: Sequence[int]) -> str:
    """Say what was measured of a row: the changes, and the identity distances."""
    distances = ", ".join(
        "no face" if not np.isfinite(value) else f"{value:.2f}" for value in face.distances[at]
    )
    parts = [f"identity {distances}"]
    if condition.name in face.after:
        changes = face.after[condition.name][at] - face.before[condition.name]
        said = ", ".join(measured_text(condition, float(value)) for value in changes)
        parts.insert(0, f"{condition.name} measured {said}")
    return "; ".join(parts)
