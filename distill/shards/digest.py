"""The digest of a recipe: what two data sets of the same name share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from distill.schema import canonical_json

INFORMATIVE = ("name", "licence", "origin")  # of a recipe's generators: may differ between two runs


def digest_of(recipe: Mapping[str, Any]) -> str:
    """First 12 hex digits of sha256 over the canonical JSON, without what only informs."""
    return hashlib.sha256(canonical_json(decisive(recipe)).encode()).hexdigest()[:12]


def decisive(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe without what only informs, as its digest does."""
    found, edit = dict(recipe), recipe.get("edit")
    if isinstance(generator := recipe.get("generator"), dict):
        found["generator"] = _without_names(generator)
    if isinstance(edit, dict) and isinstance(second := edit.get("second_generator"), dict):
        found["edit"] = {**edit, "second_generator": _without_names(second)}
    return found


def _without_names(generator: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in generator.items() if key not in INFORMATIVE}
