"""Who judges an attribute: a scorer by its name or file, and whether the same one selected the data.

A student that was taught by pairs which a network picked has learned what that network likes. So the share of faces
that an edit changes is measured by another network, or reported with a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from distill.attributes.builtin import DEFAULT, SCORES, network_sha256
from distill.attributes.face_api import ENTRY, NAME, FaceApiScorer
from distill.attributes.open import BUILTIN, open_scorer
from distill.attributes.protocol import AttributeScorer
from distill.files import user_path
from distill.weights.checkpoint import file_sha256
from distill.weights.registry import entry_of

AUTO = "auto"
SELECTION = ("scorer", "scorer_sha256")  # keys of a recipe


@dataclass(frozen=True, kw_only=True, eq=False)
class Judge:
    """A scorer and what it is called; `hashes` are those that a recipe may name it by."""

    name: str
    scorer: AttributeScorer
    hashes: frozenset[str]

    def selected(self, recipe: Mapping[str, Any]) -> bool:
        """Tell whether a recipe names this scorer."""
        facts = list(_facts(recipe))
        return any(value in self.hashes or (key == "scorer" and value == self.name) for key, value in facts)


def open_judge(
    source: str = AUTO, *, attributes: Sequence[str] = (), device: str | torch.device = "cpu"
) -> Judge:
    """Open a scorer: what `open_scorer` opens, or "auto": face-api where it was fetched, else builtin.

    `attributes`: what is edited; the built-in one gives those that it has beside gender and age, and "auto" takes it
    for what face-api does not give. Raises DistillError for one that is not there, in one line that says how to get
    it.
    """
    own = [name for name in attributes if name in SCORES]
    if source == AUTO:
        entry = entry_of(ENTRY)
        there = entry is not None and entry.path.is_file() and set(own) <= set(FaceApiScorer.names)
        source = NAME if there else BUILTIN
    wanted = (*DEFAULT, *own) if source == BUILTIN else None
    scorer = open_scorer(source, wanted, device=device)
    name, hashes = str(user_path(source)), {scorer.sha256}
    if source == BUILTIN:
        name, hashes = BUILTIN, hashes | {network_sha256(attribute) for attribute in SCORES}
    elif source.partition("=")[0] == NAME:
        name = NAME
    else:
        hashes.add(file_sha256(Path(name)))
    return Judge(name=name, scorer=scorer, hashes=frozenset(hashes))


def edited(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the attributes by which a recipe says its pairs were chosen; () where it says none."""
    selection = recipe.get("select")
    if not isinstance(selection, Mapping):
        return ()
    several = selection.get("attributes", (selection.get("attribute"),))
    return (
        tuple(name for name in several if isinstance(name, str)) if isinstance(several, list | tuple) else ()
    )


def selecting(recipe: Mapping[str, Any]) -> str | None:
    """Return the scorer that a recipe says selected its data; None where it names none."""
    return next((value for key, value in _facts(recipe) if key == "scorer"), None)


def selection(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Return what a recipe says of the scorer that selected its data, as a recipe says it; {} where none did."""
    return {key: value for key, value in _facts(recipe) if key in SELECTION}


def _facts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a recipe with the last key that leads to it."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _facts(inner, str(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _facts(inner, key)
    elif isinstance(value, str):
        yield key, value
