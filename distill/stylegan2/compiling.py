"""torch.compile: for which runs, what it keeps on disk, and what it says when there is no compiler."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from distill.errors import DistillError

if TYPE_CHECKING:
    from distill.generation.recipe import Recipe

KEPT_AT = "TORCHINDUCTOR_CACHE_DIR"  # PyTorch's own variable
OF_COMPILER = ("torch._dynamo", "torch._inductor")
# Unasked from so many triplets on, of 256 px or more: compiling takes one to two minutes. In fp32 on a CPU a compiled
# triplet of 256 px takes a second of a core less, one of 512 px 1.2 seconds; in bf16 0.07 and 0.12. On GPUs nothing
# is measured.
LONG_RUNS = {"fp32": 500, "bf16": 5000}
LARGE = 256  # px


def pays(recipe: Recipe, n: int, *, precision: str, device: str) -> bool:
    """Tell whether to compile the generator for a run of `n` rows unasked."""
    long = n >= LONG_RUNS.get(precision, sys.maxsize) and recipe.generator.resolution >= LARGE
    return long and device == "cpu" and has_compiler()


def has_compiler() -> bool:
    """Tell whether this machine has what torch.compile needs for a CPU: a C++ compiler and Python's headers."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")  # as PyTorch chooses it
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return shutil.which(name) is not None and headers.is_file()


def keep_compiled(folder: Path) -> None:
    """Let this process, and those that it starts, keep what they compile in `folder`, unless the user chose one.

    The compiler makes progress bars. Their lock between processes would be left behind by a worker that is killed
    when all is done, so a worker gets one for its threads.
    """
    os.environ.setdefault(KEPT_AT, str(folder))
    if parent_process() is not None:
        tqdm.set_lock(threading.RLock())


@contextmanager
def compiler_advice(*, compiled: bool, instead: str = "leave --compile out") -> Iterator[None]:
    """Turn a compiler that is not there, or fails, into one line with what to do, where one was asked for."""
    try:
        yield
    except RuntimeError as error:
        if not compiled or not type(error).__module__.startswith(OF_COMPILER):
            raise
        text = " ".join(str(error).split())
        raise DistillError(f"torch.compile failed: {text[:200]}; {instead}") from error
