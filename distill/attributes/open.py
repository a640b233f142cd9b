"""Open a scorer by what a user calls it: the only place that tells sources apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from distill.attributes.builtin import DEFAULT, SCORES, BuiltinScorer
from distill.attributes.face_api import NAME as FACE_API
from distill.attributes.face_api import FaceApiScorer
from distill.attributes.protocol import ChipScorer, main_scores
from distill.attributes.scorer_files import read_scorer
from distill.errors import DistillError
from distill.files import user_path

BUILTIN = "builtin"
# What the built-in scorer reads off each picture, by the attribute that is edited. On a CPU the network for age takes
# 20 times as long as that for gender (41 and 2 ms; the detector 15 ms): it is asked where age decides.
TOLD = {"gender": ("gender",), "age": ("gender", "age"), "smile": ("smile",), "yaw": ("yaw",)}


def open_scorer(
    source: str | Path,
    attributes: str | tuple[str, ...] | None = None,
    device: str | torch.device = "cpu",
) -> ChipScorer:
    """Open "builtin", "face-api", "face-api=FILE", a TOML, or a file of `distill train-classifier`.

    With `attributes`, one or several, the scorer must give them; the built-in one then opens only the networks that
    such edits need, without them those for gender and age. Raises DistillError in one line for a scorer that is not
    there, does not fit its network or lacks an attribute.
    """
    wanted = (attributes,) if isinstance(attributes, str) else attributes or ()
    scorer = _open(source, wanted, device)
    for attribute in wanted:
        if attribute not in scorer.names:
            raise DistillError(
                f"unknown attribute {attribute!r}: the scorer {str(source)!r} gives"
                f" {', '.join(main_scores(scorer))}"
            )
    return scorer


def open_builtin(wanted: Sequence[str] = (), device: str | torch.device = "cpu") -> BuiltinScorer:
    """Open the built-in networks that edits of some attributes need; all of them for an attribute that none gives."""
    told = {network for attribute in wanted for network in TOLD.get(attribute, tuple(SCORES))}
    return BuiltinScorer([name for name in SCORES if name in (told or DEFAULT)], device=device)


def _open(source: str | Path, wanted: Sequence[str], device: str | torch.device) -> ChipScorer:
    if str(source) == BUILTIN:
        return open_builtin(wanted, device)
    name, _, file = str(source).partition("=")
    if name == FACE_API:
        return FaceApiScorer(user_path(file) if file else None, device=device)
    return read_scorer(user_path(source), device)
