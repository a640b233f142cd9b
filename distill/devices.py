"""Devices, number formats and memory of this machine: what a user may ask for, and what it means here."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from distill.errors import DistillError
from distill.files import read_regular

log = logging.getLogger(__name__)

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Format = Literal["fp32", "bf16", "fp16"]
DTYPES: dict[Format, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(precision: Precision, device: str | torch.device) -> Format:
    """Turn "auto" into the fastest format on `device` whose images stay within a grey level of float32's.

    That is fp16 on a GPU, bf16 on a CPU that multiplies it (AMX, AVX512-BF16), else fp32. Raises `DistillError` for
    a name that is no precision, and for fp16 on a CPU, which has no arithmetic for it.
    """
    if precision not in get_args(Precision):
        raise DistillError(f"precision {precision!r} is not one of {', '.join(get_args(Precision))}")
    # A device that is named need not be here: a driver may have no GPU, and its workers have.
    on_gpu = torch.cuda.is_available() if str(device) == "auto" else str(device).startswith("cuda")
    if precision == "fp16" and not on_gpu:
        raise DistillError("precision fp16 needs a GPU: use bf16 or fp32")
    if precision != "auto":
        return precision
    if on_gpu:
        return "fp16"
    return "bf16" if multiplies_bf16() else "fp32"


def resolve_training_precision(precision: Precision, device: str) -> Format:
    """Turn "auto" into what trains fast: bf16 where the processor multiplies it, fp16 on older GPUs, else fp32.

    Raises DistillError for any other name.
    """
    if precision not in ("auto", *DTYPES):
        raise DistillError(f"precision {precision!r} is not one of auto, {', '.join(DTYPES)}")
    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp16"
    return "bf16" if multiplies_bf16() else "fp32"


def multiplies_bf16() -> bool:
    """Tell whether this CPU multiplies bfloat16 in hardware (AMX, AVX512-BF16), as PyTorch sees it.

    Measured with either: in bf16 a triplet takes half the time of fp32 or less, and stays within a grey level of it.
    """
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def resolve_device(device: str) -> str:
    """Turn "auto" into "cuda" where a GPU is usable, else "cpu"; refuse a device that is not there."""
    check_device_name(device)
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        say_idle_gpus(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
        return "cpu"
    if device != "cpu" and not torch.cuda.is_available():
        raise DistillError(f"device {device!r}: no usable CUDA GPU here; use --device cpu")
    number, count = device.partition(":")[2], torch.cuda.device_count()
    if number and int(number) >= count:
        have = (
            "the only GPU here is cuda:0" if count == 1 else f"the GPUs here are cuda:0 to cuda:{count - 1}"
        )
        raise DistillError(f"device {device!r}: {have}")
    return device


@functools.cache
def say_idle_gpus(listed: str) -> None:
    """Say it once where this machine was given GPUs and torch can use none."""
    if has_no_gpu_code() and split_device_list(listed):
        log.warning(
            "note: CUDA_VISIBLE_DEVICES=%s names GPUs, but torch %s was built without CUDA: all runs on the CPU;"
            " install a CUDA build in this environment",
            listed,
            torch.__version__,
        )


def has_no_gpu_code() -> bool:
    """Tell whether this torch can use no GPU at all, whatever the machine has."""
    return torch.version.cuda is None and torch.version.hip is None


def check_device_name(device: str) -> None:
    """Refuse what names no device that this package computes on, here or elsewhere."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", device):
        raise DistillError(f"device {device!r} is not one of auto, cpu, cuda and cuda:NUMBER")


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


_PREFIXES = ("GPU-", "MIG-")


def visible_devices() -> list[str]:
    """List one CUDA_VISIBLE_DEVICES value per usable GPU; [] without CUDA.

    Entries of an inherited list (numbers, GPU-UUIDs, MIG names) come back as they were written, in order and
    not renumbered, so each can be handed to a child process. Without a list: "0", "1", …
    Raises DistillError for a list that names a device twice, of which CUDA would show none.
    """
    if has_no_gpu_code():
        return []
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return [str(index) for index in range(torch.cuda.device_count())]
    names = split_device_list(listed)
    return names[: torch.cuda.device_count()] if names else []


def split_device_list(listed: str) -> list[str]:
    """Split a CUDA_VISIBLE_DEVICES value the way CUDA reads it: up to the first negative or foreign entry.

    "" and "-1" give []; an entry of another kind than the first (number, GPU-…, MIG-…) ends the list.
    Raises DistillError for a name that stands there twice.
    """
    names: list[str] = []
    for entry in (part.strip() for part in listed.split(",")):
        if _kind(entry) is None or (names and _kind(entry) != _kind(names[0])):
            break
        if entry in names:
            raise DistillError(
                f"CUDA_VISIBLE_DEVICES={listed} names device {entry} twice, and then CUDA shows no "
                "device at all: name each once"
            )
        names.append(entry)
    return names


def worker_devices(workers: int | None, devices: Sequence[str]) -> list[str]:
    """Return a CUDA_VISIBLE_DEVICES value per worker process: a device each, or "" (no GPU) without devices.

    `workers` None: one per device, or one per usable CPU core.
    Raises DistillError for fewer than 1 worker and for more workers than devices.
    """
    if workers is not None and workers < 1:
        raise DistillError(f"{workers} workers: at least 1 is needed")
    if not devices:
        return [""] * (workers or usable_cores())
    if workers is not None and workers > len(devices):
        raise DistillError(
            f"{workers} workers for {len(devices)} visible GPUs ({', '.join(devices)}): "
            "one process drives one GPU, so ask for fewer workers"
        )
    return list(devices[:workers])


def _kind(entry: str) -> str | None:
    if entry.isdecimal():
        return "number"
    return next((prefix for prefix in _PREFIXES if entry.startswith(prefix)), None)


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """The model of this machine's processor, as far as the system tells."""
    table = Path("/proc/cpuinfo")
    lines = read_regular(table).decode().splitlines() if table.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def device_text(device: torch.device) -> str:
    """Name a device as a person knows it: the GPU's model, or the number of CPU threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type}, {threads} thread{'s' if threads > 1 else ''}"


# Names and numbers of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
KEEP = 1 << 30  # bytes of freed memory that stay with the process
AT_ONCE = 64 << 20  # bytes by which it grows


def keep_freed_memory() -> bool:
    """Let this process reuse the memory of the last batch for the next; return whether the library took the settings.

    By default glibc gives every large block back to the kernel, which clears it and hands it out again, page by
    page: thousands of page faults per triplet, and far more where Dask has lowered the threshold for its workers.
    Threads that begin after the call share the main thread's arena: one of their own holds no block above 64 MiB.
    In a worker Dask's threads were there before: it needs MALLOC_ARENA_MAX=1 in its environment as well.
    Does nothing without glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEEP), (M_TOP_PAD, AT_ONCE), (M_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in settings)
