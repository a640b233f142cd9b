"""Run shard tasks in this process, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from distill.errors import Interrupted
from distill.generation.attempt import Outcome, attempt, describe

TRIES = 3  # of what may pass by itself


def run_here(
    work: Callable[[Any], Any], tasks: Sequence[tuple[str, Any]], *, stop: threading.Event
) -> Iterator[Outcome]:
    """Yield one outcome per task, in order, until `stop` is set or an error concerns every task.

    A task may itself raise `Interrupted`, which ends the run without an outcome.
    """
    for key, task in tasks:
        if stop.is_set():
            return
        outcome = patient_attempt(key, work, task)
        if outcome.exit_code == Interrupted.exit_code:
            return
        yield outcome
        if outcome.fatal:
            return


def patient_attempt(key: str, work: Callable[[Any], Any], task: Any) -> Outcome:
    """Try a task again when it failed for a reason that may pass by itself."""
    for left in reversed(range(TRIES)):
        try:
            return attempt(key, work, task)
        except Exception as error:
            if not left:
                return Outcome(key=key, error=describe(error))
    raise AssertionError("the last try returns")
