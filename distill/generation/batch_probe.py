"""`python -m distill.generation.batch_probe PROBE`: the process that measures batch sizes, for `batch_size`.

Prints a JSON object a line: the room first, then readings by ascending size, each as soon as it is there.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from distill.devices import be_reproducible, keep_freed_memory, peak_memory, processor_name, usable_memory
from distill.directions.file import read_direction
from distill.files import atomic_write
from distill.generation.attempt import is_out_of_memory
from distill.generation.batch_size import ALIKE, Probe, Reading
from distill.generation.edit_settings import make_edit
from distill.generation.pipeline import AHEAD, draw
from distill.generation.recipe import Recipe
from distill.schema import canonical_json
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.timing import DeviceTimer
from distill.weights.registry import cache_dir

SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
BUDGET_S = 60.0  # no size is begun that is not likely to be done by then
ENOUGH_S = 0.5  # of drawing, for one reading
PATIENCE = 2  # sizes in a row that are no better, before larger ones are left out
SHARE = 0.8  # of the memory that is there: filters, codecs and libraries need the rest

DrawSome = Callable[[int], object]  # so many candidates at once


def main(text: str) -> None:
    """Print what was measured for such a run before; else measure it, and keep that."""
    probe = Probe(**json.loads(text))
    be_reproducible()
    keep_freed_memory()
    recipe = Recipe.from_json(probe.recipe_json)
    # Not compiled, whatever the recipe says: a minute of compiling for each size would tell little more.
    teacher = load_generator(probe.source, device=probe.device, precision=probe.precision)
    place = cache_dir() / "batch-sizes" / f"{key_of(probe, recipe, teacher.device)}.json"
    kept, room = kept_readings(place), room_on(teacher.device, workers=probe.workers)
    say({"room": room, "kept": bool(kept)})
    found: list[Reading] = []
    for reading in kept or readings(probe, recipe, teacher, room=room):
        say(asdict(reading))
        found.append(reading)
    if not kept:
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(place, json.dumps([asdict(reading) for reading in found]).encode())


def say(fact: Mapping[str, object]) -> None:
    print(json.dumps(fact), flush=True)


def key_of(probe: Probe, recipe: Recipe, device: torch.device) -> str:
    """Name what the readings depend on: machine, library, network, number format, and what is drawn with it."""
    facts = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name(),
        "torch": torch.__version__,
        "generator": recipe.generator.sha256,
        "precision": probe.precision,
        "edit": recipe.edit.model_dump(mode="json"),
        "noise": recipe.noise,
        "ahead": probe.threads > 1,
        "rows": probe.rows,
    }
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:16]


def kept_readings(place: Path) -> list[Reading]:
    """Read what a run before kept; [] where there is none, or none that can be read."""
    try:
        return [Reading(**fact) for fact in json.loads(place.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def room_on(device: torch.device, *, workers: int) -> int:
    """Bytes that each of so many processes may take: of its own GPU, or of the memory that they share."""
    if device.type == "cuda":
        return int(SHARE * torch.cuda.get_device_properties(device).total_memory)
    return int(SHARE * usable_memory() / workers)


def readings(probe: Probe, recipe: Recipe, teacher: Generator, *, room: int) -> Iterator[Reading]:
    """Measure ascending sizes until larger ones are no better, fill the room, outgrow a shard, or take too long."""
    direction = read_direction(probe.direction, generator=probe.source) if probe.direction else None
    edit = make_edit(recipe.edit, direction)
    ahead: deque[object] = deque(maxlen=AHEAD + 1 if probe.threads > 1 else 1)  # held until they are judged

    def draw_some(size: int) -> None:
        ahead.append(draw(teacher, recipe, edit, 0, range(size)))

    start, best, idle = time.monotonic(), float("inf"), 0
    draw_some(1)  # what only the first drawing does
    for size in SIZES:
        try:
            seconds = seconds_each(draw_some, size, teacher.device)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return
        reading = Reading(size=size, seconds=seconds, bytes=held_on(teacher.device))
        yield reading
        cost = reading.cost(probe.rows)
        best, idle = min(best, cost), 0 if cost * ALIKE <= best else idle + 1
        late = time.monotonic() - start + 2 * size * seconds > BUDGET_S
        if idle == PATIENCE or late or reading.bytes > room or 2 * size > probe.rows:
            return


def seconds_each(draw_some: Callable[[int], None], size: int, device: torch.device) -> float:
    """Draw so many at once, again and again for a while; return the least seconds that one candidate took.

    On a CPU they are the processor's, of which other processes take less.
    """
    on_gpu, taken = device.type == "cuda", list[float]()
    if on_gpu:
        draw_some(size)  # chooses kernels for this size
    while sum(taken) < ENOUGH_S:
        start = time.process_time()
        with DeviceTimer(device) as timer:
            draw_some(size)
        taken.append(timer.seconds() if on_gpu else time.process_time() - start)
    return min(taken) / size


def held_on(device: torch.device) -> int:
    """The most bytes that the GPU, or this process, has held until now."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else peak_memory()


if __name__ == "__main__":
    main(sys.argv[1])
