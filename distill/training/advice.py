"""Say what to do about faults of a machine that a training run meets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from distill.errors import DiskFull, DistillError
from distill.files import NO_SPACE, path_text
from distill.stylegan2.compiling import compiler_advice

NO_MEMORY = ("out of memory", "can't allocate memory")  # of a GPU, and of a CPU that PyTorch asks


@contextmanager
def advice(less_memory: str, *, compiled: bool) -> Iterator[None]:
    """Turn exhausted memory, and a compiler that is not there, into one line with what to do."""
    try:
        with compiler_advice(compiled=compiled):
            yield
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if isinstance(error, torch.OutOfMemoryError) or any(words in text for words in NO_MEMORY):
            raise DistillError(f"out of memory {less_memory}") from error
        raise


@contextmanager
def full_disk(trainer: str, out: Path) -> Iterator[None]:
    """Name the command that goes on once there is space again. Raises DiskFull."""
    try:
        yield
    except (DiskFull, OSError) as error:
        if isinstance(error, OSError) and error.errno not in NO_SPACE:
            raise
        raise DiskFull(
            f"{path_text(out)}: no space left on the disk; free some, then the same distill train-{trainer} with"
            " --resume goes on from the last checkpoint"
        ) from error
