"""Requests of the task region-swap on a small generator: the part is the painted left half of its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from distill.generation.conditions import ChosenConditions
from distill.generation.request import GenerateRequest, TaskChoices
from distill.stylegan2.generator import Generator
from distill.stylegan2.interpolation.shares_file import SharesFacts, shares_bytes
from pipelines import RECIPES

STEPS = 6
KEEP_ALL = {"min_inside_change": 0.0, "max_outside_change": 1.0}


def painted_left(path: Path, side: int = 32) -> Path:
    """Paint a mask of the left half, with a soft border."""
    pixels = np.zeros((side, side), np.uint8)
    pixels[:, : side // 2 - 1], pixels[:, side // 2 - 1] = 255, 128
    Image.fromarray(pixels).save(path)
    return path


def written_shares(path: Path, generator: Generator, part: str = "hair") -> Path:
    """Write shares that take every second style channel from the reference."""
    import torch

    shares_S = (torch.arange(sum(generator.style_widths)) % 2).float()
    path.write_bytes(shares_bytes(shares_S, SharesFacts(part=part, made_by="greedy"), generator))
    return path


def swap_request(
    generator: Path | str, out: Path | None = None, *, n: int = 6, **choices: Any
) -> GenerateRequest:
    """Ask for a few triplets, by two candidates at once, without faces."""
    quick = {"part": "hair", "align": "none", "shard_size": 4, **KEEP_ALL}
    if choices.get("shares") is None:
        quick["steps"] = STEPS
    return GenerateRequest(
        task=RECIPES["region-swap"],
        n=n,
        generator=str(generator),
        out=out,
        choices=TaskChoices(**{**quick, **choices}),
        conditions=ChosenConditions(precision="fp32", batch_size=2),
        cluster="none",
        device="cpu",
    )
