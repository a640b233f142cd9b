"""torch.compile where a user asked for it: what it keeps on disk, and what it says when there is no compiler."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.errors import DistillError

KEPT_AT = "TORCHINDUCTOR_CACHE_DIR"  # PyTorch's own variable
OF_COMPILER = ("torch._dynamo", "torch._inductor")


def keep_compiled(folder: Path) -> None:
    """Let this process, and those that it starts, keep what they compile in `folder`, unless the user chose one."""
    os.environ.setdefault(KEPT_AT, str(folder))


@contextmanager
def compiler_advice(*, compiled: bool) -> Iterator[None]:
    """Turn a compiler that is not there, or fails, into one line with what to do, where one was asked for."""
    try:
        yield
    except RuntimeError as error:
        if not compiled or not type(error).__module__.startswith(OF_COMPILER):
            raise
        text = " ".join(str(error).split())
        raise DistillError(f"torch.compile failed: {text[:200]}; leave --compile out") from error
