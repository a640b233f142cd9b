"""How the C library hands memory back: not between two batches."""

from __future__ import annotations

import ctypes
import sys

# Names and numbers of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEEP = 1 << 30  # bytes of freed memory that stay with the process
AT_ONCE = 64 << 20  # bytes by which it grows


def keep_freed_memory() -> bool:
    """Let this process reuse the memory of the last batch for the next; return whether the library could be told.

    By default glibc gives every large block back to the kernel, which clears it and hands it out again, page by
    page: thousands of page faults per triplet, and far more where Dask has lowered the threshold for its workers.
    Does nothing without glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEEP), (M_TOP_PAD, AT_ONCE))
    return all(mallopt(name, value) == 1 for name, value in settings)
