# mypy: disable-error-code="no-untyped-call"
"""Run tasks on worker processes: on this machine, or wherever a Dask scheduler has workers.

Small specifications go out and small reports come back; what the work makes goes to the disk, which is the
truth. A task may run twice (its worker died, or its report was lost), so `work` looks at the disk first.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar
from uuid import uuid4

import dask
from distributed import KilledWorker, as_completed

from distill.devices import visible_devices, worker_devices
from distill.errors import DistillError
from distill.generation.attempt import Outcome, describe, patient_attempt
from distill.generation.batch_queue import WorkerJobs
from distill.generation.cluster_jobs import queue_pool
from distill.generation.cluster_pools import Pool, local_pool, remote_pool
from distill.generation.cluster_settings import (
    DASK,
    Patience,
    TlsFiles,
    quiet_logs,
    scheduler_address,
    worker_environment,
)

__all__ = ["Outcome", "Patience", "run_on_cluster", "visible_devices"]

T = TypeVar("T")
R = TypeVar("R")

DEATHS_OF_JOBS = 10  # of workers under one task, where workers are preempted and end at their walltime
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
    jobs: WorkerJobs | None = None,
    tls: TlsFiles | None = None,
    dashboard: bool = False,
    max_worker_deaths: int = 3,
    on_start: Callable[[str], None] | None = None,
    patience: Patience | None = None,
) -> Iterator[Outcome]:
    """Yield the outcome of `work(task)` for every (key, task), in the order in which they finish.

    `cluster`: "local" (one process per device, or `workers` CPU processes without devices), the address of a Dask
    scheduler ("tcp://HOST:PORT", "tls://HOST:PORT"), or the path of its JSON file; with `jobs` a batch system,
    to which worker jobs are submitted. A worker has one task at a time.
    `work` is a module-level function; results are small. A DistillError or another exception is an error at once,
    OSError and CUDA out of memory after 2 more tries; a task whose worker dies more than `max_worker_deaths` times
    is given up. After `stop` is set, or a fatal outcome, running tasks finish and the others are not begun.
    `on_start` gets one line: where the work runs. `tls`: of the scheduler, where Dask's own configuration does not
    name its files. `dashboard`: Dask's page, at an address of this machine alone.
    Raises DistillError: more workers than devices, nobody at the address, no worker there, all workers lost.
    """
    patience = patience or Patience.for_jobs(jobs)
    if jobs is not None:
        max_worker_deaths = max(max_worker_deaths, DEATHS_OF_JOBS)
    with quiet_logs(), worker_environment(), dask.config.set(DASK), ExitStack() as stack:
        if jobs is not None:
            pool = stack.enter_context(queue_pool(jobs, len(tasks), patience.lost_s, dashboard=dashboard))
        elif cluster == "local":
            pool = stack.enter_context(local_pool(worker_devices(workers, devices), dashboard=dashboard))
        else:
            pool = stack.enter_context(
                remote_pool(scheduler_address(cluster), workers, patience.connect_s, tls)
            )
        pool.wait_for_worker(stop, patience.join_s)
        if on_start is not None:
            on_start(pool.where)
        yield from _Run(pool, work, deque(tasks), stop, max_worker_deaths, patience).outcomes()


class _Run:
    """One pass over the tasks.

    A task that is on a worker is blamed for its death along with the one that caused it. So none is out that would
    only wait there, and from the first death on none runs beside another.
    """

    def __init__(
        self,
        pool: Pool,
        work: Callable[[Any], Any],
        waiting: deque[tuple[str, Any]],
        stop: threading.Event,
        max_worker_deaths: int,
        patience: Patience,
    ) -> None:
        self.pool, self.work, self.waiting, self.stop = pool, work, waiting, stop
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
        self.pool.keep(len(self.waiting) + len(self.pool.in_flight))
        living = self.pool.living()
        now = time.monotonic()
        self.seen_alive = now if living else self.seen_alive
        if self.pool.client.status == "closed" or now > self.seen_alive + self.patience.no_workers_s:
            raise DistillError(f"all workers were lost ({self.pool.where}); the same command resumes")
        room = living
        while self.waiting and len(self.pool.in_flight) < room:
            key, task = self.waiting.popleft()
            self.submitted += 1
            name = f"{key}-{self.token}-{self.submitted}"
            future = self.pool.client.submit(patient_attempt, key, self.work, task, key=name, pure=False)
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
