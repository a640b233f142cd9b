"""Say what to do about faults of a machine that a training run meets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from distill.errors import DistillError
from distill.networks.pix2pixhd import Norm
from distill.stylegan2.compiling import compiler_advice
from distill.training import processes

NO_MEMORY = ("out of memory", "can't allocate memory")  # of a GPU, and of a CPU that PyTorch asks


@contextmanager
def advice(batch: int, accumulate: int, *, norm: Norm, compiled: bool) -> Iterator[None]:
    """Turn exhausted memory, and a compiler that is not there, into one line with what to do."""
    try:
        with compiler_advice(compiled=compiled):
            yield
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if isinstance(error, torch.OutOfMemoryError) or any(words in text for words in NO_MEMORY):
            raise DistillError(memory_line(batch, accumulate, norm)) from error
        raise


def memory_line(batch: int, accumulate: int, norm: Norm) -> str:
    """Name the first choice that takes less memory and changes no result.

    Batch normalisation looks at all images of a part, so to cut a batch into more parts does change the result.
    """
    at_once = batch // processes.world_size() // accumulate
    if at_once > 1 and norm == "instance":
        divisor = next(k for k in range(2, at_once + 1) if at_once % k == 0)
        first = f"--accumulate {accumulate * divisor} gives the same result in less memory"
    else:
        first = "--lean gives the same result in less memory"
    return (
        f"out of memory with {at_once} images at once: {first}; then --lean, --precision bf16, a smaller --ngf or"
        " --resolution"
    )
