"""Number formats and devices: what a user may ask for, and what it means on this machine."""

from __future__ import annotations

import os
from typing import Literal, get_args

import torch

from distill.errors import DistillError

Precision = Literal["auto", "fp32"]


def resolve_precision(precision: Precision, device: str | torch.device) -> Literal["fp32"]:
    """Turn "auto" into the format that runs on `device`: float32, on every one.

    Raises `DistillError` for a name that is no precision.
    """
    if precision not in get_args(Precision):
        raise DistillError(f"precision {precision!r} is none of {', '.join(get_args(Precision))}")
    return "fp32"


def resolve_device(device: str) -> str:
    """Turn "auto" into "cuda" where a GPU is usable, else "cpu"; refuse a device that is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise DistillError(f"device {device!r} is no device name; use auto, cpu or cuda") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise DistillError(f"device {device!r}: no usable CUDA GPU here; use --device cpu")
    return device


def be_reproducible() -> None:
    """Make this process compute the same bytes whatever runs beside it.

    One CPU thread per process (more of them change how sums are split), and only deterministic GPU kernels.
    """
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
        torch.use_deterministic_algorithms(True, warn_only=True)
