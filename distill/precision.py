"""Number formats and devices: what a user may ask for, and what it means on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch

from distill.errors import DistillError

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Format = Literal["fp32", "bf16", "fp16"]
DTYPES: dict[Format, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(precision: Precision, device: str | torch.device) -> Format:
    """Turn "auto" into the fastest format on `device` whose images stay within a grey level of float32's.

    That is fp16 on a GPU, bf16 on a CPU that multiplies matrices of it (AMX), else fp32. Raises `DistillError` for
    a name that is no precision, and for fp16 on a CPU, which has no arithmetic for it.
    """
    if precision not in get_args(Precision):
        raise DistillError(f"precision {precision!r} is none of {', '.join(get_args(Precision))}")
    # A device that is named need not be here: a driver may have no GPU, and its workers have.
    on_gpu = torch.cuda.is_available() if str(device) == "auto" else str(device).startswith("cuda")
    if precision == "fp16" and not on_gpu:
        raise DistillError("precision fp16 is for GPUs: take bf16 or fp32")
    if precision != "auto":
        return precision
    if on_gpu:
        return "fp16"
    return "bf16" if has_amx() else "fp32"


def resolve_training_precision(precision: Precision, device: str) -> Format:
    """Turn "auto" into what trains fast: bf16 where the processor multiplies it, fp16 on older GPUs, else fp32."""
    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp16"
    return "bf16" if torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported() else "fp32"


def has_amx() -> bool:
    """Tell whether this CPU multiplies bfloat16 matrices in hardware, as PyTorch sees it."""
    asked: Callable[[], bool] | None = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return asked is not None and asked()


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
        # Else every new buffer is filled first, those for the copies to the host by one core: 70 ms for 48 images of
        # 1024 px. All of them are written before they are read.
        filling: Any = torch.utils.deterministic
        filling.fill_uninitialized_memory = False
