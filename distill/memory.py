"""This process's memory: how much there is, how much it took, and that none is handed back between two batches."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

import psutil

# Names and numbers of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
KEEP = 1 << 30  # bytes of freed memory that stay with the process
AT_ONCE = 64 << 20  # bytes by which it grows


def keep_freed_memory() -> bool:
    """Let this process reuse the memory of the last batch for the next; return whether the library could be told.

    By default glibc gives every large block back to the kernel, which clears it and hands it out again, page by
    page: thousands of page faults per triplet, and far more where Dask has lowered the threshold for its workers.
    Threads that begin after the call share the main thread's arena: one of their own holds no block above 64 MiB.
    In a worker Dask's threads were there before: it needs MALLOC_ARENA_MAX=1 in its environment as well.
    Does nothing without glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEEP), (M_TOP_PAD, AT_ONCE), (M_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in settings)


def usable_memory() -> int:
    """Bytes that are free on this machine, or that its control group may have where that is less."""
    return min(int(psutil.virtual_memory().available), *group_limits(Path("/proc/self/cgroup")))


def group_limits(groups: Path, root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Read the memory limits, in bytes, of the control groups (version 2) that this process is in; at least one."""
    limits = [sys.maxsize]
    if groups.is_file():
        names = [
            line.removeprefix("0::/") for line in groups.read_text().splitlines() if line.startswith("0::")
        ]
        for group in (place for name in names for place in (root / name, *(root / name).parents)):
            limit = group / "memory.max"
            if (
                group.is_relative_to(root)
                and limit.is_file()
                and (text := limit.read_text().strip()) != "max"
            ):
                limits.append(int(text))
    return limits


def peak_memory() -> int:
    """The most bytes of memory that this process has held until now."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
