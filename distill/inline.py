"""Run shard tasks one after the other in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from distill.attempt import attempt, describe
from distill.errors import Interrupted
from distill.outcome import Outcome

Task = TypeVar("Task")
Result = TypeVar("Result")

TRIES = 3  # of what may pass by itself


def run_inline(
    work: Callable[[Task], Result], tasks: Sequence[tuple[str, Task]], *, stop: threading.Event
) -> Iterator[Outcome]:
    """Yield one outcome per task, in order, until `stop` is set or an error concerns every task."""
    for key, task in tasks:
        if stop.is_set():
            return
        outcome = patient_attempt(key, work, task)
        if outcome.exit_code == Interrupted.exit_code:
            return
        yield outcome
        if outcome.fatal:
            return


def patient_attempt(key: str, work: Callable[[Task], Result], task: Task) -> Outcome:
    """Try a task again when it failed for a reason that may pass by itself."""
    for left in reversed(range(TRIES)):
        try:
            return attempt(key, work, task)
        except Exception as error:
            if not left:
                return Outcome(key=key, error=describe(error))
    raise AssertionError("the last try returns")
