"""What a worker job runs: `dask worker` once per GPU that the job was given, or once per core.

`python -m distill.generation.cluster_worker SCHEDULER --name NAME --processes P --gpus G …`; the rest goes to each
`dask worker`. A process sees its own GPU alone and is called NAME-0, NAME-1, …
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

ALWAYS = ("--nthreads", "1", "--nworkers", "1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")


def main(arguments: Sequence[str]) -> int:
    """Start the workers, and end when they have ended; SIGTERM, SIGINT and SIGUSR1 end them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--gpus", type=int, required=True)
    parser.add_argument("--nthreads")  # one: a worker has one task at a time
    given, rest = parser.parse_known_args(arguments)
    devices = gpus_of_job(given.gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    if len(devices) < given.gpus:
        print(
            f"distill: error: {given.gpus} GPUs were asked for, this job has {len(devices)}", file=sys.stderr
        )
        return 2
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "distributed.cli.dask_worker",
                *rest,
                *ALWAYS,
                "--name",
                f"{given.name}-{index}",
            ],
            env={**os.environ, **({"CUDA_VISIBLE_DEVICES": devices[index]} if devices else {})},
        )
        for index in range(given.processes)
    ]

    def end(number: int, frame: FrameType | None) -> None:
        for worker in started:
            worker.terminate()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, end)
    return max(worker.wait() for worker in started)


def gpus_of_job(count: int, visible: str | None) -> list[str]:
    """Return a CUDA_VISIBLE_DEVICES value per GPU: those of the job, numbers where the batch system names none."""
    if not count:
        return []
    listed = [str(index) for index in range(count)] if visible is None else visible.split(",")
    return [name.strip() for name in listed if name.strip()][:count]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
