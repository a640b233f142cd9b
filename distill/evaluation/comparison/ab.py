"""A page for blind comparison: two methods' pictures of one photograph side by side, and who wins."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from PIL import Image

from distill.faces.alignment import Pixels
from distill.pixels import encode_png

SMALL = 128  # px: up to here PNG, above JPEG
QUALITY = 95


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownPhoto:
    """A photograph and what each method made of it, in the order of the methods."""

    name: str
    photo: Pixels
    outputs: Sequence[Pixels]


def ab_page(
    *, title: str, question: str, key: str, methods: Sequence[str], photos: Sequence[ShownPhoto], seed: int
) -> bytes:
    """Write the page: everything is in it. `key` names the comparison in the browser's storage."""
    data = {
        "key": key,
        "title": title,
        "question": question,
        "seed": seed,
        "methods": list(methods),
        "photos": [
            {
                "name": shown.name,
                "photo": _data_uri(shown.photo),
                "outputs": [_data_uri(image) for image in shown.outputs],
            }
            for shown in photos
        ],
        "trials": trials(len(methods), len(photos), seed),
    }
    return _template().render(title=title, question=question, data=data).encode()


def trials(methods: int, photos: int, seed: int) -> list[dict[str, Any]]:
    """Return every pair of methods on every photograph, in rounds that show each pair once.

    Order, photographs and sides are shuffled by the seed, so whoever stops early has seen all pairs about as often.
    """
    random = np.random.default_rng(seed)
    pairs = list(combinations(range(methods), 2))
    orders = [random.permutation(photos) for _ in pairs]
    found = []
    for turn in range(photos):
        for place in random.permutation(len(pairs)):
            first, second = pairs[place]
            left, right = (second, first) if random.integers(2) else (first, second)
            found.append({"photo": int(orders[place][turn]), "left": left, "right": right})
    return found


def _data_uri(image: Pixels) -> str:
    if len(image) <= SMALL:
        kind, data = "png", encode_png(image)
    else:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
        kind, data = "jpeg", buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@cache
def _template() -> Template:
    loader = PackageLoader("distill.evaluation.comparison", ".")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).get_template("ab.html")
