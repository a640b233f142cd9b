"""What a data set's reports and recipe say, as rows of text: shared by the card and the inspection page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.shards.folder import CONDITIONS_FILE, ShardReport, read_json

READING_ORDER = (
    *("task", "inputs", "target", "generator", "resolution", "truncation_psi", "truncation_cutoff"),
    *(
        "edit",
        "noise",
        "select",
        "faces",
        "filters",
        "align",
        "seed",
        "codec",
        "latents",
        "shard_size",
    ),
    *(
        "second_generator",
        "second_draws",
        "pairing",
        "attribute",
        "direction",
        "strength",
        "fractions",
        "scorer",
        "name",
        "sha256",
        "licence",
        "origin",
        "lo",
        "hi",
    ),
)


@dataclass(frozen=True, kw_only=True)
class AcceptanceRow:
    """One line of the acceptance table; `share` is the part of all candidates tried, 0 to 1."""

    what: str
    count: int
    share: float

    @property
    def kind(self) -> str:
        """The first word: tried, accepted or dropped."""
        return self.what.split(":")[0]

    @property
    def percent(self) -> str:
        return f"{100 * self.share:.1f} %"


def acceptance(reports: Sequence[ShardReport]) -> list[AcceptanceRow]:
    """Sum the reports: candidates tried, accepted, then dropped by reason, the most frequent first."""
    tried = sum(report.tried for report in reports)
    accepted = sum(report.rows for report in reports)
    counts = [("tried", tried), ("accepted", accepted)]
    counts += [(f"dropped: {reason}", count) for reason, count in dropped_by_reason(reports).items()]
    return [AcceptanceRow(what=what, count=k, share=k / tried if tried else 0.0) for what, k in counts]


def dropped_by_reason(reports: Sequence[ShardReport]) -> dict[str, int]:
    """Sum the drops of all shards, the most frequent reason first."""
    dropped: Counter[str] = Counter()
    for report in reports:
        dropped.update(report.dropped)
    return dict(sorted(dropped.items(), key=lambda item: (-item[1], item[0])))


def roles_of(recipe: Mapping[str, Any]) -> list[str]:
    """Return the roles in reading order: the inputs, then the target."""
    inputs = recipe.get("inputs")
    names = inputs if isinstance(inputs, list | tuple) else ()
    return [*map(str, names), str(recipe.get("target", "target"))]


def generator_of(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the recipe says of its generator."""
    generator = recipe.get("generator")
    return generator if isinstance(generator, Mapping) else {}


