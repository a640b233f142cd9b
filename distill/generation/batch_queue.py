"""Worker jobs of a batch system: what a user asks for, and how SLURM, PBS, LSF, SGE and HTCondor want it written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from distill.errors import DistillError

WALLTIME = re.compile(r"(\d{1,4}):([0-5]\d)(?::([0-5]\d))?")
MEMORY = re.compile(r"\d{1,6}(\.\d{1,3})? ?[KMGT]i?B", re.IGNORECASE)
MOST_JOBS = 10_000


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """What each worker job asks a batch system for, and how many there may be at once; None leaves it open.

    `gpus_per_job` None: 1, or 0 for the device "cpu". One process per GPU works in a job, without GPUs one per core.
    `cpus_per_job` None: 4 a GPU, else 1. `memory` None: 8 GB a process. `walltime` "H:MM:SS" or "H:MM".
    `adapt` (least, most) jobs; None: as many as `workers` fill. `queue_minutes`: how long no worker at all is waited
    for. Raises DistillError for values that no batch system takes.
    """

    queue: str | None = None
    account: str | None = None
    walltime: str | None = None
    gpus_per_job: int | None = None
    cpus_per_job: int | None = None
    memory: str | None = None
    job_extra: tuple[str, ...] = ()
    adapt: tuple[int, int] | None = None
    queue_minutes: float | None = None

    def __post_init__(self) -> None:
        for name in ("queue", "account", "walltime", "memory"):
            value = getattr(self, name)
            if value is not None and not value.isprintable():
                raise DistillError(f"--{name} {value!r}: one line of text is needed")
        if self.walltime is not None and not WALLTIME.fullmatch(self.walltime):
            raise DistillError(f"--walltime {self.walltime!r} is not HOURS:MINUTES:SECONDS, such as 4:00:00")
        if self.memory is not None and not MEMORY.fullmatch(self.memory):
            raise DistillError(f"--memory {self.memory!r} is not an amount such as 16GB")
        least, most = self.adapt or (0, 1)
        if least > most or not 1 <= most <= MOST_JOBS:
            raise DistillError(
                f"--adapt {least}:{most}: MIN must not be above MAX, and MAX must be 1 to {MOST_JOBS}"
            )

    @property
    def given(self) -> list[str]:
        """The flags of what is not left open."""
        return [
            f"--{field.name.replace('_', '-')}"
            for field in fields(self)
            if getattr(self, field.name) not in (None, ())
        ]


@dataclass(frozen=True, kw_only=True)
class WorkerJobs:
    """Jobs of one kind, with every choice made; `least` to `most` of them at once."""

    system: str
    settings: JobSettings
    gpus: int
    cores: int
    processes: int
    least: int
    most: int

    def describe(self) -> str:
        per = (
            f"{self.gpus} GPU{'s' if self.gpus > 1 else ''}"
            if self.gpus
            else f"{self.cores} CPU core{'s' if self.cores > 1 else ''}"
        )
        count = f"{self.most}" if self.least == self.most else f"{self.least} to {self.most}"
        return f"{count} {TITLES[self.system]} job{'s' if self.most > 1 else ''} of {per}"

    @property
    def wait_s(self) -> float:
        """How long to wait while there is no worker at all, in seconds."""
        return 60 * (60.0 if self.settings.queue_minutes is None else self.settings.queue_minutes)


TITLES = {"slurm": "SLURM", "pbs": "PBS", "lsf": "LSF", "sge": "SGE", "htcondor": "HTCondor"}
SUBMIT = {"slurm": "sbatch", "pbs": "qsub", "lsf": "bsub", "sge": "qsub", "htcondor": "condor_submit"}
LOOK = {
    "slurm": "squeue --me",
    "pbs": "qstat -u $USER",
    "lsf": "bjobs -p",
    "sge": "qstat",
    "htcondor": "condor_q -better-analyze",
}


def settle_jobs(system: str, settings: JobSettings, *, workers: int | None, device: str) -> WorkerJobs:
    """Make every choice that the user left open. Raises DistillError where the number of jobs is."""
    gpus = settings.gpus_per_job if settings.gpus_per_job is not None else int(device != "cpu")
    if device == "cpu" and gpus:
        raise DistillError(f"--gpus-per-job {gpus} and --device cpu exclude each other: leave one out")
    if device.startswith("cuda:"):
        raise DistillError(f"--device {device}: a job sees the GPUs that it was given; say cuda")
    if device == "cuda" and not gpus:
        raise DistillError("--gpus-per-job 0 and --device cuda exclude each other: leave one out")
    cores = settings.cpus_per_job or max(4 * gpus, 1)
    processes = gpus or cores
    if workers is None and settings.adapt is None:
        raise DistillError(
            f"--cluster {system}: how many jobs? --workers N for a fixed number of processes, or --adapt MIN:MAX"
        )
    filled = -(-workers // processes) if workers else MOST_JOBS
    least, most = settings.adapt or (filled, filled)
    if system == "htcondor" and settings.queue is not None:
        raise DistillError(
            "--queue: HTCondor has none; name what your pool asks for by --job-extra 'KEY = VALUE'"
        )
    return WorkerJobs(
        system=system,
        settings=settings,
        gpus=gpus,
        cores=cores,
        processes=processes,
        least=min(least, filled),
        most=min(most, filled),
    )


def refuse_jobs(settings: JobSettings, cluster: str | None) -> None:
    """Refuse choices about jobs where none are submitted."""
    if settings.given:
        where = f"--cluster {cluster}" if cluster else "a run without --cluster"
        raise DistillError(
            f"{settings.given[0]} is about the jobs of --cluster {'|'.join(TITLES)}, not of {where}"
        )


def job_arguments(jobs: WorkerJobs) -> dict[str, Any]:
    """Return what dask-jobqueue's class for the system takes, but for what is the same for all."""
    settings = jobs.settings
    common: dict[str, Any] = {"cores": jobs.cores, "processes": jobs.processes}
    common["memory"] = settings.memory or f"{8 * jobs.processes}GB"
    return common | WRITERS[jobs.system](jobs, settings, _seconds(settings.walltime))


