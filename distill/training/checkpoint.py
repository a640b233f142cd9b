"""The state of a run on disk: tensors and plain values, whole or not at all, the last good one kept.

A checkpoint is one file, `checkpoint-000123456.pt`, by torch.save, and `checkpoint.json`, written last, that names it
with its sha256. The one before stays until the next is complete. Read with weights_only=True.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from distill.errors import DistillError
from distill.files import atomic_write, read_regular, sweep

INDEX = "checkpoint.json"
PREVIOUS = "checkpoint-previous.json"
FORMAT = "distill-checkpoint-2"


def save_checkpoint(folder: Path, content: Mapping[str, Any], *, samples: int) -> None:
    """Write the state after `samples` images; the checkpoint before this one stays, older ones go.

    Raises DiskFull without harm to what is there.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    data, name = buffer.getvalue(), f"checkpoint-{samples:09d}.pt"
    atomic_write(folder / name, data)
    index, previous = folder / INDEX, folder / PREVIOUS
    if index.is_file() and _name_in(index) != name:
        atomic_write(previous, read_regular(index))
    facts = {"format": FORMAT, "samples": samples, "file": name, "sha256": hashlib.sha256(data).hexdigest()}
    atomic_write(index, json.dumps(facts, indent=1).encode())
    _remove_others(folder)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], str] | None:
    """Read the newest whole checkpoint: (content, a note that is empty unless the newest one is broken).

    None where there is none. Raises DistillError where all are broken, naming what is.
    """
    problems: list[str] = []
    for name in (INDEX, PREVIOUS):
        if (folder / name).is_file():
            try:
                return _load(folder, name), "; ".join(problems)
            except DistillError as error:
                problems.append(str(error))
    if problems:
        raise DistillError(f"{'; '.join(problems)}: no checkpoint left to go on from, choose another --out")
    return None


def _load(folder: Path, name: str) -> dict[str, Any]:
    index = folder / name
    try:
        facts = json.loads(read_regular(index))
        if facts.get("format") != FORMAT:
            raise DistillError(f"{index} is of another version of distill")
        path = folder / Path(facts["file"]).name
        data = read_regular(path)
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise DistillError(f"{path} is damaged (sha256 differs)")
        content: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except OSError as error:
        raise DistillError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, UnpicklingError) as error:
        raise DistillError(f"{index} is damaged ({type(error).__name__})") from error
    return content


def _name_in(index: Path) -> str | None:
    try:
        return str(json.loads(read_regular(index))["file"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove_others(folder: Path) -> None:
    kept = {_name_in(folder / INDEX), _name_in(folder / PREVIOUS)}
    for path in folder.glob("checkpoint-*.pt"):
        if path.name not in kept:
            path.unlink(missing_ok=True)
    sweep(folder)


def check_settings(stored: Mapping[str, Any], asked: Mapping[str, Any], where: Path) -> None:
    """Raise DistillError naming the first settings in which a run that is resumed differs from what is asked."""
    names = sorted(
        {*stored, *asked}, key=lambda name: (name != "trainer", name)
    )  # this one explains all others
    keys = [key for key in names if stored.get(key) != asked.get(key)]
    if keys:
        what = ", ".join(f"{key} is {stored.get(key)!r} there and {asked.get(key)!r} now" for key in keys[:3])
        raise DistillError(f"{where} holds a run with other settings: {what}; use the same, or another --out")
