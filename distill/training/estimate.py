"""How long a training will take, by some updates of it that are thrown away."""

from __future__ import annotations

import time

import torch

from distill.timing import DeviceTimer, clock
from distill.training.position import RunPosition
from distill.training.processes import world_size
from distill.training.run import Training

PLACES = (0.5, 0.9, 0.1)  # of the run: an update of its first part may be another one than those of the last
SECONDS = 20.0  # after which no new update begins


def time_text(training: Training) -> str:
    """Say how long all updates take, pictures, scores and files aside, or that it is not known. Writes nothing.

    The networks have learnt from these updates: a run must begin with new ones.
    """
    plan = training.plan
    if getattr(plan.settings, "compiled", False):
        return "not estimated: compiling takes minutes first; the progress will show the time left"
    updates = -(-plan.samples // plan.settings.batch)
    began, took = time.monotonic(), []
    for place in PLACES:
        number = int(place * updates)
        position = RunPosition(seed=plan.seed, updates=number, samples=number * plan.settings.batch)
        first = _seconds(training, position)
        took.append(first if first > SECONDS else min(first, _seconds(training, position)))
        if time.monotonic() - began > SECONDS:
            break
    processes = "" if world_size() > 1 else " with one process"
    return f"about {clock(updates * sum(took) / len(took))}{processes}, pictures and scores aside"


def _seconds(training: Training, position: RunPosition) -> float:
    batch = training.plan.data.draw(position)
    with DeviceTimer(torch.device(training.plan.device)) as timer:
        training.step.update(batch, position)
    return timer.seconds()
