"""Run tasks where a placement says: in this process, on worker processes here, or on a cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from distill.generation.attempt import Outcome
from distill.generation.local import run_here
from distill.generation.placement import Placement

T = TypeVar("T")
R = TypeVar("R")


def run_tasks(
    work: Callable[[T], R],
    tasks: Sequence[tuple[str, T]],
    *,
    placement: Placement,
    stop: threading.Event,
    here: Callable[[T], R] | None = None,
    on_start: Callable[[str], None] | None = None,
) -> Iterator[Outcome]:
    """Yield the outcome of `work(task)` for every (key, task) in the order in which they finish.

    `work` is a module-level function; `here` takes its place in this process, where it may tell more of its
    progress. `on_start` gets one line: the cluster where the work runs. For the rest see `run_on_cluster`.
    """
    if not tasks:
        return
    if placement.cluster == "none":
        yield from run_here(here or work, tasks, stop=stop)
        return
    from distill.generation.cluster import run_on_cluster  # dask takes a second to import

    yield from run_on_cluster(
        work,
        tasks,
        cluster=placement.cluster,
        workers=placement.workers,
        jobs=placement.jobs,
        tls=placement.tls,
        dashboard=placement.dashboard,
        devices=placement.devices,
        stop=stop,
        on_start=None if placement.here and not placement.dashboard else on_start,
    )
