"""The inspection page: one HTML file with everything inside, for a look at a data set with one's own eyes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from numpy.typing import NDArray

from distill.progress import plural, size_text
from distill.shards.change_counts import change_lines
from distill.shards.changes import measured_attributes
from distill.shards.inspect.histogram import Histogram, bins, count, draw_svg, histograms
from distill.shards.inspect.labels import label_charts, label_counts, label_texts
from distill.shards.inspect.page_style import CSS
from distill.shards.inspect.sheet import SMALL, numbers, shown, shown_side
from distill.shards.inspect.survey import Ledger, Sample, Survey
from distill.shards.summary import (
    acceptance,
    conditions_of,
    edit_text,
    generator_of,
    recipe_rows,
    roles_of,
    sample_word,
    second_generator_of,
    selection_text,
    strengths_of,
    value_text,
)


def build_page(found: Survey, samples: Sequence[Sample], ledger: Ledger) -> str:
    """Return the page: summary, acceptance table, contact sheet, histograms, recipe. No date, no host.

    All text from the data set is escaped, and the page may load nothing: images are data URIs.
    """
    roles = list(samples[0].images)
    drawn = histograms(
        ledger.accepted,
        ledger.scores,
        rules=rules_of(found.recipe),
        parts=roles,
        strengths=[f"{strength:+g}" for strength in strengths_of(found.recipe)],
    )
    size = size_text(sum(report.bytes for report in found.reports))
    return _template().render(
        css=CSS,
        title=page_title(found),
        found=found,
        roles=roles,
        noun=sample_word(roles),
        size=f"{plural(len(found.reports), 'shard')}, {size}",
        facts=_facts(found.recipe),
        acceptance=acceptance(found.reports),
        samples=samples,
        histograms=drawn,
        change_charts=change_charts(found.recipe, ledger),
        change_lines={item.attribute: change_lines([item])[0] for item in found.changes},
        settings=[*recipe_rows(found.recipe), *recipe_rows(conditions_of(found.folder))],
        numbers=numbers,
        label_counts=label_counts(ledger.labels),
        label_charts=label_charts(ledger.labels),
        label_texts=label_texts,
        data_uri=data_uri,
        chart_uri=chart_uri,
        caption=_caption,
    )


@cache
def _template() -> Template:
    loader = PackageLoader("distill.shards.inspect", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html")


def page_title(found: Survey) -> str:
    """Name the data set in one line: "style-mix: 2,000 triplets, 64 px"."""
    word = sample_word(roles_of(found.recipe))
    plural = word if found.rows == 1 else f"{word}s"
    side = value_text(found.recipe.get("resolution"))
    if "width" in found.recipe:
        side = f"{value_text(found.recipe['width'])}×{side}"
    return f"{value_text(found.recipe.get('task'))}: {found.rows:,} {plural}, {side} px"


def change_charts(recipe: Mapping[str, Any], ledger: Ledger) -> list[Histogram]:
    """Count the measured changes of each attribute; pairs that were asked for it stand where accepted ones do."""
    charts = []
    for k, name in enumerate(measured_attributes(recipe)):
        asked_N, changes_N = ledger.asked[:, k] != 0, ledger.changes[:, k]
        charts.append(count(name, asked_N, changes_N, edges=bins(changes_N)))
    return charts


def filters_of(recipe: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the recipe's filters that are tables, in order."""
    filters = recipe.get("filters")
    items = filters if isinstance(filters, list | tuple) else ()
    return [item for item in items if isinstance(item, Mapping)]


def rules_of(recipe: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what holds scores against bounds: selection, face search and filters."""
    select, faces = recipe.get("select"), recipe.get("faces")
    rules = [*filters_of(recipe), select] if isinstance(select, Mapping) else filters_of(recipe)
    return [{"name": "face", **faces}, *rules] if isinstance(faces, Mapping) else rules


def _facts(recipe: Mapping[str, Any]) -> dict[str, str]:
    """The main settings, in words."""
    generator, second = generator_of(recipe), second_generator_of(recipe)
    facts = {
        "Source": _source_text(recipe.get("source")),
        "Generator": generator.get("name"),
        "Its licence": generator.get("licence"),
        "Second generator": second.get("name"),
        "The second's licence": second.get("licence"),
        "Truncation ψ": recipe.get("truncation_psi"),
        "Edit": edit_text(recipe),
        "Selection": selection_text(recipe),
        "Filters": _filters_text(recipe),
        "Alignment": recipe.get("align"),
        "Seed": recipe.get("seed"),
        "Codec": recipe.get("codec"),
    }
    return {name: value_text(value) for name, value in facts.items() if value is not None}


def _source_text(source: Any) -> str | None:
    """Name what the images were before: "folders, my-pairs"; None where they were drawn."""
    if not isinstance(source, Mapping):
        return None
    return ", ".join(value_text(source[key]) for key in ("kind", "folder") if key in source) or None


def _filters_text(recipe: Mapping[str, Any]) -> str | None:
    names = ", ".join(str(item.get("name")) for item in filters_of(recipe))
    return names or (None if "source" in recipe else "none")


def data_uri(image: NDArray[np.uint8]) -> str:
    """Encode an image [H, W, 3] for the page: PNG where it is small, a reduced JPEG where it is large."""
    side = max(image.shape[:2])
    picture = shown(image, shown_side(side) if side > SMALL else side)
    buffer = io.BytesIO()
    kind = "png" if side <= SMALL else "jpeg"
    picture.save(buffer, kind, **({} if kind == "png" else {"quality": 90, "subsampling": 0}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def chart_uri(histogram: Histogram) -> str:
    """Draw a histogram for the page."""
    return f"data:image/svg+xml;base64,{base64.b64encode(draw_svg(histogram)).decode()}"


def _caption(histogram: Histogram) -> str:
    scored = int((histogram.accepted + histogram.dropped).sum())
    texts = [f"{scored:,} candidates scored"]
    if histogram.unscored:
        texts.append(f"{histogram.unscored:,} dropped without one")
    limits = [
        f"{name} {value:.6g}{'' if histogram.shows(value) else ' (outside the picture)'}"
        for name, value in sorted(histogram.thresholds, key=lambda limit: limit[1])
    ]
    return "; ".join([*texts, *([", ".join(limits)] if limits else [])])
