"""torch.compile: what it keeps on disk, and what to do where there is no compiler."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from pathlib import Path

from tqdm import tqdm

from distill.errors import DistillError

KEPT_AT = "TORCHINDUCTOR_CACHE_DIR"  # PyTorch's own variable
OF_COMPILER = ("torch._dynamo", "torch._inductor")


def keep_compiled(folder: Path | None) -> None:
    """Let this process, and those that it starts, keep what they compile in `folder`, unless the user chose one.

    Without a folder it is kept until the process ends.

    The compiler makes progress bars. Their lock between processes would be left behind by a worker that is killed
    when all is done, so a worker gets one for its threads.
    """
    if KEPT_AT not in os.environ:
        os.environ[KEPT_AT] = str(folder or _temporary())
    if parent_process() is not None:
        tqdm.set_lock(threading.RLock())


def _temporary() -> str:
    """Make a folder of this user alone, which goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="distill-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


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
