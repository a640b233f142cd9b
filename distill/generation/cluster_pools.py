# mypy: disable-error-code="no-untyped-call"
"""Where tasks run: worker processes of this machine, which talk to this process alone, or a Dask scheduler's workers.

What reaches a port of Dask can run code there. Other users of this machine reach its ports, so scheduler, nannies and
workers want a certificate, which is made for the run and never leaves the memory of its processes.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Client, Future, Nanny, Scheduler, Security, SpecCluster, Worker
from distributed.comm.core import connect
from distributed.system import MEMORY_LIMIT

from distill.errors import DistillError
from distill.generation.attempt import describe
from distill.generation.cluster_settings import TlsFiles
from distill.generation.cluster_tls import security_from_files

logger = logging.getLogger(__name__)

STARTS_S = 2.0  # within which a worker process that begins has its pid


@dataclass
class Pool:
    """Where tasks run: a connected client, and how many worker processes live there now.

    `keep` is told now and then how many tasks are not done, where workers are there on demand; `hint`: what to do or
    where to look when there is none.
    """

    client: Client
    living: Callable[[], int]
    where: str
    hint: str = "start some with `dask worker`, in an environment that has distill"
    keep: Callable[[int], object] = lambda remaining: None
    in_flight: dict[Future[Any], str] = field(default_factory=dict)

    def wait_for_worker(self, stop: threading.Event, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while not self.living() and not stop.wait(0.1):
            if time.monotonic() > deadline:
                raise DistillError(f"no worker has joined {self.where} within {limit_s:.0f} s: {self.hint}")


class _Nanny(Nanny):
    """Keeps one worker process alive. Ctrl-C in the terminal reaches the driver only, which then decides."""

    starting = given_up = False  # a process is on its way and has no pid yet; no other one shall begin

    async def instantiate(self) -> Any:
        if self.given_up:
            raise RuntimeError("the run was interrupted")
        self.starting = True
        try:
            return await self._start_process()
        finally:
            self.starting = False

    async def _start_process(self) -> Any:
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


def _kill(nannies: Sequence[_Nanny]) -> None:
    deadline = time.monotonic() + STARTS_S
    for nanny in nannies:
        nanny.given_up = True
        while nanny.starting and not nanny.pid and time.monotonic() < deadline:
            time.sleep(0.01)
        if pid := nanny.pid:
            nanny.close_gracefully()  # no restart
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def local_pool(names: Sequence[str], *, dashboard: bool = False) -> Iterator[Pool]:
    nannies: list[_Nanny] = []
    security = Security.temporary()
    with ExitStack() as stack:
        stack.enter_context(_private_scratch())
        stack.callback(_kill, nannies)  # last: whatever an interruption on the way up or down has left
        try:
            specs = _worker_specs(names, nannies, security)
            spec = scheduler_spec(security, dashboard=dashboard)
            # Closed below. At exit Dask would also try it with one whose start was interrupted, and fail.
            cluster = SpecCluster(specs, spec, security=security, shutdown_on_close=False)
        except RuntimeError as error:
            raise DistillError(f"the worker processes did not start: {describe(error)}") from error
        stack.callback(cluster.close)
        client = stack.enter_context(Client(cluster, set_as_default=False))
        where = f"{len(names)} local process{'es' if len(names) > 1 else ''} on "
        where += f"GPU {', '.join(names)}" if names[0] else "the CPU"
        scheduler: Any = cluster.scheduler  # an object in this process
        pool = Pool(client, lambda: len(scheduler.workers), where + dashboard_text(scheduler))
        stack.callback(_kill, nannies)  # first: a worker has nothing to save, whatever it does right now
        yield pool


class _NoPages:
    """Opens no port for web pages: Dask does so even where no dashboard is wanted."""

    def start_http_server(self, *args: object, **options: object) -> None:
        pass


class _Scheduler(_NoPages, Scheduler):
    pass


class _Worker(_NoPages, Worker):
    pass


_HERE = {"host": "127.0.0.1", "protocol": "tls"}


def scheduler_spec(security: Security, host: str = "127.0.0.1", *, dashboard: bool = False) -> dict[str, Any]:
    """Describe a scheduler in this process that listens at one address, for those who have the certificate.

    A `dashboard` is a page in the browser, for this machine alone. Raises DistillError where it cannot be drawn.
    """
    if dashboard and importlib.util.find_spec("bokeh") is None:
        raise DistillError("--dashboard needs bokeh: pip install 'distill[dashboard]'")
    options = {"host": host, "protocol": "tls", "dashboard": dashboard, "security": security}
    options |= {"dashboard_address": "127.0.0.1:0"} if dashboard else {}
    return {"cls": Scheduler if dashboard else _Scheduler, "options": options}


def dashboard_text(scheduler: Any) -> str:
    """Say where the dashboard is, behind where the work runs; "" without one."""
    port = getattr(getattr(scheduler, "http_server", None), "port", None)
    return f"; dashboard: http://127.0.0.1:{port}/status" if port else ""


def _worker_specs(
    names: Sequence[str], nannies: list[_Nanny], security: Security
) -> dict[int, dict[str, Any]]:
    """One process per name in `names`, its own CUDA_VISIBLE_DEVICES; the nannies end up in `nannies`."""

    def start(*args: Any, **options: Any) -> _Nanny:
        nannies.append(_Nanny(*args, **options))
        return nannies[-1]

    shared = {**_HERE, "worker_class": _Worker, "security": security, "nthreads": 1}
    shared["memory_limit"] = MEMORY_LIMIT // len(names)
    return {
        index: {"cls": start, "options": {**shared, "env": {"CUDA_VISIBLE_DEVICES": name}}}
        for index, name in enumerate(names)
    }


@contextmanager
def _private_scratch() -> Iterator[None]:
    """Give Dask a scratch folder that no other user can enter or make first: modules are imported from there."""
    with tempfile.TemporaryDirectory(prefix="distill-", ignore_cleanup_errors=True) as folder:
        try:
            with dask.config.set({"temporary-directory": folder}):
                yield
        finally:  # someone else may make a folder of this name afterwards
            sys.path[:] = [path for path in sys.path if not path.startswith(folder)]


@contextmanager
def remote_pool(
    address: str, workers: int | None, connect_s: float, tls: TlsFiles | None = None
) -> Iterator[Pool]:
    security = security_from_files(tls.ca, tls.certificate, tls.key) if tls else Security()
    _require_scheduler(address, connect_s, security)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            client = Client(address, timeout=connect_s, security=security, set_as_default=False)
        except Exception as error:
            raise DistillError(f"{address}: no connection to the scheduler ({describe(error)})") from error
    for warning in caught:
        what = " ".join(str(warning.message).split())[:300]
        logger.warning("%s: library versions there and here differ: %s", address, what)
    with client:
        yield Pool(client, _LivingWorkers(client, workers), address)


class _LivingWorkers:
    """How many workers a remote scheduler has, of at most `limit`; asked for once a second."""

    def __init__(self, client: Client, limit: int | None) -> None:
        self.client, self.limit = client, limit
        self.count, self.asked = 0, -1.0

    def __call__(self) -> int:
        if time.monotonic() > self.asked + 1.0:
            scheduler: Any = self.client.scheduler
            self.count = 0  # stays so while the client reconnects
            with suppress(OSError, TimeoutError):
                self.count = len(self.client.sync(scheduler.ncores, callback_timeout=20))
            self.asked = time.monotonic()
        return min(self.count, self.limit or self.count)


def _require_scheduler(address: str, limit_s: float, security: Security) -> None:
    """Raise DistillError unless a Dask scheduler answers at `address` within `limit_s`."""

    async def shake_hands() -> None:
        comm = await connect(address, timeout=limit_s, **security.get_connection_args("client"))
        await comm.close()

    try:
        asyncio.run(asyncio.wait_for(shake_hands(), limit_s))
    except Exception as error:
        why = f"{type(error).__name__} {error}".strip()[:120]
        raise DistillError(
            f"{address}: no Dask scheduler answers there ({why}; limit {limit_s:.0f} s); {_advice(address)}"
        ) from error


def _advice(address: str) -> str:
    if address.startswith("tls://"):
        return "check the address, and that --tls-ca, --tls-cert and --tls-key (or DASK_CONFIG) are this cluster's"
    return "check the address, or start one with `dask scheduler`"
