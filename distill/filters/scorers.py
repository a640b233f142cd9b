"""Who scores the images of an attribute edit: the built-in networks, or a file of the user's."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from distill.errors import DistillError
from distill.filters.attribute_models import MODELS
from distill.filters.attributes import AttributeScorer, GenderAgeScorer
from distill.shards.folder import file_sha256

BUILTIN = "builtin"
# What the built-in scorer tells of each picture, by the attribute that is edited. On a CPU the network for age takes
# 20 times as long as that for gender (41 and 2 ms; the detector 15 ms): it is asked where age decides.
TOLD = {"gender": ("gender",), "age": ("gender", "age")}


def open_scorer(source: str, attribute: str, device: str = "cpu") -> AttributeScorer:
    """Open "builtin" (gender and age), or a scorer by its file, for edits of an attribute.

    Raises DistillError for anything else, and for an attribute that the scorer does not give.
    """
    scorer = _open(source, attribute, device)
    if attribute not in scorer.names:
        raise DistillError(
            f"unknown attribute {attribute!r}: the scorer {source!r} gives {', '.join(scorer.names)}"
        )
    return scorer


def _open(source: str, attribute: str, device: str) -> AttributeScorer:
    if source == BUILTIN:
        return GenderAgeScorer(TOLD.get(attribute, tuple(MODELS)), device=device)
    if importlib.util.find_spec("distill.filters.attribute_file") is None:
        raise DistillError(f"unknown scorer {source!r}; there is {BUILTIN!r}, for gender and age")
    loader = importlib.import_module("distill.filters.attribute_file")
    scorer: AttributeScorer = loader.load_scorer(source, device=device)
    return scorer


def scorer_sha256(scorer: AttributeScorer, source: str) -> str:
    """Return a sha256 that stands for the weights of a scorer: its own, else that of its file.

    The built-in one has several files; theirs are hashed together.
    """
    own = getattr(scorer, "sha256", None)
    if isinstance(own, str) and own:
        return own
    if isinstance(scorer, GenderAgeScorer):
        hashes = " ".join(f"{name} {MODELS[name].sha256}" for name in scorer.attributes)
        return hashlib.sha256(hashes.encode()).hexdigest()
    return file_sha256(Path(source).expanduser())
