"""Run shard tasks in this process, one after the other or a few at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice, takewhile
from typing import TypeVar

from distill.errors import Interrupted
from distill.generation.attempt import attempt, describe
from distill.generation.outcome import Outcome

Task = TypeVar("Task")
Result = TypeVar("Result")
Leave = Callable[[], bool]  # tells work that is under way whether the run has ended
Wait = Callable[[], Outcome]
Begin = Callable[[Wait], Wait]  # takes a task, gives what waits for its outcome

TRIES = 3  # of what may pass by itself


def run_inline(
    work: Callable[[Task, Leave], Result],
    tasks: Sequence[tuple[str, Task]],
    *,
    stop: threading.Event,
    at_once: int = 1,
    interrupt: Callable[[], None] = lambda: None,
) -> Iterator[Outcome]:
    """Yield one outcome per task, in order, until `stop` is set or an error concerns every task.

    With `at_once` of 1 a task runs in the caller's thread; with more, so many are under way in threads of their own.
    Then those that are when the run ends go on to their end, unless they raise `Interrupted` because their second
    argument says that it has. An interruption of the caller (Ctrl-C) is handed to them by `interrupt`.
    """
    ended = threading.Event()

    def leave() -> bool:
        return ended.is_set() or stop.is_set()

    under_way: deque[Wait] = deque()
    waiting = takewhile(lambda _: not leave(), tasks)
    with threads(at_once, ended, interrupt) as begin:
        while True:
            for key, task in islice(waiting, at_once - len(under_way)):
                under_way.append(begin(partial(patient_attempt, key, lambda task: work(task, leave), task)))
            if not under_way:
                return
            outcome = under_way.popleft()()
            if outcome.exit_code == Interrupted.exit_code:
                ended.set()
                continue
            yield outcome
            if outcome.fatal:
                ended.set()


@contextmanager
def threads(count: int, ended: threading.Event, interrupt: Callable[[], None]) -> Iterator[Begin]:
    """Yield what begins a task: in one of `count` threads, or, for 1, here and when its outcome is asked for.

    Leaving sets `ended` and waits for the threads.
    """
    if count == 1:
        yield lambda one: one
        return
    with ThreadPoolExecutor(count, thread_name_prefix="task") as pool:
        try:
            yield lambda one: pool.submit(one).result
        except KeyboardInterrupt:
            ended.set()
            interrupt()
            raise
        finally:
            ended.set()


def patient_attempt(key: str, work: Callable[[Task], Result], task: Task) -> Outcome:
    """Try a task again when it failed for a reason that may pass by itself."""
    for left in reversed(range(TRIES)):
        try:
            return attempt(key, work, task)
        except Exception as error:
            if not left:
                return Outcome(key=key, error=describe(error))
    raise AssertionError("the last try returns")
