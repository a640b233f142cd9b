"""The page of a run: the latest picture, scores beside the baselines, curves. It loads itself anew while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from distill.errors import DistillError
from distill.files import atomic_write
from distill.metrics.pairs import HIGHER_IS_BETTER
from distill.shards.inspect.page_style import CSS
from distill.training.curves import read_curves
from distill.training.pix2pix.panels import panels

NAME = "index.html"
BASELINES = ("copy the content", "mean of the inputs")
EVERY = 30  # seconds between two looks
POLICY = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"
MORE = """\
img { max-width: 100%; height: auto; }
.best { font-weight: 600; }
svg .curve { fill: none; stroke: var(--good); stroke-width: 1.5; stroke-linejoin: round; }
"""


@dataclass(frozen=True, kw_only=True)
class Page:
    """What does not change in the course of a run, and the name of the latest picture."""

    title: str
    noun: str  # of a row: triplet, pair
    facts: Mapping[str, object] = field(default_factory=dict)
    picture: str = ""


def write_page(folder: Path, page: Page, scores: Mapping[str, Mapping[str, float]], *, running: bool) -> None:
    """Write index.html: `scores` of student and baselines by name, one line each."""
    state = f"It is looked at again every {EVERY} seconds." if running else "The run has ended."
    picture = f'<img src="{escape(page.picture)}" alt="inputs, output and target">' if page.picture else ""
    refresh = f'<meta http-equiv="refresh" content="{EVERY}">\n' if running else ""
    body = [
        f'<header><h1>{escape(page.title)}</h1><p class="lead">{escape(state)}</p></header>',
        _section("Held-out samples", picture or '<p class="hint">The first picture is on its way.</p>'),
        _section("Scores on what is held out", _table(scores)),
        _section("Curves", _curves(folder, scores)),
        _section("Settings", _facts(page.facts)),
    ]
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n{refresh}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(page.title)}</title>\n<style>\n{CSS}{MORE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )
    atomic_write(folder / NAME, text.encode())


def _curves(folder: Path, scores: Mapping[str, Mapping[str, float]]) -> str:
    try:
        found = read_curves(folder)
    except DistillError:
        return '<p class="hint">The first numbers are on their way.</p>'
    baselines = {who: values for who, values in scores.items() if who in BASELINES}
    return f'{panels(found, baselines)}<p class="hint">Over thousands of images seen.</p>'


def _section(title: str, inner: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{inner}\n</section>" if inner else ""


def _table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """One line for each of student and baselines, the best of each column in bold."""
    names = list(dict.fromkeys(name for values in scores.values() for name in values))
    if not names:
        return ""
    best = {
        name: (max if name in HIGHER_IS_BETTER else min)(v[name] for v in scores.values() if name in v)
        for name in names
    }
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in names)
    lines = []
    for who, values in scores.items():
        cells = "".join(_cell(values.get(name), best[name]) for name in names)
        lines.append(f"<tr><th>{escape(who)}</th>{cells}</tr>")
    return (
        f'<table class="counts"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
        '<p class="hint">SSIM: more is better. All others: less.</p>'
    )


def _cell(value: float | None, best: float) -> str:
    if value is None:
        return "<td></td>"
    return f'<td class="best">{value:.4g}</td>' if value == best else f"<td>{value:.4g}</td>"


def _facts(facts: Mapping[str, object]) -> str:
    items = (
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in facts.items()
    )
    return f'<dl class="facts">{"".join(items)}</dl>'
