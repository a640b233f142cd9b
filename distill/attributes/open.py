"""Who scores the images of an attribute edit: the built-in networks, or a file of the user's."""

from __future__ import annotations

from distill.attributes.builtin import GenderAgeScorer
from distill.attributes.builtin_files import MODELS
from distill.attributes.load import BUILTIN, load_scorer
from distill.attributes.protocol import AttributeScorer
from distill.errors import DistillError

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
    return load_scorer(source, device=device)