def _seconds(walltime: str | None) -> int:
    found = WALLTIME.fullmatch(walltime or "1:00:00")
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (1, 0, 0)
    return 3600 * hours + 60 * minutes + seconds


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _slurm(jobs: WorkerJobs, settings: JobSettings, seconds: int) -> dict[str, Any]:
    gpus = [f"--gres=gpu:{jobs.gpus}"] if jobs.gpus else []
    return {
        "queue": settings.queue,
        "account": settings.account,
        "walltime": _clock(seconds),
        "job_extra_directives": ["--nodes=1", *gpus, *settings.job_extra],
    }


def _pbs(jobs: WorkerJobs, settings: JobSettings, seconds: int) -> dict[str, Any]:
    megabytes = _megabytes(settings.memory or f"{8 * jobs.processes}GB")
    gpus = f":ngpus={jobs.gpus}" if jobs.gpus else ""
    return {
        "queue": settings.queue,
        "account": settings.account,
        "walltime": _clock(seconds),
        "resource_spec": f"select=1:ncpus={jobs.cores}:mem={megabytes}MB{gpus}",
        "job_extra_directives": list(settings.job_extra),
    }


def _lsf(jobs: WorkerJobs, settings: JobSettings, seconds: int) -> dict[str, Any]:
    minutes = -(-seconds // 60)
    gpus = [f'-gpu "num={jobs.gpus}"'] if jobs.gpus else []
    return {
        "queue": settings.queue,
        "project": settings.account,
        "walltime": f"{minutes // 60:02d}:{minutes % 60:02d}",
        "ncpus": jobs.cores,
        "job_extra_directives": [*gpus, *settings.job_extra],
    }


def _sge(jobs: WorkerJobs, settings: JobSettings, seconds: int) -> dict[str, Any]:
    return {
        "queue": settings.queue,
        "project": settings.account,
        "walltime": _clock(seconds),
        "resource_spec": f"gpu={jobs.gpus}" if jobs.gpus else None,
        "job_extra_directives": list(settings.job_extra),
    }


def _htcondor(jobs: WorkerJobs, settings: JobSettings, seconds: int) -> dict[str, Any]:
    extra: dict[str, str] = {"allowed_job_duration": str(seconds)}
    extra |= {"request_gpus": str(jobs.gpus)} if jobs.gpus else {}
    extra |= {"accounting_group": settings.account} if settings.account else {}
    for line in settings.job_extra:
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            raise DistillError(f"--job-extra {line!r}: HTCondor takes 'KEY = VALUE'")
        extra[key.strip()] = value.strip()
    return {"disk": "4GB", "job_extra_directives": extra}


def _megabytes(memory: str) -> int:
    number, unit = re.fullmatch(r"([\d.]+) ?([KMGT])i?B", memory, re.IGNORECASE).groups()  # type: ignore[union-attr]
    return max(round(float(number) * 1024.0 ** ("KMGT".index(unit.upper()) - 1)), 1)


WRITERS: Mapping[str, Callable[[WorkerJobs, JobSettings, int], dict[str, Any]]] = {
    "slurm": _slurm,
    "pbs": _pbs,
    "lsf": _lsf,
    "sge": _sge,
    "htcondor": _htcondor,
}
