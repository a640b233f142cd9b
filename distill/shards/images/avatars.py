"""Drawn faces by DiceBear: one avatar a seed, its attributes as labels, its licence on record.

Needs the packages of `distill[avatars]`; everything is drawn offline. The pictures are those of the artists
named in each style's licence, which goes into the file.
"""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module, metadata
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.errors import DistillError
from distill.parallel import ordered
from distill.shards.images.write import ImageWriter, Label, Written

PACKAGES = {"dicebear": "dicebear-core", "dicebear_styles": "dicebear-styles", "resvg_py": "resvg-py"}
BATCH = 32  # avatars a task
BACKGROUND = "#ffffff"
NEUTRAL = frozenset((0, 1, False, "solid"))  # not turned, not moved, not scaled, …
ABSENT = "none"  # the label of an attribute that an avatar does not have
VIEW_BOX = re.compile(r'viewBox="[^"]*"')
Pixels = NDArray[np.uint8]
Options = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a style is drawn. `frame` is (left, top, side) on its canvas, framing the head about as FFHQ does.

    `options` go to DiceBear. `never` lists (attribute, value, other attribute): an avatar with the first is
    drawn without the other.
    """

    frame: tuple[float, float, float] | None = None
    options: Options = field(default_factory=dict)
    never: tuple[tuple[str, str, str], ...] = ()


# Frames by eye positions: eyes at 0.48 of the height, as FFHQ has them. The styles themselves give every
# second head a beard, whatever its hair.
LOOKS: dict[str, Look] = {
    "toon-head": Look(
        frame=(56, 88, 656), options={"beardProbability": 30}, never=(("hairVariant", "bun", "beard"),)
    ),
    "avataaars": Look(frame=(26, 8, 228)),
}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Avatars `first` to `first` + `count` of one set."""

    style: str
    seed: int
    first: int
    count: int
    resolution: int


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Licence and artist of a style; `attribution` is the line to show beside the pictures."""

    name: str
    url: str
    creator: str
    origin: str
    attribution: str


def licences() -> dict[str, Licence]:
    """Return the licence of every known style."""
    folder = files(_package("dicebear_styles"))
    names = sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )
    return {name: _licence(_definition(name)["meta"]) for name in names}


def licence_of(style: str) -> Licence:
    """Return the licence of a style; DistillError for an unknown one, listing all, and for letters."""
    for package in PACKAGES:
        _package(package)
    known = licences()
    if style not in known:
        by_licence: dict[str, list[str]] = {}
        for name, licence in known.items():
            by_licence.setdefault(licence.name, []).append(name)
        listed = "; ".join(f"{name}: {', '.join(styles)}" for name, styles in sorted(by_licence.items()))
        raise DistillError(f"no style {style!r}; the styles by licence are {listed}")
    if '"font-family"' in json.dumps(_definition(style)):
        raise DistillError(
            f"style {style!r} draws letters, which would differ with the fonts of each machine"
        )
    return known[style]


def render(
    style: str,
    n: int,
    out: Path,
    *,
    resolution: int,
    seed: int,
    stop: threading.Event,
    workers: int = 1,
    progress: Callable[[int], None] = lambda pictures: None,
) -> Written:
    """Draw avatars 0 to n - 1 of a style, each by the seed "SEED-INDEX", and write them as an image set.

    Labels are the attributes that differ among them. The bytes depend on style, n, resolution, seed and the
    versions of the packages, which stand in the file. Raises Interrupted when `stop` is set.
    """
    licence = licence_of(style)
    attributes = Attributes()
    with ImageWriter(out, resolution) as writer:
        for images, options in ordered(
            render_batch, batches(style, n, resolution=resolution, seed=seed), workers=workers, stop=stop
        ):
            for image in images:
                writer.add(image)
            for resolved in options:
                attributes.add(resolved)
            progress(len(images))
        labels, same = attributes.labels()
        source = {
            "kind": "avatars",
            "style": style,
            "seed": seed,
            "frame": LOOKS.get(style, Look()).frame,
            "licence": licence.__dict__,
            "same": same,
            "packages": {name: metadata.version(name) for name in PACKAGES.values()},
        }
        names = [f"{seed}-{index}" for index in range(n)]
        return writer.commit(names=names, labels=labels, weight=None, source=source)


def batches(style: str, n: int, *, resolution: int, seed: int) -> list[Batch]:
    """Divide avatars 0 to n - 1 into tasks."""
    return [
        Batch(style=style, seed=seed, first=first, count=min(BATCH, n - first), resolution=resolution)
        for first in range(0, n, BATCH)
    ]


def render_batch(batch: Batch) -> tuple[Pixels, list[dict[str, Any]]]:
    """Return images [count, H, W, 3] and the resolved attributes of each."""
    drawn = [
        draw(batch.style, f"{batch.seed}-{batch.first + index}", batch.resolution)
        for index in range(batch.count)
    ]
    return np.stack([image for image, _ in drawn]), [options for _, options in drawn]


def draw(style: str, seed: str, resolution: int) -> tuple[Pixels, dict[str, Any]]:
    """Draw the avatar of one seed; return [H, W, 3] and its resolved attributes."""
    look = LOOKS.get(style, Look())
    dicebear, resvg = _package("dicebear"), _package("resvg_py")
    avatar = dicebear.Avatar(_style(style), {**look.options, "seed": seed})
    options = avatar.to_json()["options"]
    unwanted = [other for name, value, other in look.never if options.get(name) == value]
    if unwanted:
        without = {f"{other}Probability": 0 for other in unwanted}
        avatar = dicebear.Avatar(_style(style), {**look.options, **without, "seed": seed})
        options = avatar.to_json()["options"]
    svg = avatar.to_string()
    if look.frame:
        left, top, side = look.frame
        svg = VIEW_BOX.sub(f'viewBox="{left:g} {top:g} {side:g} {side:g}"', svg, count=1)
    png = resvg.svg_to_bytes(
        svg_string=svg,
        width=resolution,
        height=resolution,
        background=BACKGROUND,
        skip_system_fonts=True,
    )
    with Image.open(io.BytesIO(bytes(png))) as picture:
        return np.array(picture.convert("RGB")), options


class Attributes:
    """The resolved attributes of many avatars, by column: `values` maps a key to one value each, or None."""

    def __init__(self) -> None:
        self.count = 0
        self.values: dict[str, list[Any]] = {}

    def add(self, options: Options) -> None:
        """Append one avatar's attributes."""
        for key in options.keys() - self.values.keys():
            self.values[key] = [None] * self.count
        for key, column in self.values.items():
            value = options.get(key)
            text = ",".join(map(str, value)) or ABSENT if isinstance(value, list) else value
            column.append(sys.intern(text) if isinstance(text, str) else text)
        self.count += 1

    def labels(self) -> tuple[dict[str, Label], dict[str, Any]]:
        """Return the attributes that differ as columns [N], and those that are the same wherever they occur.

        Numbers are float32, NaN where an avatar lacks the attribute; all else is text, there "none".
        """
        labels: dict[str, Label] = {}
        same: dict[str, Any] = {}
        for key, values in sorted(self.values.items()):
            occurring = set(values) - {None, ABSENT}
            optional = key.endswith("Variant") and None in values
            if len(occurring) < 2 and not (occurring and optional):
                if occurring - NEUTRAL:
                    same[key] = occurring.pop()
            elif all(type(value) in (int, float) for value in occurring):
                labels[key] = np.array([np.nan if value is None else value for value in values], dtype="<f4")
            else:
                labels[key] = [ABSENT if value is None else str(value) for value in values]
        return labels, same


def _licence(meta: Mapping[str, Any]) -> Licence:
    licence, creator, origin = (meta.get(key) or {} for key in ("license", "creator", "source"))
    text = " ".join(str(licence.get("text", "")).split())
    return Licence(
        name=str(licence.get("name", "unknown")).rstrip("."),
        url=str(licence.get("url", "")),
        creator=str(creator.get("name", "unknown")),
        origin=str(origin.get("url", "")),
        attribution=text[:2000],
    )


def _definition(style: str) -> dict[str, Any]:
    text = files(_package("dicebear_styles")).joinpath(f"{style}.json").read_text("utf-8")
    definition: dict[str, Any] = json.loads(text)
    return definition


@lru_cache(maxsize=4)
def _style(style: str) -> Any:
    return _package("dicebear").Style(_definition(style))


def _package(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise DistillError(
            f"avatars need the package {PACKAGES[name]}: pip install 'distill[avatars]'"
        ) from error
