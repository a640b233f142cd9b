"""Network file systems: one that refuses locks, and one on which others see a new name late."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from small_sets import SMALL_SET

from distill.cli.main import run
from distill.errors import Incomplete
from distill.generation import plan as plans
from distill.generation.job import prepare
from distill.generation.request import GenerateRequest, TaskChoices
from pipelines import RECIPES

ROOT = Path(__file__).parents[1]
# Whatever this process and its children do from here on, flock and the locks of fcntl fail as on such a file system.
WITHOUT_LOCKS = """
import ctypes, errno, fcntl, struct, sys
def instruction(code, if_true, if_false, value):
    return struct.pack("HBBI", code, if_true, if_false, value)
LOAD, EQUAL, RETURN, ALLOW, ERROR = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000 | errno.ENOLCK
FLOCK, FCNTL = 73, 72  # of x86-64
program = b"".join([
    instruction(LOAD, 0, 0, 0),  # the number of the call
    instruction(EQUAL, 4, 0, FLOCK),
    instruction(EQUAL, 0, 4, FCNTL),
    instruction(LOAD, 0, 0, 24),  # its second argument
    instruction(EQUAL, 1, 0, fcntl.F_SETLK),
    instruction(EQUAL, 0, 1, fcntl.F_SETLKW),
    instruction(RETURN, 0, 0, ERROR),
    instruction(RETURN, 0, 0, ALLOW),
])
buffer = ctypes.create_string_buffer(program)
filter = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(filter), 0, 0):
    sys.exit(77)
try:
    fcntl.flock(open(sys.argv[1], "w"), fcntl.LOCK_EX)
except OSError as error:
    assert error.errno == errno.ENOLCK
else:
    sys.exit("flock works still")
from distill.cli.main import run
out = sys.argv[2]
sys.exit(run(["generate", *sys.argv[3:], "--out", out]) or run(["verify", out, "--full"]))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of system calls are those of x86-64")
@pytest.mark.cluster
def test_a_file_system_that_refuses_locks(tiny_weights: Path, tmp_path: Path) -> None:
    options = [*SMALL_SET, "--generator", str(tiny_weights), "--device", "cpu", "--n", "8"]
    out = tmp_path / "data"
    command = [
        sys.executable,
        "-c",
        WITHOUT_LOCKS,
        str(tmp_path / "probe"),
        str(out),
        *options,
        "--workers",
        "1",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this machine lets no process refuse itself system calls")
    assert done.returncode == 0, done.stderr
    assert run(["generate", *options, "--cluster", "none", "--out", str(tmp_path / "locks")]) == 0
    for name in ("manifest.json", "shard-00000.h5", "shard-00001.h5"):
        assert (out / name).read_bytes() == (tmp_path / "locks" / name).read_bytes()


def test_names_that_are_seen_late(tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    words = [*SMALL_SET, "--generator", str(tiny_weights), "--device", "cpu", "--n", "8", "--cluster", "none"]
    assert run(["generate", *words, "--out", str(out)]) == 0
    request = GenerateRequest(
        task=RECIPES["style-mix"],
        n=8,
        generator=str(tiny_weights),
        out=out,
        choices=TaskChoices(align="none", shard_size=4),
        cluster="none",
        device="cpu",
    )
    plan = prepare(request).plan
    hidden = out / ".seen-late"
    sidecar = (out / "shard-00001.json").rename(hidden)
    with pytest.raises(Incomplete, match="shard 1 was made but cannot be seen here"):
        plans.reports_of(plan, 0)
    shown = threading.Timer(0.7, sidecar.rename, [out / "shard-00001.json"])
    shown.start()
    assert [report.index for report in plans.reports_of(plan, 30)] == [0, 1]
    shown.join()
