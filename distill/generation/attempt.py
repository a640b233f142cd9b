"""One task on one worker process: what is certain to fail again is an outcome, the rest is raised."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.errors import DistillError, os_error
from distill.generation.outcome import Outcome

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def attempt(key: str, work: Callable[[Any], Any], task: Any) -> Outcome:
    """Do `work(task)` and return how it ended.

    Raised, for the caller to try again: what may pass by itself, which is OSError other than a full disk, and
    CUDA out of memory.
    """
    try:
        return Outcome(key=key, value=work(task))
    except DistillError as error:
        return Outcome.of_error(key, error)
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        return Outcome.of_error(key, os_error(error))
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return Outcome(key=key, error=describe(error), trace=traceback.format_exc())


def describe(error: BaseException) -> str:
    """Put an exception into one line: type, message (first 500 characters), file and line that raised it."""
    message = " ".join(str(error).split())[:500]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    hint = "; a smaller --batch-size needs less memory" if is_out_of_memory(error) else ""
    return f"{type(error).__name__}: {message}{where}{hint}"


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether this is torch's error, by name: torch is not imported here."""
    return type(error).__name__ == "OutOfMemoryError"
