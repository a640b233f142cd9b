"""The measures for people and for machines: a table, JSON, the section of a model card, the files in a folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill.evaluation.assessment_folder import MEASURES, write_results
from distill.evaluation.card_section import write_card
from distill.evaluation.generator_metrics.names import LS
from distill.evaluation.generator_metrics.pictures import make_pictures
from distill.evaluation.generator_metrics.plan import MetricsRun
from distill.evaluation.generator_metrics.published import FIGURES, NETWORK, SEPARABILITY, SOURCE
from distill.evaluation.generator_metrics.results import Measured, MetricResult
from distill.evaluation.report import aligned
from distill.faces.outputs import OutputFolder
from distill.shards.card import code, escape

SECTION = "metrics"  # its marks in a card
NONE = "–"


def table(run: MetricsRun, measured: Measured) -> str:
    """Write a row for each measure, a column for each ψ, and the published figures of the same names."""
    psis = sorted({result.psi for result in measured.results})
    rows: dict[str, dict[float, MetricResult]] = {}
    for result in measured.results:
        rows.setdefault(result.base, {})[result.psi] = result
    shown = any(base in FIGURES for base in rows)
    head = ["", *(f"ψ {psi:g}" for psi in psis), *([f"published: {NETWORK}"] if shown else [])]
    lines = [head]
    for base, found in rows.items():
        first = next(iter(found.values()))
        arrow = "↑" if first.higher_is_better else "↓"
        cells = [_cell(found.get(psi)) for psi in psis]
        figure = [FIGURES[base].text() if base in FIGURES else NONE] if shown else []
        lines.append([f"{base} {arrow}", *cells, *figure])
    return aligned(lines)


def _cell(result: MetricResult | None) -> str:
    if result is None:
        return NONE
    error = "" if result.error is None else f" ± {number(result.error)}"
    return f"{number(result.value)}{error}"


def number(value: float) -> str:
    """Write what counts: 4 digits, never with a power of ten."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 3 if abs(value) < 1 else 2
    return f"{value:.{digits}f}" if abs(value) >= 0.001 else f"{value:.5f}"


def attribute_table(measured: Measured) -> str:
    """Write a row for each attribute: bits that stay unknown, and the share on the right side, in z and w."""
    head = ["attribute", "samples", "bits in z ↓", "bits in w ↓", "right in z", "right in w"]
    rows = [
        [
            one.attribute,
            f"{one.samples:,}",
            number(one.z.bits),
            number(one.w.bits),
            f"{one.z.accuracy:.1%}".replace("%", " %"),
            f"{one.w.accuracy:.1%}".replace("%", " %"),
        ]
        for one in measured.attributes
    ]
    return aligned([head, *rows])


def notes(run: MetricsRun, measured: Measured) -> list[str]:
    """Say what stands in a result's place, and how it was taken."""
    said = list(run.readers.notes)
    said += [
        f"{features} taught the generator as its critic: what is measured by it flatters"
        for features in sorted({result.features for result in measured.results if result.flattering})
    ]
    if run.pictures and (averaged := run.picture_side) != run.generator.resolution:
        said.append(f"the pictures were averaged from {averaged} to {run.generator.resolution} px")
    if run.request.count(LS):
        sides = [name for name, kind in run.readers.kinds.items() if kind != "probability"]
        said += [f"{name} is told apart at the median of the samples" for name in sides]
    return said


def published_line() -> str:
    figures = ", ".join(f"{name} {figure.text()}" for name, figure in FIGURES.items())
    return f"Published for {NETWORK} ({SOURCE}): {figures}; {SEPARABILITY}"


def basis(run: MetricsRun) -> str:
    """Say what was measured, in a sentence without its end."""
    about = run.about
    text = f"Samples of {code(str(about['name']))} (sha256 {code(str(about['sha256'])[:12])}…), as many as the names"
    text += f" say, seed {run.request.seed}"
    if run.pictures and run.request.data:
        used, total = f"{run.pictures.rows:,}", f"{run.total_pictures:,}"
        text += f", beside {used} of {total} pictures ({code(run.request.data.resolve().name)})"
    return f"{text}, at {run.generator.resolution} px"


def section(run: MetricsRun, measured: Measured) -> str:
    """Return the Markdown section of a model card."""
    parts = ["## Metrics", f"{basis(run)}.", table(run, measured)]
    parts += [attribute_table(measured)] if measured.attributes else []
    if said := notes(run, measured):
        parts.append("\n".join(f"- {escape(line)}" for line in said))
    return "\n\n".join([*parts, f"{escape(published_line())}."]) + "\n"


def to_json(run: MetricsRun, measured: Measured) -> dict[str, Any]:
    """Return everything as plain values."""
    request = run.request
    pictures = None
    if run.pictures and request.data:
        pictures = {
            "name": request.data.resolve().name,
            "used": run.pictures.rows,
            "total": run.total_pictures,
            "side": run.picture_side,
            "digest": run.pictures.source.settings["digest"],
        }
    return {
        "distill": measured.distill,
        "generator": dict(run.about),
        "seed": request.seed,
        "psi": list(request.psi),
        "pictures": pictures,
        "results": [
            {key: value for key, value in asdict(result).items() if key != "base"}
            for result in measured.results
        ],
        "attributes": [asdict(one) for one in measured.attributes],
        "path_lengths": {name: asdict(length) for name, length in measured.lengths.items()},
        "published": {
            "network": NETWORK,
            "source": SOURCE,
            "figures": {name: asdict(figure) for name, figure in FIGURES.items()},
            "separability": SEPARABILITY,
        },
        "notes": notes(run, measured),
    }


def write_metrics(run: MetricsRun, measured: Measured, outputs: OutputFolder) -> list[Path]:
    """Write JSON, section and pictures, and the section into the card that was asked for; return the paths."""
    files = make_pictures(run, measured)
    text = json.dumps(to_json(run, measured), indent=2, ensure_ascii=False)
    files["metrics.json"] = f"{text}\n".encode()
    files["metrics.md"] = section(run, measured).encode()
    written = write_results(outputs, files, MEASURES)
    if card := run.request.card:
        written.append(write_card(card, section(run, measured), SECTION))
    return written


def text(run: MetricsRun, measured: Measured) -> str:
    """Return what the command prints."""
    parts = [table(run, measured)]
    parts += [attribute_table(measured)] if measured.attributes else []
    if said := notes(run, measured):
        parts.append("\n".join(f"note: {line}" for line in said))
    return "\n\n".join([*parts, published_line()])
