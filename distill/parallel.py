"""Do independent work on several processes, and give the results back in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.process import BaseProcess
from typing import TypeVar

from distill.devices import usable_cores
from distill.errors import DistillError, Interrupted

T = TypeVar("T")
R = TypeVar("R")
PARENTS_SIGNALS = (signal.SIGINT, signal.SIGUSR1)  # not SIGTERM: a pool ends its workers by it
GRACE = 10.0  # seconds for workers to end by themselves
AHEAD = 4  # tasks a worker that may be done or waiting; bounds the memory


def default_workers(tasks: int, per_worker: int) -> int:
    """Return how many processes pay off: one for every `per_worker` tasks, at most one a core."""
    cores = usable_cores()
    return max(1, min(cores, tasks // per_worker))


def ordered(
    work: Callable[[T], R], tasks: Iterable[T], *, workers: int, stop: threading.Event
) -> Iterator[R]:
    """Yield work(task) for each task in order; with one worker in this process, else in spawned ones.

    Raises Interrupted when `stop` is set, and what `work` raises.
    """
    if workers == 1:
        for task in tasks:
            _check(stop)
            yield work(task)
        _check(stop)
        return
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_follow_parent
    ) as pool:
        try:
            yield from _windowed(pool, work, iter(tasks), workers * AHEAD, stop)
        except BrokenProcessPool as error:
            _check(stop)
            raise DistillError(
                f"a worker process died, perhaps for want of memory; try fewer --workers than {workers}"
            ) from error
        finally:
            _shut_down(pool)


def _shut_down(pool: ProcessPoolExecutor) -> None:
    """Wait for the workers to end; one that is still there after GRACE seconds is killed: nobody awaits its result.

    A signal to the whole group that comes while a worker is being spawned can miss that worker, and a pool whose
    other workers died of it would wait for this one for ever.
    """
    workers = (
        pool._processes or {}
    )  # as `kill_workers` of Python 3.14 does; a pool forgets them when it shuts down
    killer = threading.Timer(GRACE, _kill, [workers])
    killer.daemon = True
    killer.start()
    pool.shutdown(wait=True, cancel_futures=True)
    killer.cancel()


def _kill(workers: Mapping[int, BaseProcess]) -> None:
    for worker in list(workers.values()):
        worker.kill()


def _windowed(
    pool: ProcessPoolExecutor, work: Callable[[T], R], tasks: Iterator[T], ahead: int, stop: threading.Event
) -> Iterator[R]:
    waiting: deque[Future[R]] = deque(_submit(pool, work, task) for task in islice(tasks, ahead))
    while waiting:
        result = _result(waiting.popleft(), stop)
        waiting.extend(_submit(pool, work, task) for task in islice(tasks, 1))
        yield result
    _check(stop)


def _submit(pool: ProcessPoolExecutor, work: Callable[[T], R], task: T) -> Future[R]:
    """Submit a task; a worker that starts here never sees the signals that the parent answers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENTS_SIGNALS)
    try:
        return pool.submit(work, task)
    except OSError as error:
        if "closed" not in str(error):
            raise
        # The pool is closing its pipes, since its workers were killed.
        raise BrokenProcessPool(str(error)) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _result(future: Future[R], stop: threading.Event) -> R:
    while True:
        _check(stop)
        try:
            return future.result(timeout=0.5)
        except TimeoutError:
            if future.done():
                raise


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise Interrupted("interrupted: nothing was written; the same command starts again")


def _follow_parent() -> None:
    """End with the parent, however it ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
