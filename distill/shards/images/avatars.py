"""Drawn faces by DiceBear: one avatar a seed, its attributes as labels, its licence on record.

Needs the packages of `distill[avatars]`; everything is drawn offline. The pictures are those of the artists
named in each style's licence, which goes into the recipe.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.errors import DistillError
from distill.files import read_regular

PACKAGES = {"dicebear": "dicebear-core", "dicebear_styles": "dicebear-styles", "resvg_py": "resvg-py"}

BACKGROUND = "#ffffff"
NEUTRAL = frozenset((0, 1, False, "solid"))  # not turned, not moved, not scaled, …

VIEW_BOX = re.compile(r'viewBox="[^"]*"')
Pixels = NDArray[np.uint8]
Options = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class AvatarLook:
    """How a style is drawn. `frame` is (left, top, side) on its canvas, framing the head about as FFHQ does.

    `options` go to DiceBear. `never` lists (attribute, value, other attribute): an avatar with the first is
    drawn without the other.
    """

    frame: tuple[float, float, float] | None = None
    options: Options = field(default_factory=dict)
    never: tuple[tuple[str, str, str], ...] = ()


# Frames by eye positions: eyes at 0.48 of the height, as FFHQ has them. The styles themselves give every
# second head a beard, whatever its hair.
LOOKS: dict[str, AvatarLook] = {
    "toon-head": AvatarLook(
        frame=(56, 88, 656), options={"beardProbability": 30}, never=(("hairVariant", "bun", "beard"),)
    ),
    "avataaars": AvatarLook(frame=(26, 8, 228)),
}


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


def draw(style: str, seed: str, resolution: int) -> tuple[Pixels, dict[str, Any]]:
    """Draw the avatar of one seed; return [H, W, 3] and its resolved attributes."""
    avatar, options = _resolved(style, seed)
    svg, look, resvg = avatar.to_string(), LOOKS.get(style, AvatarLook()), _package("resvg_py")
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


def attributes_of(style: str, seed: str) -> dict[str, Any]:
    """Return the resolved attributes of the avatar of one seed; nothing is drawn."""
    return _resolved(style, seed)[1]


def _resolved(style: str, seed: str) -> tuple[Any, dict[str, Any]]:
    look, dicebear = LOOKS.get(style, AvatarLook()), _package("dicebear")
    avatar = dicebear.Avatar(_style(style), {**look.options, "seed": seed})
    options = avatar.to_json()["options"]
    unwanted = [other for name, value, other in look.never if options.get(name) == value]
    if unwanted:
        without = {f"{other}Probability": 0 for other in unwanted}
        avatar = dicebear.Avatar(_style(style), {**look.options, **without, "seed": seed})
        options = avatar.to_json()["options"]
    return avatar, options


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
    text = read_regular(str(files(_package("dicebear_styles")).joinpath(f"{style}.json")))
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