def second_generator_of(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the recipe says of its second generator; {} where it has none."""
    second = edit_of(recipe).get("second_generator")
    return second if isinstance(second, Mapping) else {}


def edit_of(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the recipe says of its edit."""
    edit = recipe.get("edit")
    return edit if isinstance(edit, Mapping) else {}


def strengths_of(recipe: Mapping[str, Any]) -> list[float]:
    """Return how far along its direction an edit draws images; [] for other edits."""
    edit = edit_of(recipe)
    strength, fractions = edit.get("strength"), edit.get("fractions")
    if not isinstance(strength, int | float) or not isinstance(fractions, list | tuple):
        return []
    return [strength * fraction for fraction in fractions if isinstance(fraction, int | float)]


def edit_text(recipe: Mapping[str, Any]) -> str | None:
    """Name an edit in a few words; None where the recipe has none."""
    text, ring = _edit_alone(recipe), ring_of(recipe)
    return f"{text}; {ring} triplets share {ring} faces" if text and ring else text


def ring_of(recipe: Mapping[str, Any]) -> int | None:
    """Return how many candidates share as many faces; None where each has its own."""
    pairing = edit_of(recipe).get("pairing")
    length = pairing.get("length") if isinstance(pairing, Mapping) else None
    return length if isinstance(length, int) else None


def _edit_alone(recipe: Mapping[str, Any]) -> str | None:
    edit = edit_of(recipe)
    if "crossover" in edit:
        return crossover_text(edit["crossover"])
    if second := second_generator_of(recipe):
        return pairing_text(edit, value_text(second.get("name")))
    if "part" in edit:
        return part_text(edit)
    if "directions" in edit:
        return several_text(edit)
    if "direction" not in edit:
        rest = ", ".join(
            f"{key} = {value_text(value)}" for key, value in _ordered(edit) if key not in ("name", "pairing")
        )
        return ": ".join(text for text in (str(edit.get("name", "")), rest) if text) or None
    strengths = ", ".join(f"{strength:+g}" for strength in strengths_of(recipe))
    return f"{value_text(edit.get('attribute'))}: {strengths} along {value_text(edit['direction'])}"


def several_text(edit: Mapping[str, Any]) -> str:
    """Say along which directions an edit moves, how many at a time and how far."""
    items = edit["directions"] if isinstance(edit["directions"], list | tuple) else ()
    named = [value_text(item.get("direction")) for item in items if isinstance(item, Mapping)]
    attributes, at_once = edit.get("attributes"), edit.get("at_once")
    several = isinstance(attributes, list | tuple) and len(attributes) > 1
    how_many = f", up to {value_text(at_once)} at a time" if several else ""
    strength = edit.get("strength")
    most = f"{strength:g}" if isinstance(strength, int | float) else value_text(strength)
    reach = f"strengths in ±{most} along {', '.join(named)}"
    return f"{value_text(attributes)}{how_many}: {reach}"


def part_text(edit: Mapping[str, Any]) -> str:
    """Say which part an edit moves, and where the shares of the style channels come from."""
    shares = edit.get("shares")
    settings = shares.get("settings") if isinstance(shares, Mapping) else None
    steps = value_text(settings.get("steps")) if isinstance(settings, Mapping) else None
    how = f"shares of the style channels looked for in {steps} steps" if steps else "shares of a file"
    return f"{value_text(edit['part'])} of the reference onto the person, by {how}"


def pairing_text(edit: Mapping[str, Any], second: str) -> str:
    """Say how the images of two generators are paired."""
    pairing = edit.get("pairing")
    if not isinstance(pairing, Mapping) or pairing.get("name") != "embed":
        return f"the same w in {second}"
    steps, space = value_text(pairing.get("steps")), value_text(pairing.get("space"))
    return f"embedded into {second}: {space}, at most {steps} steps"


def selection_text(recipe: Mapping[str, Any]) -> str | None:
    """Say by what rule pairs are selected; None where they are not."""
    selection = recipe.get("select")
    if not isinstance(selection, Mapping):
        return None
    attributes = selection.get("attribute", selection.get("attributes"))
    return f"{value_text(selection.get('name'))} in {value_text(attributes)}"


def crossover_text(crossover: Any) -> str | None:
    """Say where a style mix takes the style's w; None for what is no crossover."""
    if not isinstance(crossover, Mapping) or not {"lo", "hi"} <= crossover.keys():
        return None
    lo, hi = crossover["lo"], crossover["hi"]
    return f"style from layer {lo}" if lo == hi else f"style from layer {lo} to {hi}, drawn per candidate"


def sample_word(roles: Sequence[str]) -> str:
    """Name one sample by its number of images: "image", "pair" or "triplet"."""
    return {1: "image", 2: "pair", 3: "triplet"}.get(len(roles), "sample")


def conditions_of(folder: Path) -> Mapping[str, Any]:
    """Return how the data set in a folder was drawn when it was begun; {} where that is not recorded."""
    path = folder / CONDITIONS_FILE
    return read_json(path) if path.is_file() else {}


def recipe_rows(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Flatten a recipe to (key, text): nested keys joined by dots, named list entries by their name.

    The order does not depend on the order of the recipe's keys.
    """
    return list(_flatten("", recipe))


def _ordered(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    places = {key: place for place, key in enumerate(READING_ORDER)}
    return sorted(table.items(), key=lambda item: (places.get(item[0], len(places)), item[0]))


def _flatten(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in _ordered(value):
            yield from _flatten(f"{key}.{name}" if key else name, inner)
    elif isinstance(value, list | tuple) and any(isinstance(inner, Mapping) for inner in value):
        for place, inner in enumerate(value):
            yield from _named_entry(key, place, inner)
    else:
        yield key, value_text(value)


def _named_entry(key: str, place: int, entry: Any) -> Iterator[tuple[str, str]]:
    if isinstance(entry, Mapping) and "name" in entry:
        rest = [(name, inner) for name, inner in _ordered(entry) if name != "name"]
        text = ", ".join(f"{name} = {value_text(inner)}" for name, inner in rest)
        yield f"{key}.{entry['name']}", text or "on"
    else:
        yield from _flatten(f"{key}.{place}", entry)


def value_text(value: Any) -> str:
    """Write one recipe value for a person: plain numbers and text, lists with commas, none for null."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {value_text(inner)}" for name, inner in _ordered(value)) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(value_text(inner) for inner in value) or "none"
    return json.dumps(value)
