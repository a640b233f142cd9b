"""Compare two states of a run, bit for bit."""

from __future__ import annotations

import torch


def differences(a: object, b: object, at: str = "") -> list[str]:
    """Name where two states differ in any bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = sorted({*a, *b}, key=str)
        return [d for key in keys for d in differences(a.get(key), b.get(key), f"{at}/{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [d for i, pair in enumerate(zip(a, b, strict=True)) for d in differences(*pair, f"{at}/{i}")]
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return [] if torch.equal(a, b) else [at]
    return [] if a == b else [at]
