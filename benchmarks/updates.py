"""Ways to make the same update of a training, in turn in one process; of train_pix2pix.py and train_baselines.py."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from side_by_side import wait_for
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from distill.devices import DTYPES, Format
from distill.training.position import RunPosition

SEED = 0
LEAST = 3  # updates a round
AGREE = 1e-3  # of the first losses, relative
PEAK_SIDES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
PEAK_SECONDS = 0.5  # for each side


class Operations(TorchDispatchMode):
    """Counts those of matrix products and convolutions, two for a multiplication with its addition.

    torch's own FlopCounterMode follows modules too, which second derivatives do not allow.
    """

    total = 0.0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        if (count := flop_registry.get(function._overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


@dataclass
class Way:
    """A way to update, and what was measured of it. `period`: updates until all that an update may do was done."""

    name: str
    build: Callable[[], Any]
    batch: Any
    samples: int  # of an update
    device: torch.device
    precision: Format
    plain: bool = False
    compiled: bool = False  # then its operations are not seen one by one
    period: int = 1
    step: Any = None
    updates: int = 0
    first: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)  # an update, a round each
    efforts: list[float] = field(default_factory=list)  # of this process's processors
    operations: float = 0.0  # of matrix products and convolutions, an update
    memory: int = 0  # bytes, the most at once, on a GPU

    def begin(self) -> None:
        """Build, make the first period, and count the operations of the second."""
        self.step = self.build()
        for _ in range(self.period):
            self.first = {name: float(value) for name, value in self.update().items()} | self.first
        if not self.compiled:
            with Operations() as counter:
                for _ in range(self.period):
                    self.update()
            self.operations = counter.total / self.period

    def update(self) -> dict[str, Any]:
        place = RunPosition(seed=SEED, updates=self.updates, samples=self.updates * self.samples)
        self.updates += 1
        found: dict[str, Any] = self.step.update(self.batch, place)
        return found

    def round(self, seconds: float) -> None:
        """Update for this long, some times at least, in whole periods, without a stop in between."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self.update()
        wait_for(self.device)
        since, worked, count = time.perf_counter(), time.process_time(), 0
        while count * self.period < LEAST or time.perf_counter() - since < seconds:
            for _ in range(self.period):
                self.update()
            if count % 8 == 7:  # else a GPU would be given work for longer than `seconds`
                wait_for(self.device)
            count += 1
        wait_for(self.device)
        count *= self.period
        self.seconds.append((time.perf_counter() - since) / count)
        self.efforts.append((time.process_time() - worked) / count)
        if self.device.type == "cuda":
            self.memory = max(self.memory, torch.cuda.max_memory_allocated())

    @property
    def rate(self) -> float:
        """Updates a second."""
        return 1 / statistics.median(self.seconds)

    def times_faster_than(self, other: Way) -> float:
        """Return the median over the rounds: on a GPU of time, on a CPU of the time that its processors worked."""
        mine, theirs = ((way.seconds if self.device.type == "cuda" else way.efforts) for way in (self, other))
        return statistics.median(b / a for a, b in zip(mine, theirs, strict=True))


def race(ways: Sequence[Way], *, seconds: float, rounds: int) -> None:
    """Begin all ways; then each once a round, another one first each time."""
    for way in ways:
        way.begin()
    for turn in range(rounds):
        for number in range(len(ways)):
            ways[(turn + number) % len(ways)].round(seconds / rounds)


def check_agreement(plain: Way, ours: Way) -> float:
    """Return how far the first losses are apart, relative; end where that is more than rounding."""
    shared = plain.first.keys() & ours.first.keys()
    apart = max(abs(ours.first[name] - plain.first[name]) / abs(plain.first[name]) for name in shared)
    if not apart < AGREE:
        raise SystemExit(
            f"{ours.name}: the first losses differ by {apart:.2g} from those of the plain order: {plain.first} and"
            f" {ours.first}; nothing was measured"
        )
    return apart


def plain_of(way: Way, ways: Sequence[Way]) -> Way | None:
    """The plain way in the precision of this one; None where there is none."""
    return next((other for other in ways if other.plain and other.precision == way.precision), None)


def plain_autocast(device: str, half: torch.dtype) -> torch.autocast:
    """What a plain loop runs its networks under in half precision; nothing in float32."""
    enabled = half is not torch.float32
    return torch.autocast(torch.device(device).type, dtype=half if enabled else None, enabled=enabled)


def peak(device: torch.device, precision: Format) -> float:
    """Operations a second of square matrix products, the best; in float32 with what convolutions may use (TF32)."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda" and torch.backends.cudnn.allow_tf32:
        torch.set_float32_matmul_precision("high")
    try:
        return max(rate_of_product(side, device, DTYPES[precision]) for side in PEAK_SIDES[device.type])
    finally:
        torch.set_float32_matmul_precision(before)


def rate_of_product(side: int, device: torch.device, dtype: torch.dtype) -> float:
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = a @ b
    wait_for(device)
    best, since = math.inf, time.perf_counter()
    repeats = 16 if device.type == "cuda" else 1  # a product takes less than it costs to wait for it
    while time.perf_counter() < since + PEAK_SECONDS:
        start = time.perf_counter()
        for _ in range(repeats):
            torch.matmul(a, b, out=out)
        wait_for(device)
        best = min(best, (time.perf_counter() - start) / repeats)
    return 2 * side**3 / best
