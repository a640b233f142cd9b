"""Freed memory stays with the process that will want it again."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from distill.memory import keep_freed_memory

def faults(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        block = bytearray(8 << 20)  # 2048 pages
        del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults(1)
print(faults(20))
"""


def faults(mode: str) -> int:
    # As in a Dask worker, where the threshold is lowered before the process starts.
    environment = {"MALLOC_TRIM_THRESHOLD_": "65536", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, mode], env=environment, check=True, capture_output=True, text=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt belongs to glibc")
def test_a_block_that_was_freed_costs_no_page_faults_again() -> None:
    assert faults("keep") < faults("default") / 10
