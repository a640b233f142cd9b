"""What one driver costs: how many GPUs it feeds before it is the bottleneck, by workers that sleep.

    python benchmarks/driver_load.py --workers 64 --tasks 2000 --shard-s 1.5

Driver and scheduler share this process, as in `distill generate --cluster slurm`; all workers live in another one, so
that the CPU time of this one is what a real run costs here. A task carries a specification as long as that of a real
shard, and a report comes back. Prints CPU seconds a task, memory, and by arithmetic the number of GPUs that take all
of one core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

SPECIFICATION, REPORT = 3000, 400  # bytes of a task's recipe and of what comes back


def shard(task: dict[str, Any]) -> dict[str, Any]:
    """Stand for a shard: take as long, and report as much."""
    time.sleep(task["seconds"])
    return {"report": "r" * REPORT, "index": task["index"]}


async def host_workers(folder: str, address: str, count: int) -> None:
    """Be `count` workers of a scheduler until it goes."""
    from distributed import Worker

    from distill.generation.cluster_tls import security_of

    options: dict[str, Any] = {"nthreads": 1, "security": security_of(Path(folder)), "dashboard": False}
    workers = [await Worker(address, name=f"w-{index}", **options) for index in range(count)]
    await asyncio.gather(*(worker.finished() for worker in workers))


def measure(workers: int, tasks: int, seconds: float) -> dict[str, float]:
    """Run the tasks on a cluster of this machine; return what `drive` measured."""
    import tempfile

    from distributed import SpecCluster

    from distill.generation.cluster_pools import scheduler_spec
    from distill.generation.cluster_tls import make_private_folder, security_of

    with tempfile.TemporaryDirectory() as parent:
        folder = make_private_folder(Path(parent))
        security = security_of(folder)
        with SpecCluster({}, scheduler_spec(security), security=security) as cluster:
            address = cluster.scheduler_address
            command = [sys.executable, __file__, "--host", str(folder), address, "--workers", str(workers)]
            environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[1]}:{Path(__file__).parent}"}
            hosted = subprocess.Popen(command, env=environment)
            try:
                while len(cluster.scheduler.workers) < workers:
                    time.sleep(0.2)
                return drive(folder, address, workers, tasks, seconds)
            finally:
                hosted.kill()
                hosted.wait()


def drive(folder: Path, address: str, workers: int, tasks: int, seconds: float) -> dict[str, float]:
    """Give the tasks to the workers; return CPU and wall seconds, MiB of memory, and how busy the workers were."""
    from distill.generation.cluster import run_on_cluster
    from distill.generation.cluster_settings import Patience, TlsFiles

    certificate = folder / "certificate.pem"
    tls = TlsFiles(ca=certificate, certificate=certificate, key=folder / "key.pem")
    task = {"seconds": seconds, "recipe_json": "x" * SPECIFICATION}
    work = [(f"shard-{index:05d}", {**task, "index": index}) for index in range(tasks)]
    me = psutil.Process()
    before, started = sum(me.cpu_times()[:2]), time.monotonic()
    outcomes = run_on_cluster(
        shard, work, cluster=address, workers=None, devices=(), stop=threading.Event(), tls=tls,
        patience=Patience(connect_s=120),
    )  # fmt: skip
    failed = sum(outcome.error is not None for outcome in outcomes)
    cpu, wall = sum(me.cpu_times()[:2]) - before, time.monotonic() - started
    return {
        "failed": failed,
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 2),
        "memory_mib": round(me.memory_info().rss / 2**20),
        "workers_busy": round(tasks * seconds / (wall * workers), 3),
    }


def main() -> None:
    logging.disable(logging.INFO)  # of Dask
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--shard-s", type=float, default=1.5)
    parser.add_argument("--host", nargs=2, metavar=("FOLDER", "ADDRESS"))
    given = parser.parse_args()
    if given.host:
        asyncio.run(host_workers(*given.host, given.workers))
        return
    short = measure(given.workers, given.tasks, given.shard_s)
    long = measure(given.workers, given.tasks // 4, 4 * given.shard_s)
    # CPU time = tasks x a + worker-seconds x b (heartbeats), of two runs.
    tasks, lives = (given.tasks, given.tasks // 4), [given.workers * run["wall_s"] for run in (short, long)]
    per_task, per_life = solve(tasks, lives, [short["cpu_s"], long["cpu_s"]])
    gpus = {f"{s} s a shard": round(1 / (per_task / s + per_life)) for s in (1, 2, 4, 8, 16)}
    costs = {
        "cpu_ms_per_task": round(1000 * per_task, 2),
        "cpu_ms_per_worker_second": round(1000 * per_life, 3),
    }
    print(json.dumps({"runs": [short, long], **costs, "gpus_that_take_one_core": gpus}, indent=1))


def solve(tasks: Sequence[float], lives: Sequence[float], cpu: Sequence[float]) -> tuple[float, float]:
    """Solve tasks x a + lives x b = cpu, two equations."""
    by = tasks[0] * lives[1] - tasks[1] * lives[0]
    return (cpu[0] * lives[1] - cpu[1] * lives[0]) / by, (tasks[0] * cpu[1] - tasks[1] * cpu[0]) / by


if __name__ == "__main__":
    import driver_load  # the task by a name that workers can import

    driver_load.main()
