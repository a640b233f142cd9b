"""Freed memory stays with the process that will want it again."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, threading
from distill.devices import keep_freed_memory

def faults(rounds, size):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        block = bytearray(size)  # which writes to every page
        del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def count(size):
    faults(1, size)
    print(faults(20, size))

mode, where, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
if mode == "keep":
    assert keep_freed_memory()
if where == "thread":
    thread = threading.Thread(target=count, args=(size,))
    thread.start()
    thread.join()
else:
    count(size)
"""


def faults(mode: str, where: str, size: int) -> int:
    # As in a Dask worker, where the threshold is lowered before the process starts.
    environment = {"MALLOC_TRIM_THRESHOLD_": "65536", "PATH": ""}
    command = [sys.executable, "-c", SCRIPT, mode, where, str(size)]
    return int(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.parametrize("size", [8 << 20, 80 << 20])  # the second does not fit into the arena of a thread
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt belongs to glibc")
def test_a_block_that_was_freed_costs_no_page_faults_again(where: str, size: int) -> None:
    assert faults("keep", where, size) < faults("default", where, size) / 10
