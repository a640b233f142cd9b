"""What is set for Dask and the worker processes before a run on a cluster, and put back after it."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from distill.errors import DistillError, os_error
from distill.files import check_regular, read_regular
from distill.generation.batch_queue import TITLES, WorkerJobs
from distill.schema import parse_json


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait, in seconds."""

    connect_s: float = 20.0  # for a scheduler to answer
    join_s: float = 300.0  # for its first worker
    no_workers_s: float = 600.0  # without a living worker in the middle of a run
    grace_s: float = 60.0  # for running tasks, once the run is to stop
    lost_s: float = 120.0  # for the workers of a job to come back, before another job takes its place

    @classmethod
    def for_jobs(cls, jobs: WorkerJobs | None) -> Self:
        """The patience for workers that wait in a queue, where there are `jobs`."""
        return cls() if jobs is None else cls(join_s=jobs.wait_s, no_workers_s=jobs.wait_s)


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """PEM files of a Dask cluster with certificates: who signs them, and the certificate and key of this process."""

    ca: Path
    certificate: Path
    key: Path

    def __post_init__(self) -> None:
        """Raise DistillError for files that are not there, no certificates, or no pair."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            for path in (self.ca, self.certificate, self.key):
                check_regular(path)
            context.load_verify_locations(self.ca)
        except ssl.SSLError as error:
            raise DistillError(
                f"--tls-ca {self.ca} holds no certificate ({error.reason or error})"
            ) from error
        except OSError as error:
            raise os_error(error) from error
        try:
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or error
            raise DistillError(
                f"--tls-cert {self.certificate} and --tls-key {self.key} are not a certificate and its key ({why})"
            ) from error


def tls_files(
    ca: Path | None, certificate: Path | None, key: Path | None, cluster: str | None
) -> TlsFiles | None:
    """Return the files that were given for `cluster`, or None. Raises DistillError for some, or for none of use."""
    if ca is None and certificate is None and key is None:
        return None
    if ca is None or certificate is None or key is None:
        raise DistillError("--tls-ca, --tls-cert and --tls-key belong together: give all three")
    if cluster is None or not (cluster.startswith("tls://") or cluster.endswith(".json")):
        raise DistillError(
            f"--tls-ca is for --cluster tls://HOST:PORT or a scheduler's file, not for {cluster or 'none'}"
        )
    return TlsFiles(ca=ca, certificate=certificate, key=key)


# Where Dask's defaults are left, and why.
DASK = {
    "distributed.scheduler.allowed-failures": 0,  # every death is reported to the driver, which counts them
    "distributed.scheduler.worker-saturation": 1.0,  # no task waits on a worker that may die
    "distributed.scheduler.worker-ttl": "15 minutes",  # loading a model holds the GIL and looks like death
    "distributed.scheduler.no-workers-timeout": "10 minutes",
    "distributed.deploy.lost-worker-timeout": "10 minutes",  # a restart imports torch, which takes a while
    "distributed.worker.memory.target": False,  # memory here is not Dask's: spilling cannot help
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.profile.enabled": False,  # it holds on to frames, and what they own, for a while
    "distributed.comm.timeouts.connect": "60s",
    "distributed.comm.retry.count": 3,
}

# Read by worker processes as they start. One BLAS thread each: the number of threads can alter floats.
_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_MEMORY = {"MALLOC_ARENA_MAX": "1"}  # see distill.devices.keep_freed_memory
_SILENCE = {"DASK_LOGGING__DISTRIBUTED": "critical"}
_LEFT_BEHIND = (
    "PYTHONHASHSEED",
    "MALLOC_TRIM_THRESHOLD_",
    "__DASK_PARENT_PID",
)  # set by Dask in this process
_NOISY = ("distributed", "tornado", "asyncio", "bokeh")


def scheduler_address(cluster: str) -> str:
    """Read the address that `cluster` stands for: itself, or the "address" in a scheduler's JSON file.

    Raises DistillError for anything but tcp://HOST:PORT, tls://HOST:PORT or a readable scheduler file.
    """
    if not cluster.endswith(".json"):
        return _checked(cluster, f"--cluster {cluster}")
    try:
        content = parse_json(read_regular(cluster))
    except FileNotFoundError as error:
        raise DistillError(f"--cluster {cluster}: no such file; a Dask scheduler writes it") from error
    except (OSError, ValueError) as error:
        raise DistillError(f"--cluster {cluster}: not a readable scheduler file ({error})") from error
    return _checked(content.get("address") if isinstance(content, dict) else None, f'"address" in {cluster}')


def _checked(address: object, where: str) -> str:
    if isinstance(address, str) and address.startswith(("tcp://", "tls://")):
        port = address.rpartition(":")[2]
        if port.isdecimal() and 0 < int(port) < 65536:
            return address
    raise DistillError(
        f"{where} is not one of local, none, tcp://HOST:PORT, tls://HOST:PORT, a scheduler's .json file,"
        f" {', '.join(TITLES)}"
    )


@contextmanager
def worker_environment() -> Iterator[None]:
    """Set what worker processes inherit; put this process's environment back afterwards."""
    wanted = {**_THREADS, **_MEMORY, **({} if os.environ.get("DISTILL_DEBUG") else _SILENCE)}
    before = {name: os.environ.get(name) for name in (*wanted, *_LEFT_BEHIND)}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Keep Dask's own log lines off stderr, unless DISTILL_DEBUG is set; put the loggers back afterwards.

    After a KeyboardInterrupt they stay quiet: what was cut short tells of itself until the process ends.
    """
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _NOISY]
    loggers = (
        [] if os.environ.get("DISTILL_DEBUG") else [logging.getLogger(name) for name in {*names, *_NOISY}]
    )
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    except KeyboardInterrupt:
        before.clear()
        raise
    finally:
        for logger, level in before:
            logger.setLevel(level)
