"""Where the time of an update goes, by part and by operator, under PyTorch's profiler.

A network's part is its passes and the ways back through them; what belongs to none, such as losses and augmentation,
is the rest. On a GPU times are those of kernels. The profiler slows small pieces of work: shares, not rates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kernels import own_times
from side_by_side import print_table, wait_for
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function
from updates import Way

PREFIX, BACK, OPTIMISER = "part: ", "autograd::engine::evaluate_function", "Optimizer.step#"
REST, WHOLE = "rest", "update"
UPDATES, TOP, WIDTH = 4, 12, 60


def print_profile(ways: Sequence[Way], parts: Sequence[str]) -> dict[str, Any]:
    """Profile ways side by side, each with networks of these names in its step; print, return milliseconds."""
    found = {way.name: profile_way(way, parts) for way in ways}
    names = [*parts, "optimiser", REST]
    rows = []
    for part in names:
        cells = [f"{ms['parts'][part]:.1f} ms, {ms['parts'][part] / ms[WHOLE]:.0%}" for ms in found.values()]
        rows.append((part, *cells))
    rows.append((WHOLE, *(f"{ms[WHOLE]:.1f} ms" for ms in found.values())))
    print_table(("part", *found), rows)
    for name, ms in found.items():
        print(name)
        longest = [
            (key[:WIDTH], f"{calls:.0f}", f"{time:.2f}", f"{time / ms[WHOLE]:.0%}")
            for key, calls, time in ms["operators"][:TOP]
        ]
        print_table(("operator or kernel", "calls an update", "ms", "share"), longest)
    return found


def profile_way(way: Way, parts: Sequence[str]) -> dict[str, Any]:
    """Return milliseconds of an update: of each part, of all together, and of each operator."""
    on_gpu = way.device.type == "cuda"
    networks = {part: getattr(way.step, part) for part in parts}
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with named(networks), profile(activities=activities) as profiler:
        for _ in range(UPDATES):
            with record_function(WHOLE):
                way.update()
        wait_for(way.device)
    scale = 1e-3 / UPDATES
    spent = {part: scale * time for part, time in by_part(list(profiler.events()), on_gpu).items()}
    operators = [
        (key, calls / UPDATES, scale * time)
        for key, calls, time in own_times(profiler, on_gpu=on_gpu)
        if not key.startswith((PREFIX, WHOLE))
    ]
    whole = sum(time for *_, time in operators) if on_gpu else spent[WHOLE]
    shares = {part: spent.get(part, 0.0) for part in (*parts, "optimiser")}
    return {"parts": {**shares, REST: whole - sum(shares.values())}, WHOLE: whole, "operators": operators}


@contextmanager
def named(networks: Mapping[str, Any]) -> Iterator[None]:
    """Let the profiler see which network is at work."""
    handles = []
    for part, network in networks.items():
        if not isinstance(network, nn.Module):
            continue
        open_ranges: list[Any] = []

        def enter(*_: Any, part: str = part, ranges: list[Any] = open_ranges) -> None:
            ranges.append(record_function(PREFIX + part))
            ranges[-1].__enter__()

        def leave(*_: Any, ranges: list[Any] = open_ranges) -> None:
            ranges.pop().__exit__(None, None, None)

        handles += [network.register_forward_pre_hook(enter), network.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def by_part(events: list[Any], on_gpu: bool) -> dict[str, float]:
    """Add up microseconds: an operator's way back has the sequence number of its way there."""
    spent: dict[str, float] = defaultdict(float)
    owner: dict[int, str] = {}
    for event in events:
        part = _part(event)
        if part and event.sequence_nr >= 0:
            owner.setdefault(event.sequence_nr, part)
    for event in events:
        time = event.device_time_total if on_gpu else event.cpu_time_total
        if event.name.startswith(PREFIX):
            spent[event.name.removeprefix(PREFIX)] += time
        elif event.name.startswith(BACK):
            spent[owner.get(event.sequence_nr, REST)] += time
        elif event.name.startswith(OPTIMISER):
            spent["optimiser"] += time
        elif event.name == WHOLE:
            spent[WHOLE] += time
    return spent


def _part(event: Any) -> str | None:
    while event is not None:
        if event.name.startswith(PREFIX):
            return str(event.name.removeprefix(PREFIX))
        event = event.cpu_parent
    return None
