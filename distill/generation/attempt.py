"""One task on one worker process: tried again where that may help; however it ends, there is an outcome."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from distill.errors import DistillError, os_error

TRIES = 3  # of what may pass by itself
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a unit of work ended: its value, or the line that says why there is none.

    `fatal`: the error concerns every task (a full disk, a hopeless filter), so the driver stops; `exit_code` is
    then the one to end with. `trace` is a traceback for whoever asks for one.
    """

    key: str
    value: Any | None = None
    error: str | None = None
    fatal: bool = False
    exit_code: int = 3
    trace: str = ""

    @classmethod
    def of_error(cls, key: str, error: DistillError) -> Self:
        return cls(key=key, error=str(error), fatal=error.fatal, exit_code=error.exit_code)


def patient_attempt(key: str, work: Callable[[Any], Any], task: Any) -> Outcome:
    """Try a task again when it failed for a reason that may pass by itself; the first reason is reported."""
    errors: list[str] = []
    for _ in range(TRIES):
        try:
            return attempt(key, work, task)
        except Exception as error:
            errors.append(describe(error))
    last = "" if errors[-1] == errors[0] else f"; the last time: {errors[-1]}"
    return Outcome(key=key, error=f"{errors[0]} (tried {TRIES} times{last})")


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


def fatal_error(outcome: Outcome) -> DistillError:
    """Rebuild an error that ends the run, with its own exit code."""
    error = DistillError(outcome.error)
    error.exit_code = outcome.exit_code
    return error


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
