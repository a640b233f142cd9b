"""Go on from a checkpoint: only what has the form of this run is taken, and all else is one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.errors import DistillError
from distill.files import atomic_write, check_folder, make_folder, read_regular, sweep
from distill.training.checkpoint import INDEX, PREVIOUS, load_checkpoint
from distill.training.loop import Drawn, Run
from distill.training.position import RunPosition, kimg_text
from distill.training.trainers import TRAINERS

# The first file of a run, with its trainer's name: what lies beside it is the run's own.
MARK = ".distill-run"
FAULTS = (RuntimeError, LookupError, TypeError, ValueError, AttributeError, OverflowError)


def open_run(run: Run[Drawn], *, resume: bool) -> tuple[RunPosition, str]:
    """Make the folder, or go on from its checkpoint: returns the position to start from, and a note or "".

    Raises DistillError where there is a run already and `resume` is not set, where its settings differ, and where
    its state is not that of this run's networks.
    """
    trainer = str(run.settings.get("trainer", ""))
    check_place(run.folder, trainer=trainer)
    make_folder(run.folder)
    found = load_checkpoint(run.folder)
    if found is None:
        atomic_write(run.folder / MARK, trainer.encode())
        return RunPosition(seed=run.seed, updates=0, samples=0), ""
    content, note = found
    with _one_line(run.folder):
        position = read_position(content["position"])
        check_trainer(run.folder, str(content["settings"].get("trainer", "")), trainer)
        if not resume:
            raise DistillError(
                f"{run.folder} holds a run of {kimg_text(position.samples)} kimg: add --resume to go on,"
                " or choose another --out"
            )
        check_settings(content["settings"], run.settings, run.folder)
        if position.samples != position.updates * run.batch:
            raise ValueError(f"{position.samples} samples in {position.updates} updates of {run.batch}")
        other = other_form(run.step.state(), content["step"])
        if other:
            raise ValueError(f"{other} is not as in the networks of this run")
        run.step.load_state(content["step"])
    sweep(run.folder)  # of writers that were killed: a run that is at its end saves no more
    return position, note


def check_place(folder: Path, *, trainer: str = "") -> None:
    """Raise DistillError for a place where no run can be: a file, or a folder with anything else in it than a run.

    `trainer`: the only one whose run may be there, by name; "": that of any.
    """
    check_folder(folder)
    with suppress(OSError, ValueError):
        check_trainer(folder, read_regular(folder / MARK).decode(), trainer)
    own = any((folder / name).exists() for name in (MARK, INDEX, PREVIOUS))
    if not folder.is_dir() or own or any(folder.glob("checkpoint-*.pt")):
        return
    foreign = sorted(item.name for item in folder.iterdir() if not item.name.startswith("."))
    if foreign:
        raise DistillError(
            f"{folder} holds {foreign[0]!r} and no run of a training: choose an empty or new folder with --out"
        )


def check_trainer(folder: Path, there: str, now: str) -> None:
    """Raise DistillError where a folder holds the run of another trainer; names that the table lacks say nothing."""
    if there in TRAINERS and now and there != now:
        raise DistillError(
            f"{folder} holds {TRAINERS[there][2]} run: go on with distill train-{there} --resume, or choose another"
            f" --out for train-{now}"
        )


@contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except FAULTS as error:
        what = " ".join(str(error).split())[:200]
        raise DistillError(
            f"{folder}: its checkpoint cannot be resumed ({type(error).__name__}: {what}): choose another --out"
        ) from error


def read_position(stored: Mapping[str, Any]) -> RunPosition:
    """Read where a run was. Raises ValueError for numbers that cannot be."""
    position = RunPosition(**stored)
    numbers = (position.seed, position.updates, position.samples)
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(f"position {stored}")
    return position


def check_settings(stored: Mapping[str, Any], asked: Mapping[str, Any], where: Path) -> None:
    """Raise DistillError naming the first settings in which a run that is resumed differs from what is asked."""
    names = sorted(
        {*stored, *asked}, key=lambda name: (name != "trainer", name)
    )  # this one explains all others
    keys = [key for key in names if stored.get(key) != asked.get(key)]
    if keys:
        what = ", ".join(f"{key} is {stored.get(key)!r} there and {asked.get(key)!r} now" for key in keys[:3])
        raise DistillError(f"{where} holds a run with other settings: {what}; use the same, or another --out")


def other_form(own: Any, stored: Any, at: str = "state") -> str:
    """Name the first place where a stored state has not the form of a step's own; "" where it has.

    What is None or empty in the own one is made in the course of a run: there anything of its kind may stand.
    """
    match own:
        case None:
            return ""
        case Tensor():
            alike = isinstance(stored, Tensor) and stored.dtype == own.dtype
            alike = alike and (stored.shape == own.shape if own.numel() else stored.ndim == own.ndim)
            return "" if alike else at
        case bool() | str():
            return "" if type(stored) is type(own) else at
        case int() | float():
            return "" if isinstance(stored, int | float) and not isinstance(stored, bool) else at
        case Mapping():
            if not isinstance(stored, Mapping) or (own and own.keys() != stored.keys()):
                return at
            pairs = [(name, own[name], stored[name]) for name in own]
        case _:
            if type(stored) is not type(own) or (own and len(own) != len(stored)):
                return at
            pairs = [(place, own[place], stored[place]) for place in range(len(own))]
    return next((found for name, a, b in pairs if (found := other_form(a, b, f"{at}.{name}"))), "")


def load_rule(rule: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Give an optimiser its state back. Raises ValueError where that is of other parameters."""
    rule.load_state_dict(state)
    for parameter, values in rule.state.items():
        of_each = [values[name] for name in values if name != "step"]  # such as both moments of Adam
        if float(values["step"]) < 0 or any(value.shape != parameter.shape for value in of_each):
            raise ValueError("the optimiser's state is of other parameters")
