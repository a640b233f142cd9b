"""Run shard tasks one after the other in this process."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from distill.errors import DistillError, Interrupted, os_error
from distill.outcome import Outcome

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_inline(
    work: Callable[[Task], Result], tasks: Sequence[tuple[str, Task]], *, stop: threading.Event
) -> Iterator[Outcome]:
    """Yield one outcome per task, in order, until `stop` is set or an error concerns every task."""
    for key, task in tasks:
        if stop.is_set():
            return
        try:
            outcome = Outcome(key=key, value=work(task))
        except Interrupted:
            return
        except DistillError as error:
            outcome = Outcome.of_error(key, error)
        except OSError as error:
            outcome = Outcome.of_error(key, os_error(error))
        except Exception as error:  # a fault of one task must not take the others with it
            outcome = Outcome(key=key, error=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
        yield outcome
        if outcome.fatal:
            return
