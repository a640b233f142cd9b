"""Run shard tasks in this process, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from distill.errors import Interrupted
from distill.generation.attempt import Outcome, patient_attempt


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
