"""How many candidates to draw at once: measured on the device of a run, before its recipe is fixed.

The batch is part of a recipe, for on most devices a candidate's last bits depend on what is drawn beside it. So it is
measured once, before the first shard; what was measured is kept on disk, and the same run on this machine chooses the
same again. The measuring has a process of its own (`batch_probe`), so that neither its memory nor its GPU context
stays.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

from distill.devices import Precision
from distill.errors import DistillError, Interrupted
from distill.files import size_text

if TYPE_CHECKING:
    from distill.generation.recipe import Recipe

# Unasked from these on: at 512 and 1024 px a CPU draws 4 at once as fast as 16, in half the memory or less; at 64 px
# 8 to 64 are alike. How many fill a GPU depends on the GPU, whatever the size.
LONG_RUN = 500  # triplets
LARGE = 256  # px
ALIKE = 1.03  # times the cheapest: what cannot be told from it, or is not worth the memory
POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What is to be measured, as plain values for the process that does it."""

    recipe_json: str
    source: str  # of the generator
    device: str
    precision: Precision
    direction: str
    threads: int  # of each process
    workers: int  # that will share the memory of this machine
    rows: int  # of a shard


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What drawing `size` candidates at once costs: seconds for each, and bytes that process or GPU held for it."""

    size: int
    seconds: float
    bytes: int

    def cost(self, rows: int) -> float:
        """Seconds a row in shards of `rows`: the last batch of a shard is drawn whole, and half of it is wanted."""
        return self.seconds * (1 + self.size / (2 * rows))


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What was measured, by ascending size, now or earlier (`kept`); `room`: bytes that each process may take."""

    sizes: tuple[Reading, ...]
    room: int
    kept: bool

    def line(self, chosen: Reading) -> str:
        """Say for a user what was seen and chosen."""
        seen = ", ".join(f"{item.seconds:.3g} by {item.size}" for item in self.sizes)
        before = ", measured before" if self.kept else ""
        return f"batch size {chosen.size} (seconds a candidate: {seen}; {size_text(chosen.bytes)} a process{before})"


def pays(recipe: Recipe, n: int, *, device: str) -> bool:
    """Tell whether to measure for a run of `n` rows unasked."""
    return n >= LONG_RUN and (device != "cpu" or recipe.generator.resolution >= LARGE)


def choose(readings: Readings, rows: int) -> Reading:
    """Take the smallest that fits into the room and costs as little as the cheapest that does, or nearly.

    Where nothing fits, the smallest of all.
    """
    fitting = [item for item in readings.sizes if item.bytes <= readings.room] or [readings.sizes[0]]
    enough = ALIKE * min(item.cost(rows) for item in fitting)
    return next(item for item in fitting if item.cost(rows) <= enough)


def measure(probe: Probe, *, gpus: Sequence[str] = (), stop: threading.Event) -> Readings:
    """Let another process measure; it sees the first of `gpus` (CUDA_VISIBLE_DEVICES values), where there are any.

    Raises `Interrupted` when `stop` is set, DistillError where not even the smallest batch could be drawn.
    """
    environment = dict(os.environ)
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[0]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as failed:
        status = run_probe(probe, environment, said, failed, stop=stop)
        said.seek(0), failed.seek(0)
        facts = [json.loads(line) for line in said]
        if len(facts) < 2:
            last = failed.read().strip().splitlines()[-1:] or [f"its process ended with status {status}"]
            raise DistillError(f"no batch size could be measured: {last[0][:300]}; name one by --batch-size")
    return Readings(sizes=tuple(Reading(**fact) for fact in facts[1:]), **facts[0])


def run_probe(
    probe: Probe, environment: dict[str, str], said: IO[str], failed: IO[str], *, stop: threading.Event
) -> int:
    """Run the process to its end and return its status. Ctrl-C in the terminal reaches the caller only."""
    command = [sys.executable, "-m", "distill.generation.batch_probe", json.dumps(asdict(probe))]
    process = subprocess.Popen(
        command, stdout=said, stderr=failed, env=environment, start_new_session=True, stdin=subprocess.DEVNULL
    )
    try:
        while process.poll() is None:
            if stop.wait(POLL_S):
                raise Interrupted(
                    "interrupted while the batch size was measured; the same command starts again"
                )
    finally:
        process.kill()
        process.wait()
    return process.returncode
