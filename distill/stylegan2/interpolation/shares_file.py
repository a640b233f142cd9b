"""The file of shares: q of every style channel and how it was made, as safetensors; of use with one generator only.

S style channels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.schema import Frozen, canonical_json, parse_json, validated
from distill.stylegan2.delta import check_parent
from distill.stylegan2.generator import Generator
from distill.stylegan2.interpolation.settings import InterpolationSettings
from distill.weights.file_kinds import kind_of, opened
from distill.weights.safe_pickle.machine import shown
from distill.weights.safetensors_file import read_tensors, safetensors_chunks

FORMAT, TENSOR, SUFFIX = "distill-channel-shares", "q", ".shares.safetensors"
MAX_BYTES = 16 << 20
LONGEST = 200  # characters of a name


class SharesFacts(Frozen):
    """What is written beside q [S]: whose `part` it moves, from whom to whom, and how it was found."""

    part: str = Field(min_length=1, max_length=LONGEST)
    made_by: Literal["crossover", "greedy", "optimised"]
    person: str = Field(default="", max_length=LONGEST)
    reference: str = Field(default="", max_length=LONGEST)
    settings: InterpolationSettings | None = None


def shares_bytes(shares_S: Tensor, how: SharesFacts, generator: Generator) -> bytes:
    """Return shares [S] as the bytes of a file, always the same ones. Raises DistillError for a misfit."""
    check_shares(shares_S, generator)
    texts = {
        "format": FORMAT,
        "generator_sha256": generator.sha256,
        "how": canonical_json(how.model_dump(mode="json")),
    }
    return b"".join(safetensors_chunks({TENSOR: shares_S.float()}, texts, torch.float32))


def read_shares(path: Path, generator: Generator) -> tuple[Tensor, SharesFacts]:
    """Read shares [S], on the generator's device, and how they were made.

    Raises DistillError, in one line, for shares of another generator, and for a file without shares or broken.
    """
    with opened(path, most=MAX_BYTES) as data:
        if kind_of(data) != "safetensors":
            raise UnsupportedCheckpoint("no shares of style channels: not safetensors")
        tensors, texts = read_tensors(path)
        if texts.get("format") != FORMAT or TENSOR not in tensors:
            raise UnsupportedCheckpoint(
                "safetensors, but no shares of style channels; distill region writes them"
            )
        how, shares_S = _how(texts.get("how", "")), tensors[TENSOR].float()
    check_parent(path, "shares of", texts.get("generator_sha256", ""), generator)
    try:
        check_shares(shares_S, generator)
    except DistillError as error:
        raise UnsupportedCheckpoint(f"{path}: {error}") from error
    return shares_S.to(generator.device), how


def check_shares(shares_S: Tensor, generator: Generator) -> None:
    """Raise DistillError for another number of channels, and for numbers outside 0..1."""
    channels = sum(generator.style_widths)
    if tuple(shares_S.shape) != (channels,):
        raise DistillError(f"shares have shape {list(shares_S.shape)}, this generator takes [{channels}]")
    if not bool(((shares_S >= 0) & (shares_S <= 1)).all()):
        raise DistillError("shares of style channels must be numbers from 0 to 1")


def _how(text: str) -> SharesFacts:
    try:
        fields = parse_json(text)
        if not isinstance(fields, dict):
            raise ValueError("not a table")
        how = validated(SharesFacts, fields)
    except (ValueError, DistillError) as error:
        raise UnsupportedCheckpoint(f"shares whose facts are broken: {shown(str(error), 100)}") from error
    names = {name: shown(getattr(how, name), LONGEST) for name in ("part", "person", "reference")}
    return how.model_copy(update=names)
