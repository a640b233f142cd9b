# mypy: disable-error-code="no-untyped-call"
"""Workers as jobs of a batch system: submitted and cancelled through dask-jobqueue, as many as there is work for.

The scheduler lives in this process. A job that ends, at its walltime or because it was preempted, takes with it the
shards in work alone; they go to other workers, and another job takes its place.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
from distributed import Client, SpecCluster

from distill.errors import DistillError
from distill.generation.batch_queue import LOOK, SUBMIT, WorkerJobs, job_arguments
from distill.generation.cluster_pools import Pool, dashboard_text, scheduler_spec
from distill.generation.cluster_tls import CONFIG_FILE, make_private_folder, security_of
from distill.generation.interface import find_interface

logger = logging.getLogger(__name__)

LOGS = "distill-jobs"  # folder of what the jobs print
LOOK_S = 2.0  # between two looks at the jobs
AT_ONCE = 8  # submissions at a time
RETRY_S = 60.0  # after a submission that was refused
NO_WORKER_S = 120  # after which a worker that finds no scheduler ends


def job_script(jobs: WorkerJobs) -> str:
    """Return the script that a run would submit, without submitting it. Raises DistillError as `queue_pool`."""
    private = Path.cwd() / ".distill-cluster-…"
    with tempfile.TemporaryDirectory() as logs:  # dask-jobqueue makes the folder
        script: str = _job(jobs, "tls://ADDRESS:PORT", "distill-0", private, logs=Path(logs)).job_script()
    return script.replace(logs, str(Path.cwd() / LOGS))


@contextmanager
def queue_pool(jobs: WorkerJobs, tasks: int, lost_s: float, *, dashboard: bool = False) -> Iterator[Pool]:
    """Start a scheduler here, and jobs whose workers join it; cancel what is left of them at the end.

    A job whose workers are gone for `lost_s` is replaced. Raises DistillError without dask-jobqueue, without the
    commands of the batch system, and in its own words where it refuses the job.
    """
    _require_commands(jobs)
    _kind_of_job(jobs.system)  # in this thread: its import sets signals up
    interface = find_interface()
    with ExitStack() as stack:
        private = make_private_folder(Path.cwd())
        stack.callback(shutil.rmtree, private, ignore_errors=True)
        stack.callback(_remove_empty, Path.cwd() / LOGS)
        stack.enter_context(dask.config.set({"temporary-directory": str(private)}))
        security = security_of(private)
        spec = scheduler_spec(security, interface.address, dashboard=dashboard)
        cluster = SpecCluster({}, spec, security=security)
        stack.callback(cluster.close)
        client = stack.enter_context(Client(cluster, set_as_default=False))
        scheduler: Any = cluster.scheduler  # an object in this process
        keeper = _Keeper(jobs, scheduler, private, lost_s)
        stack.callback(lambda: cluster.sync(keeper.cancel_all))
        cluster.sync(keeper.look, tasks)
        where = f"{jobs.describe()}, by {interface.address} ({interface.name}){dashboard_text(scheduler)}"
        yield Pool(
            client,
            lambda: len(scheduler.workers),
            where,
            hint=f"`{LOOK[jobs.system]}` shows the jobs, {LOGS} has what they printed",
            keep=lambda remaining: keeper.due() and cluster.sync(keeper.look, remaining),
        )


@dataclass
class _Held:
    """A job that was submitted: whether its workers have joined, and when one was last seen."""

    job: Any
    joined: bool = False
    seen: float = field(default_factory=time.monotonic)


class _Keeper:
    """Keeps as many jobs as there is work for. Its coroutines run in the loop of the scheduler."""

    def __init__(self, jobs: WorkerJobs, scheduler: Any, private: Path, lost_s: float) -> None:
        self.jobs, self.scheduler, self.private, self.lost_s = jobs, scheduler, private, lost_s
        self.held: dict[str, _Held] = {}
        self.submitted = 0
        self.next_look = self.next_submission = 0.0

    def due(self) -> bool:
        return time.monotonic() >= self.next_look

    async def look(self, remaining: int) -> None:
        """Replace jobs that are gone, and bring their number to what `remaining` tasks keep busy."""
        self.next_look = time.monotonic() + LOOK_S
        workers = self.workers_by_job()
        await self.drop_lost(workers)
        wanted = min(self.jobs.most, max(self.jobs.least, -(-remaining // self.jobs.processes)))
        if not remaining:
            wanted = 0
        await self.drop_idle(len(self.held) - wanted, workers)
        while len(self.held) < wanted and time.monotonic() >= self.next_submission:
            await self.submit(min(AT_ONCE, wanted - len(self.held)))

    def workers_by_job(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = defaultdict(list)
        for worker in self.scheduler.workers.values():
            found[str(worker.name).rpartition("-")[0]].append(worker)
        return found

    async def drop_lost(self, workers: dict[str, list[Any]]) -> None:
        now = time.monotonic()
        for name, held in list(self.held.items()):
            if name in workers:
                held.joined, held.seen = True, now
            elif held.joined and now > held.seen + self.lost_s:
                logger.warning("job %s has ended; another one takes its place", held.job.job_id)
                await self.cancel([name])

    async def drop_idle(self, surplus: int, workers: dict[str, list[Any]]) -> None:
        """Cancel jobs that nothing is left for: those that still wait, then those whose workers are idle."""
        waiting = [name for name in self.held if name not in workers]
        idle = [
            name for name in workers if name in self.held and not any(w.processing for w in workers[name])
        ]
        await self.cancel([*reversed(waiting), *idle][: max(surplus, 0)])

    async def submit(self, count: int) -> None:
        """Submit jobs at once. Raises DistillError where the first of all is refused; later ones are tried again."""
        names = [f"distill-{self.submitted + index}" for index in range(count)]
        self.submitted += count
        address, logs = self.scheduler.address, Path.cwd() / LOGS
        made = [_job(self.jobs, address, name, self.private, logs=logs) for name in names]
        for name, job, error in zip(
            names,
            made,
            await asyncio.gather(*(job.start() for job in made), return_exceptions=True),
            strict=True,
        ):
            if error is None:
                self.held[name] = _Held(job)
                continue
            command = SUBMIT[self.jobs.system]
            words = _refusal(command, error)
            if not self.held:
                raise DistillError(f"{command} refused the job: {words}") from error
            logger.warning("a job was refused and will be tried again: %s", words)
            self.next_submission = time.monotonic() + RETRY_S

    async def cancel(self, names: list[str]) -> None:
        for start in range(0, len(names), AT_ONCE):
            dropped = [self.held.pop(name) for name in names[start : start + AT_ONCE]]
            await asyncio.gather(*(held.job.close() for held in dropped), return_exceptions=True)

    async def cancel_all(self) -> None:
        with suppress(OSError):
            await self.cancel(list(self.held))


def _refusal(command: str, error: BaseException) -> str:
    """Return what the batch system said, in one line, out of dask-jobqueue's report of it."""
    _, found, words = str(error).partition("stderr:\n")
    lines = (words if found and words.strip() else str(error)).splitlines()
    said = [" ".join(line.split()).removeprefix(f"{command}: error: ") for line in lines if line.strip()]
    return "; ".join(said)[:400]


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _require_commands(jobs: WorkerJobs) -> None:
    command = SUBMIT[jobs.system]
    if shutil.which(command) is None:
        raise DistillError(
            f"--cluster {jobs.system}: no command {command} here; run this on a machine that jobs are submitted from"
        )


