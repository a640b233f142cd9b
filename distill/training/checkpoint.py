"""The state of a run on disk: tensors and plain values, whole or not at all, the last good one kept.

A checkpoint is one file, `checkpoint-000123456.pt`, by torch.save, and `checkpoint.json`, written last, that names it
with its sha256. The one before stays until the next is complete. Read with weights_only=True.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from distill.errors import DistillError
from distill.files import atomic_write, read_regular, sweep

INDEX = "checkpoint.json"
PREVIOUS = "checkpoint-previous.json"
FORMAT = "distill-checkpoint-2"
NAME = re.compile(r"checkpoint-\d{1,18}\.pt", re.ASCII)


def save_checkpoint(folder: Path, content: Mapping[str, Any], *, samples: int) -> None:
    """Write the state after `samples` images; the checkpoint before this one stays, older ones go.

    Raises DiskFull without harm to what is there.
    """
    buffer = io.BytesIO()
    torch.save(unshared(content, {}), buffer)
    data, name = buffer.getvalue(), f"checkpoint-{samples:09d}.pt"
    atomic_write(folder / name, data)
    index, previous = folder / INDEX, folder / PREVIOUS
    if index.is_file() and _name_in(index) != name:
        atomic_write(previous, read_regular(index))
    facts = {"format": FORMAT, "samples": samples, "file": name, "sha256": hashlib.sha256(data).hexdigest()}
    atomic_write(index, json.dumps(facts, indent=1).encode())
    _remove_others(folder)


def unshared(value: Any, texts: dict[str, str]) -> Any:
    """Build a state anew of plain dictionaries, lists and tuples, equal texts being one.

    Pickle writes what it meets again in fewer bytes, and what a run has read is not shared as what it made is: only
    so is the same state the same bytes, resumed or not.
    """
    if isinstance(value, Mapping):
        return {unshared(name, texts): unshared(held, texts) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(unshared(held, texts) for held in value)
    return texts.setdefault(value, value) if isinstance(value, str) else value


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], str] | None:
    """Read the newest whole checkpoint: (content, a note that is empty unless the newest one is broken).

    None where there is none. Raises DistillError where all are broken, naming what is.
    """
    states = sorted(folder.glob("checkpoint-*.pt"))
    indices = [folder / name for name in (INDEX, PREVIOUS) if os.path.lexists(folder / name)]
    problems = [f"{folder / INDEX} is missing"] if folder / INDEX not in indices else []
    for index in indices:
        try:
            return _load(index), "; ".join(problems)
        except DistillError as error:
            problems.append(str(error))
    if states and not indices:  # stopped before the first index was written, or it was removed
        return _read_state(states[-1], read_regular(states[-1])), problems[0]
    if indices:
        raise DistillError(
            f"{'; '.join(problems)}: no checkpoint is left to go on from: choose another --out"
        )
    return None


def _load(index: Path) -> dict[str, Any]:
    try:
        facts = json.loads(read_regular(index))
        if facts.get("format") != FORMAT:
            raise DistillError(f"{index} is of another version of distill")
        name, wanted = facts["file"], facts["sha256"]
        if not NAME.fullmatch(name):
            raise DistillError(f"{index} is damaged (it names no checkpoint)")
        path = index.parent / name
        data = read_regular(path)
    except OSError as error:
        raise DistillError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DistillError(f"{index} is damaged ({type(error).__name__})") from error
    if hashlib.sha256(data).hexdigest() != wanted:
        raise DistillError(f"{path} is damaged (sha256 differs)")
    return _read_state(path, data)


def _read_state(path: Path, data: bytes) -> dict[str, Any]:
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file makes of torch.load, an EOFError among it
        raise DistillError(f"{path} is damaged ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise DistillError(f"{path} is damaged (it holds no state of a run)")
    return content


def _name_in(index: Path) -> str | None:
    try:
        return str(json.loads(read_regular(index))["file"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _remove_others(folder: Path) -> None:
    kept = {_name_in(folder / INDEX), _name_in(folder / PREVIOUS)}
    for path in folder.glob("checkpoint-*.pt"):
        if path.name not in kept:
            path.unlink(missing_ok=True)
    sweep(folder)
