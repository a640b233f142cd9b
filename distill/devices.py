"""Name the GPUs that this process may use, in words that a child process understands."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from distill.errors import DistillError

_PREFIXES = ("GPU-", "MIG-")


def visible_devices() -> list[str]:
    """List one CUDA_VISIBLE_DEVICES value per usable GPU; [] without CUDA.

    Entries of an inherited list (numbers, GPU-UUIDs, MIG names) come back as they were written, in order and
    not renumbered, so each can be handed to a child process. Without a list: "0", "1", …
    Raises DistillError for a list that names a device twice, of which CUDA would show none.
    """
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
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
                f"CUDA_VISIBLE_DEVICES={listed} names device {entry} twice, of which CUDA shows none: "
                "name each once"
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
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
