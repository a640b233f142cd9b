"""Work for the cluster tests: module-level functions that worker processes import."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import Any

from distill.errors import DiskFull, DistillError


def double(number: int) -> int:
    return 2 * number


def whereabouts(folder: str) -> dict[str, Any]:
    """Say who this process is; every call leaves a file named by its pid."""
    Path(folder, str(os.getpid())).touch()
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    names = ("CUDA_VISIBLE_DEVICES", *threads, "MALLOC_ARENA_MAX")
    time.sleep(0.3)  # long enough for the other workers to take a task too
    return {"pid": os.getpid(), **{name: os.environ.get(name) for name in names}}


def misbehave(task: dict[str, Any]) -> str:
    """Do what `task["kind"]` says; count the tries in `task["folder"]`."""
    kind, folder = task["kind"], Path(task["folder"])
    tries = len(list(folder.glob(f"{kind}-*")))
    (folder / f"{kind}-{tries}").touch()
    if kind == "poison":
        os._exit(1)
    if kind == "bug":
        raise ValueError("seven is not\neven")
    if kind == "refused":
        raise DistillError(
            "the recipe asks for 512 px, the generator makes 256: choose --resolution 256 or less"
        )
    if kind == "flaky" and tries < 2:
        raise OSError(errno.EIO, "the network disk hiccups")
    if kind == "broken-disk":
        raise OSError(errno.EIO, "the network disk is gone")
    if kind == "full":
        raise DiskFull("/data: no space left; the same command resumes")
    return kind


def slowly(task: dict[str, Any]) -> int:
    """Write this process's pid, take `seconds`, then write the result; once written, it is there at once."""
    done = Path(task["folder"], f"{task['name']}.done")
    if not done.exists():
        Path(task["folder"], f"{task['name']}.{os.getpid()}.pid").touch()
        time.sleep(task["seconds"])
        done.touch()
    return os.getpid()


def import_paths_below(folder: str) -> dict[str, int]:
    """The folders in `folder` that lead to places where this process looks for modules, with their modes."""
    below = [Path(path).relative_to(folder) for path in sys.path if path.startswith(f"{folder}/")]
    return {path.parts[0]: (Path(folder) / path.parts[0]).stat().st_mode & 0o777 for path in below}
