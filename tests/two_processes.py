"""A training by two processes of this machine, as torchrun starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SCRIPT = """from distill.cli.train import training_command
from distill.training import page
page.draw_curves = lambda *_, **__: b""  # takes longer than the training
training_command({trainer!r})()
"""


def train_in_two_processes(trainer: str, options: Sequence[object], out: Path) -> None:
    """Run `distill train-TRAINER` with `options`, one thread a process, into `out`; its script lies beside that."""
    script = out.with_suffix(".py")
    script.write_text(SCRIPT.format(trainer=trainer))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [str(part) for part in [*torchrun, *options, "--out", out]]
    subprocess.run(command, check=True, env=environment, capture_output=True)
