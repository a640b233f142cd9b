"""The state of a run on disk: tensors and plain values, whole or not at all, the last good one kept.

A checkpoint is `checkpoint-000123456-00.pt`, `-01.pt`, …: one `torch.save` stream cut into parts of a size that
may be limited, and `checkpoint.json`, written last, that lists the parts with their sha256. The one before stays
until the next is complete. Read with weights_only=True.
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
from distill.files import atomic_write, sweep

INDEX = "checkpoint.json"
PREVIOUS = "checkpoint-previous.json"
MIB = 1024 * 1024


def save_checkpoint(
    folder: Path, content: Mapping[str, Any], *, samples: int, part_bytes: int = 1024 * MIB
) -> None:
    """Write the state after `samples` images; the checkpoint before this one stays, older ones go.

    Raises DiskFull without harm to what is there.
    """
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    data = buffer.getbuffer()
    parts = []
    for number, start in enumerate(range(0, len(data), part_bytes)):
        name = f"checkpoint-{samples:09d}-{number:02d}.pt"
        part = bytes(data[start : start + part_bytes])
        atomic_write(folder / name, part)
        parts.append({"name": name, "bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()})
    index, previous = folder / INDEX, folder / PREVIOUS
    if index.is_file() and _names(index) != [part["name"] for part in parts]:
        atomic_write(previous, index.read_bytes())
    text = json.dumps({"format": "distill-checkpoint", "samples": samples, "parts": parts}, indent=1)
    atomic_write(index, text.encode())
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
    try:
        parts = json.loads((folder / name).read_text())["parts"]
        data = bytearray()
        for part in parts:
            piece = (folder / Path(part["name"]).name).read_bytes()
            if hashlib.sha256(piece).hexdigest() != part["sha256"]:
                raise DistillError(f"{folder / part['name']} is damaged (sha256 differs)")
            data += piece
        content: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except OSError as error:
        raise DistillError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, UnpicklingError) as error:
        raise DistillError(f"{folder / name} is damaged ({type(error).__name__})") from error
    return content


def _names(index: Path) -> list[str]:
    try:
        return [str(part["name"]) for part in json.loads(index.read_text())["parts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _remove_others(folder: Path) -> None:
    kept = {*_names(folder / INDEX), *_names(folder / PREVIOUS)}
    for path in folder.glob("checkpoint-*-*.pt"):
        if path.name not in kept:
            path.unlink(missing_ok=True)
    sweep(folder)


def check_settings(stored: Mapping[str, Any], asked: Mapping[str, Any], where: Path) -> None:
    """Raise DistillError naming the first settings in which a run that is resumed differs from what is asked."""
    keys = [key for key in sorted({*stored, *asked}) if stored.get(key) != asked.get(key)]
    if keys:
        what = ", ".join(f"{key} is {stored.get(key)!r} there and {asked.get(key)!r} now" for key in keys[:3])
        raise DistillError(f"{where} holds a run with other settings: {what}; use the same, or another --out")
