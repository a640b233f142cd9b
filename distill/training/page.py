"""The page of a run: the latest picture, scores beside the baselines, curves. It loads itself anew while it runs."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, Template

from distill.errors import DistillError
from distill.files import atomic_write, path_text
from distill.metrics.pairs import HIGHER_IS_BETTER
from distill.shards.inspect.page_style import CSS
from distill.training.curves import draw_curves, read_curves

NAME = "index.html"
BASELINES = ("copy the content", "mean of the inputs")
EVERY = 30  # seconds between two looks


@dataclass(frozen=True, kw_only=True)
class Page:
    """What does not change in the course of a run, and the name of the latest picture.

    `legend` says what the pictures show, `reals` names a picture of the data, `caution` is for a reader of scores.
    """

    title: str
    facts: Mapping[str, object] = field(default_factory=dict)
    picture: str = ""
    legend: str = ""
    reals: str = ""
    caution: str = ""


def write_page(folder: Path, page: Page, scores: Mapping[str, Mapping[str, float]], *, running: bool) -> None:
    """Write index.html: `scores` by who has them, one line each, baselines among them."""
    names = list(dict.fromkeys(name for values in scores.values() for name in values))
    best = {
        name: (max if name in HIGHER_IS_BETTER else min)(v[name] for v in scores.values() if name in v)
        for name in names
    }
    baselines = {who: values for who, values in scores.items() if who in BASELINES}
    text = _template().render(
        page=page,
        scores=scores,
        names=names,
        best=best,
        better=better_ends(names),
        curves=_curves(folder, baselines),
        running=running,
        every=EVERY,
        css=CSS,
    )
    atomic_write(folder / NAME, path_text(text, line=False).encode())


def better_ends(names: Sequence[str]) -> str:
    """Say of the scores which end is the better one."""
    more = [name.replace("_", " ") for name in names if name in HIGHER_IS_BETTER]
    if not more:
        return "Lower is better."
    return f"{' and '.join(more)}: higher is better." + (
        " All others: lower." if len(more) < len(names) else ""
    )


@cache
def _template() -> Template:
    return Environment(loader=PackageLoader("distill.training", "."), autoescape=True).get_template(
        "page.html"
    )


def _curves(folder: Path, baselines: Mapping[str, Mapping[str, float]]) -> str:
    """The curves as a data address; "" where there are none yet."""
    try:
        drawn = draw_curves([read_curves(folder)], baselines=baselines, form="svg")
    except DistillError:
        return ""
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}"