def _kind_of_job(system: str) -> Any:
    """Return dask-jobqueue's class. It answers Ctrl-C itself from its import on, which is taken back."""
    before = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue
    except ImportError as error:
        raise DistillError(f"--cluster {system} needs dask-jobqueue: pip install 'distill[slurm]'") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)
    kinds: dict[str, Any] = {
        "slurm": dask_jobqueue.slurm.SLURMJob,
        "pbs": dask_jobqueue.pbs.PBSJob,
        "lsf": dask_jobqueue.lsf.LSFJob,
        "sge": dask_jobqueue.sge.SGEJob,
        "htcondor": dask_jobqueue.htcondor.HTCondorJob,
    }
    return kinds[system]


def _job(jobs: WorkerJobs, address: str, name: str, private: Path, *, logs: Path) -> Any:
    """Make a job of dask-jobqueue, which knows its script and how to submit and cancel it."""
    variables = {"DASK_CONFIG": private / CONFIG_FILE, "OMP_NUM_THREADS": 1, "MALLOC_ARENA_MAX": 1}
    return _kind_of_job(jobs.system)(
        address,
        name=name,
        job_name="distill",
        python=sys.executable,
        worker_command="distill.generation.cluster_worker",
        worker_extra_args=["--processes", str(jobs.processes), "--gpus", str(jobs.gpus)],
        death_timeout=NO_WORKER_S,
        job_script_prologue=[f"export {key}={value}" for key, value in variables.items()],
        log_directory=str(logs),
        **job_arguments(jobs),
    )
