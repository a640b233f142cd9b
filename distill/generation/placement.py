"""Where a run takes place: this process, worker processes here, or a cluster that is running already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from distill.devices import check_device_name, resolve_device, usable_cores, visible_devices
from distill.errors import DistillError
from distill.generation.batch_queue import TITLES, JobSettings, WorkerJobs, refuse_jobs, settle_jobs
from distill.generation.cluster_settings import TlsFiles, scheduler_address
from distill.progress import plural

MAX_DEFAULT_WORKERS = (
    8  # CPU processes started unasked: each holds its own teacher and landmark model (~0.7 GB)
)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """`cluster` is none, local, an address, or a batch system with its `jobs`.

    `devices`: one CUDA_VISIBLE_DEVICES value per local GPU worker. `threads` is what each process may use; 0 leaves
    it to the process, which is then alone on its cores.
    """

    cluster: str
    workers: int
    devices: tuple[str, ...]
    device: str  # as each process names it
    threads: int = 1
    jobs: WorkerJobs | None = None
    tls: TlsFiles | None = None  # of the scheduler at an address
    dashboard: bool = False

    @property
    def here(self) -> bool:
        """Whether this machine draws."""
        return self.cluster in ("none", "local")

    def describe(self) -> str:
        kind = f"{self.workers} GPU" if self.devices else f"{self.workers} CPU"
        if self.cluster == "none":
            return f"this process on {self.device}"
        if self.cluster == "local":
            return f"{kind} worker process{'es' if self.workers > 1 else ''} on this machine"
        return self.jobs.describe() if self.jobs else f"the workers of {self.cluster}"


def place(
    *,
    cluster: str | None,
    workers: int | None,
    device: str,
    visible: Sequence[str],
    tasks: int,
    jobs: JobSettings | None = None,
) -> Placement:
    """Choose what the user left open: a worker per visible GPU, else a process per core, never more than tasks.

    Raises `DistillError` for a combination that cannot be meant.
    """
    check_device_name(device)
    if cluster in TITLES:
        return place_in_jobs(str(cluster), jobs or JobSettings(), workers=workers, device=device)
    refuse_jobs(jobs or JobSettings(), cluster)
    if cluster not in (None, "none", "local"):
        scheduler_address(str(cluster))
    if cluster == "none" and workers not in (None, 1):
        raise DistillError(f"--cluster none runs in this one process: drop --workers {workers}, or say local")
    if cluster not in (None, "none", "local"):
        threads = 0 if device.startswith("cuda") else 1  # a CPU cluster has a worker per core
        return Placement(
            cluster=str(cluster), workers=workers or 0, devices=(), device=device, threads=threads
        )
    if device.startswith("cuda:") and cluster is None and workers is None:
        cluster = "none"  # one named GPU
    gpus = tuple(visible) if device in ("auto", "cuda") else ()
    if workers and gpus and workers > len(gpus):
        raise DistillError(f"--workers {workers} is more than the {plural(len(gpus), 'visible GPU')} here")
    ready = len(gpus) if gpus else min(usable_cores(), MAX_DEFAULT_WORKERS)
    count = workers or min(ready, max(tasks, 1))
    if cluster is None:
        cluster = "local" if workers or count > 1 else "none"
    if cluster == "none":
        return Placement(cluster="none", workers=1, devices=(), device=device, threads=usable_cores())
    return Placement(
        cluster="local",
        workers=count,
        devices=gpus[:count],
        device="cuda" if gpus else device,
        threads=max(usable_cores() // count, 1),
    )


def place_in_jobs(system: str, settings: JobSettings, *, workers: int | None, device: str) -> Placement:
    """Choose what worker jobs of a batch system are: one process per GPU, else one per core."""
    jobs = settle_jobs(system, settings, workers=workers, device=device)
    return Placement(
        cluster=system,
        workers=workers or 0,
        devices=(),
        device="cuda" if jobs.gpus else "cpu",
        threads=0 if jobs.gpus else 1,
        jobs=jobs,
    )


def with_access(placement: Placement, *, tls: TlsFiles | None, dashboard: bool) -> Placement:
    """Add the certificate for a scheduler, and Dask's page. Raises DistillError where none is started here."""
    if dashboard and placement.cluster != "local" and placement.jobs is None:
        what = (
            "the scheduler there has its own" if placement.cluster != "none" else "this one process has none"
        )
        raise DistillError(f"--dashboard: {what}; it is for --cluster local and {', '.join(TITLES)}")
    return replace(placement, tls=tls, dashboard=dashboard)


def place_on_devices(
    *, cluster: str | None, workers: int | None, device: str, tasks: int, jobs: JobSettings | None = None
) -> Placement:
    """Choose where a run takes place, of the devices that are here; raises as `place`, and for a device not here."""
    visible = visible_devices() if device in ("auto", "cuda") else []
    placement = place(
        cluster=cluster, workers=workers, device=device, visible=visible, tasks=tasks, jobs=jobs
    )
    return replace(placement, device=resolve_device(placement.device)) if placement.here else placement
