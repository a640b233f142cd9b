"""The inspection page: one HTML file with everything inside, for a look at a data set with one's own eyes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.files import size_text
from distill.shards.inspect.histogram import Histogram, histograms, svg
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
    selection_text,
    strengths_of,
    value_text,
)

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # nothing is loaded, nothing runs


def build_page(found: Survey, samples: Sequence[Sample], ledger: Ledger) -> str:
    """Return the page: summary, acceptance table, contact sheet, histograms, recipe. No date, no host.

    All text from the data set is escaped, and the page may load nothing: images are data URIs.
    """
    roles = list(samples[0].images) if samples else roles_of(found.recipe)
    title = page_title(found)
    drawn = histograms(
        ledger.accepted,
        ledger.scores,
        rules=rules_of(found.recipe),
        parts=roles,
        strengths=[f"{strength:+g}" for strength in strengths_of(found.recipe)],
    )
    body = [
        f"<header><h1>{escape(title)}</h1>{_lead(found, roles)}</header>",
        _notes(found),
        _section("Recipe", _facts(found)),
        _section("Acceptance", _acceptance(found)),
        _section("Contact sheet", _contact_sheet(found, samples, roles)),
        _section("Scores", _scores(drawn)),
        _section("All settings", _settings(found)),
    ]
    return _document(title, "\n".join(part for part in body if part))


def page_title(found: Survey) -> str:
    """Name the data set in one line: "style-mix: 2,000 triplets, 64 px"."""
    word = sample_word(roles_of(found.recipe))
    plural = word if found.rows == 1 else f"{word}s"
    side = value_text(found.recipe.get("resolution"))
    return f"{value_text(found.recipe.get('task'))}: {found.rows:,} {plural}, {side} px"


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


def _document(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _section(title: str, inner: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{inner}\n</section>" if inner else ""


def _lead(found: Survey, roles: Sequence[str]) -> str:
    flow = " + ".join(roles[:-1]) + f" → {roles[-1]}"
    size = size_text(sum(report.bytes for report in found.reports))
    shards = f"{len(found.reports):,} shard" + ("" if len(found.reports) == 1 else "s")
    return f'<p class="lead">{escape(flow)} <span>{shards}, {size}, digest {escape(found.digest)}</span></p>'


def _notes(found: Survey) -> str:
    lines = []
    if not found.complete:
        lines.append(
            "This data set is not complete: there is no manifest yet. The page shows the shards that are "
            "there; the command that started it resumes it."
        )
    lines += found.problems
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="notes" role="note">{items}</ul>' if lines else ""


def _facts(found: Survey) -> str:
    recipe, generator = found.recipe, generator_of(found.recipe)
    facts = {
        "Generator": generator.get("name"),
        "Its licence": generator.get("licence"),
        "Truncation ψ": recipe.get("truncation_psi"),
        "Edit": edit_text(recipe),
        "Selection": selection_text(recipe),
        "Filters": ", ".join(str(item.get("name")) for item in filters_of(recipe)) or "none",
        "Alignment": recipe.get("align"),
        "Seed": recipe.get("seed"),
        "Codec": recipe.get("codec"),
    }
    items = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(value_text(value))}</dd></div>"
        for name, value in facts.items()
        if value is not None
    )
    return f'<dl class="facts">{"".join(items)}</dl>'


def _acceptance(found: Survey) -> str:
    lines = []
    for row in acceptance(found.reports):
        kind = row.what.split(":")[0].split(" ")[0]
        bar = f'<i class="{kind}" style="width:{100 * row.share:.1f}%"></i>'
        lines.append(
            f'<tr><th scope="row">{escape(row.what)}</th><td>{row.count:,}</td><td>{row.percent}</td>'
            f'<td class="bar">{bar}</td></tr>'
        )
    columns = "".join(f'<th scope="col">{name}</th>' for name in ("candidates", "count", "share", ""))
    return f'<table class="counts"><thead><tr>{columns}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def _contact_sheet(found: Survey, samples: Sequence[Sample], roles: Sequence[str]) -> str:
    if not samples:
        return "<p>No rows to show.</p>"
    word = sample_word(roles)
    cards = "\n".join(_card(sample, roles) for sample in samples)
    text = f"{len(samples):,} of {found.rows:,} {word}s, at even distances over all shards."
    return f'<p class="hint">{text}</p>\n<div class="sheet" style="--roles:{len(roles)}">\n{cards}\n</div>'


def _card(sample: Sample, roles: Sequence[str]) -> str:
    who = f"shard {sample.shard}, candidate {sample.candidate}"
    images = "".join(
        f'<div><img src="{data_uri(sample.images[role])}" alt="{escape(f"{role} of {who}")}">'
        f"<span>{escape(role)}</span></div>"
        for role in roles
    )
    params = "".join(f" · {escape(text)}" for text in [*sample.moved, *numbers(sample.params)])
    scores = "".join(f"<li>{escape(text.replace('_', ' '))}</li>" for text in numbers(sample.scores))
    caption = f"<figcaption><b>{who}</b>{params}<ul>{scores}</ul></figcaption>"
    return f'<figure><div class="roles">{images}</div>{caption}</figure>'


def data_uri(image: NDArray[np.uint8]) -> str:
    """Encode an image [H, W, 3] for the page: PNG where it is small, a reduced JPEG where it is large."""
    side = max(image.shape[:2])
    picture = shown(image, shown_side(side) if side > SMALL else side)
    buffer = io.BytesIO()
    kind = "png" if side <= SMALL else "jpeg"
    picture.save(buffer, kind, **({} if kind == "png" else {"quality": 90, "subsampling": 0}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _scores(drawn: Sequence[Histogram]) -> str:
    if not drawn:
        return ""
    legend = (
        '<p class="hint legend"><i class="accepted"></i> accepted <i class="dropped"></i> dropped '
        '<i class="threshold"></i> threshold of the filter</p>'
    )
    figures = "\n".join(
        f"<figure><h3>{escape(item.name.replace('_', ' '))}</h3>{svg(item)}"
        f"<figcaption>{escape(_score_caption(item))}</figcaption></figure>"
        for item in drawn
    )
    return f'{legend}\n<div class="charts">\n{figures}\n</div>'


def _score_caption(item: Histogram) -> str:
    scored = int((item.accepted + item.dropped).sum())
    texts = [f"{scored:,} candidates scored"]
    if item.unscored:
        texts.append(f"{item.unscored:,} dropped without one")
    outside = [f"{name} {value:.6g}" for name, value in item.thresholds if not item.shows(value)]
    if outside:
        texts.append(f"{', '.join(outside)} lies outside the picture")
    return "; ".join(texts)


def _settings(found: Survey) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(text)}</td></tr>'
        for key, text in [*recipe_rows(found.recipe), *recipe_rows(conditions_of(found.folder))]
    )
    return f'<details><summary>The whole recipe</summary><table class="settings">{rows}</table></details>'
