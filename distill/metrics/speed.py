"""How long an image takes: warm, on one device, the median of several runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

WARM_UPS, LEAST, MOST = 2, 5, 50  # runs before the clock starts, and under it
SECONDS = 3.0  # after which no new run begins, but for the least number


@dataclass(frozen=True)
class Time:
    """Milliseconds an image and how they were measured; None, and why they were not."""

    milliseconds: float | None
    how: str


def milliseconds_per_image(
    call: Callable[[], Any], *, images: int, device: str | torch.device, seconds: float = SECONDS
) -> float:
    """Time `call`, which makes so many images on `device`: the median over its runs, divided by the images."""
    for _ in range(WARM_UPS):
        call()
    took: list[float] = []
    began = time.perf_counter()
    while len(took) < LEAST or (len(took) < MOST and time.perf_counter() - began < seconds):
        _wait_for(device)
        since = time.perf_counter()
        call()
        _wait_for(device)
        took.append(time.perf_counter() - since)
    return 1000 * statistics.median(took) / images


def device_text(device: str | torch.device) -> str:
    """Name a device as a person knows it: the GPU's model, or the number of CPU threads."""
    kind = torch.device(device)
    if kind.type == "cuda":
        return torch.cuda.get_device_name(kind)
    threads = torch.get_num_threads()
    return f"{kind.type}, {threads} thread{'s' if threads > 1 else ''}"


def _wait_for(device: str | torch.device) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
