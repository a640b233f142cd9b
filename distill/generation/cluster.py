# mypy: disable-error-code="no-untyped-call"
"""Run tasks on worker processes: on this machine, or wherever a Dask scheduler has workers.

Small specifications go out and small reports come back; what the work makes goes to the disk, which is the
truth. A task may run twice (its worker died, or its report was lost), so `work` looks at the disk first.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import Any, TypeVar
from uuid import uuid4

import dask
from distributed import Client, Future, KilledWorker, Nanny, Scheduler, Security, SpecCluster, as_completed
from distributed.comm.core import connect
from distributed.system import MEMORY_LIMIT

from distill.devices import visible_devices, worker_devices
from distill.errors import DistillError
from distill.generation.attempt import attempt, describe
from distill.generation.cluster_settings import (
    DASK,
    Patience,
    quiet_logs,
    scheduler_address,
    worker_environment,
)
from distill.generation.outcome import Outcome

__all__ = ["Outcome", "Patience", "run_on_cluster", "visible_devices"]

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger(__name__)

_RETRIES = 2  # of an OSError or CUDA out of memory
_LOST_LIMIT = 10  # times that one task's report may be lost on the way
_POLL_S = 0.1


def run_on_cluster(
    work: Callable[[T], R],
    tasks: Sequence[tuple[str, T]],
    *,
    cluster: str,
    workers: int | None,
    devices: Sequence[str],
    stop: threading.Event,
    at_once: int = 1,
    max_worker_deaths: int = 3,
    on_start: Callable[[str], None] | None = None,
    patience: Patience | None = None,
) -> Iterator[Outcome]:
    """Yield the outcome of `work(task)` for every (key, task), in the order in which they finish.

    `cluster`: "local" (one process per device, or `workers` CPU processes without devices), the address of a Dask
    scheduler ("tcp://HOST:PORT", "tls://HOST:PORT"), or the path of its JSON file. A worker has `at_once` tasks at a
    time, each in a thread, and one elsewhere no more than it has threads. `work` is a module-level function;
    results are small. A DistillError or another exception is an error at once, OSError and CUDA out of memory after
    2 more tries; a task whose worker dies more than `max_worker_deaths` times is given up. After `stop` is set, or a
    fatal outcome, running tasks finish and the others are not begun. `on_start` gets one line: where the work runs.
    Raises DistillError: more workers than devices, nobody at the address, no worker there, all workers lost.
    """
    patience = patience or Patience()
    with quiet_logs(), worker_environment(), dask.config.set(DASK), ExitStack() as stack:
        if cluster == "local":
            pool = stack.enter_context(_local_pool(worker_devices(workers, devices), at_once))
        else:
            pool = stack.enter_context(_remote_pool(scheduler_address(cluster), workers, patience.connect_s))
        pool.wait_for_worker(stop, patience.join_s)
        if on_start is not None:
            on_start(pool.where)
        yield from _Run(pool, work, deque(tasks), stop, at_once, max_worker_deaths, patience).outcomes()


@dataclass
class _Pool:
    """Where tasks run: a connected client, and the number of threads of each worker process that lives there now."""

    client: Client
    living: Callable[[], Sequence[int]]
    where: str
    in_flight: dict[Future[Any], str] = field(default_factory=dict)

    def wait_for_worker(self, stop: threading.Event, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while not self.living() and not stop.wait(0.1):
            if time.monotonic() > deadline:
                raise DistillError(
                    f"no worker has joined {self.where} within {limit_s:.0f} s: start some with "
                    "`dask worker`, in an environment that has distill"
                )


class _Run:
    """One pass over the tasks.

    A task that is on a worker is blamed for its death along with the one that caused it. So none is out that would
    only wait there, and from the first death on none runs beside another.
    """

    def __init__(
        self,
        pool: _Pool,
        work: Callable[[Any], Any],
        waiting: deque[tuple[str, Any]],
        stop: threading.Event,
        at_once: int,
        max_worker_deaths: int,
        patience: Patience,
    ) -> None:
        self.pool, self.work, self.waiting, self.stop, self.at_once = pool, work, waiting, stop, at_once
        self.max_worker_deaths, self.patience = max_worker_deaths, patience
        self.tasks = dict(waiting)
        self.deaths, self.lost = Counter[str](), Counter[str]()
        self.token = uuid4().hex[:8]  # two runs on one scheduler must not share keys
        self.submitted, self.fatal = 0, False
        self.seen_alive = time.monotonic()
        self.done = as_completed(loop=pool.client.loop, with_results=True, raise_errors=False)

    def outcomes(self) -> Iterator[Outcome]:
        deadline: float | None = None
        while self.waiting or self.pool.in_flight:
            if self.stop.is_set() or self.fatal:
                self.waiting.clear()
                deadline = deadline or time.monotonic() + self.patience.grace_s
                if time.monotonic() > deadline:
                    return
            self.submit()
            yield from self.collect()
            time.sleep(0 if self.done.has_ready() else _POLL_S)

    def submit(self) -> None:
        living = self.pool.living()
        now = time.monotonic()
        self.seen_alive = now if living else self.seen_alive
        if self.pool.client.status == "closed" or now > self.seen_alive + self.patience.no_workers_s:
            raise DistillError(f"all workers were lost ({self.pool.where}); the same command resumes")
        room = sum(min(threads, 1 if self.deaths else self.at_once) for threads in living)
        while self.waiting and len(self.pool.in_flight) < room:
            key, task = self.waiting.popleft()
            self.submitted += 1
            name = f"{key}-{self.token}-{self.submitted}"
            future = self.pool.client.submit(
                attempt, key, self.work, task, key=name, retries=_RETRIES, pure=False
            )
            self.pool.in_flight[future] = key
            self.done.add(future)

    def collect(self) -> Iterator[Outcome]:
        for future, result in self.done.next_batch(block=False):
            key = self.pool.in_flight.pop(future)
            future.release()
            outcome = self.judge(key, result)
            if outcome is None:
                self.waiting.append((key, self.tasks[key]))
            else:
                self.fatal |= outcome.fatal
                yield outcome

    def judge(self, key: str, result: Any) -> Outcome | None:
        """Turn what came back into an outcome; None when the task goes out once more."""
        if isinstance(result, Outcome):
            return result
        error = result[1] if isinstance(result, tuple) else None
        if isinstance(error, KilledWorker):
            self.deaths[key] += error.allowed_failures + 1
            if self.deaths[key] <= self.max_worker_deaths:
                return None
            why = f"killed {self.deaths[key]} workers (out of memory, or a crash in native code)"
        elif isinstance(error, Exception):
            why = describe(error)
        else:
            self.lost[key] += 1
            if self.lost[key] <= _LOST_LIMIT:
                return None
            why = f"its report was lost {_LOST_LIMIT} times"
        return Outcome(key=key, error=why)


class _Nanny(Nanny):
    """Keeps one worker process alive. Ctrl-C in the terminal reaches the driver only, which then decides."""

    async def instantiate(self) -> Any:
        # A new process inherits the signal mask of the thread that starts it: this one. Starting the resource
        # tracker, which comes with the first process, would take the mask back.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        return await super().instantiate()

    def _on_worker_exit_sync(self, exitcode: int) -> None:
        if self.status.name == "running":
            how = f"by signal {-exitcode}" if exitcode < 0 else f"with status {exitcode}"
            logger.warning("worker %s ended %s; another one takes its place", self.name, how)
        super()._on_worker_exit_sync(exitcode)


def _kill(nannies: Sequence[Nanny]) -> None:
    for nanny in nannies:
        if pid := nanny.pid:
            nanny.close_gracefully()  # no restart
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def _local_pool(names: Sequence[str], threads: int) -> Iterator[_Pool]:
    nannies: list[_Nanny] = []
    with ExitStack() as stack:
        stack.callback(_kill, nannies)  # last: whatever an interruption on the way up or down has left
        try:
            cluster = SpecCluster(_worker_specs(names, threads, nannies), _SCHEDULER, silence_logs=False)
        except RuntimeError as error:
            raise DistillError(f"the worker processes did not start: {describe(error)}") from error
        stack.callback(cluster.close)
        client = stack.enter_context(Client(cluster, set_as_default=False))
        where = f"{len(names)} local process{'es' if len(names) > 1 else ''} on "
        where += f"GPU {', '.join(names)}" if names[0] else "the CPU"
        scheduler: Any = cluster.scheduler  # an object in this process
        pool = _Pool(client, lambda: [worker.nthreads for worker in scheduler.workers.values()], where)
        stack.callback(_kill, nannies)  # first: a worker has nothing to save, whatever it does right now
        yield pool


_SCHEDULER = {
    "cls": Scheduler,
    "options": {"host": "127.0.0.1", "dashboard": True, "dashboard_address": "127.0.0.1:0"},
}


def _worker_specs(names: Sequence[str], threads: int, nannies: list[_Nanny]) -> dict[int, dict[str, Any]]:
    """One process per name in `names`, its own CUDA_VISIBLE_DEVICES; the nannies end up in `nannies`."""

    def start(*args: Any, **options: Any) -> _Nanny:
        nannies.append(_Nanny(*args, **options))
        return nannies[-1]

    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    shared = {**here, "nthreads": threads, "memory_limit": MEMORY_LIMIT // len(names)}
    return {
        index: {"cls": start, "options": {**shared, "env": {"CUDA_VISIBLE_DEVICES": name}}}
        for index, name in enumerate(names)
    }


@contextmanager
def _remote_pool(address: str, workers: int | None, connect_s: float) -> Iterator[_Pool]:
    _require_scheduler(address, connect_s)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            client = Client(address, timeout=connect_s, set_as_default=False)
        except Exception as error:
            raise DistillError(f"{address}: no connection to the scheduler ({describe(error)})") from error
    for warning in caught:
        what = " ".join(str(warning.message).split())[:300]
        logger.warning("%s: other versions there than here: %s", address, what)
    with client:
        yield _Pool(client, _WorkerThreads(client, workers), address)


class _WorkerThreads:
    """How many threads each worker of a remote scheduler has, of at most `limit`; asked for once a second."""

    def __init__(self, client: Client, limit: int | None) -> None:
        self.client, self.limit = client, limit
        self.threads, self.asked = list[int](), -1.0

    def __call__(self) -> Sequence[int]:
        if time.monotonic() > self.asked + 1.0:
            scheduler: Any = self.client.scheduler
            self.threads = []  # stays so while the client reconnects
            with suppress(OSError, TimeoutError):
                self.threads = list(self.client.sync(scheduler.ncores, callback_timeout=20).values())
            self.asked = time.monotonic()
        return self.threads[: self.limit or None]


def _require_scheduler(address: str, limit_s: float) -> None:
    """Raise DistillError unless a Dask scheduler answers at `address` within `limit_s`."""

    async def shake_hands() -> None:
        comm = await connect(address, timeout=limit_s, **Security().get_connection_args("client"))
        await comm.close()

    try:
        asyncio.run(asyncio.wait_for(shake_hands(), limit_s))
    except Exception as error:
        why = f"{type(error).__name__} {error}".strip()[:120]
        raise DistillError(
            f"{address}: no Dask scheduler answers there ({why}; limit {limit_s:.0f} s); "
            "check the address, or start one with `dask scheduler`"
        ) from error
