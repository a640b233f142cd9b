"""How a data set is drawn: chosen on its first run, kept beside the recipe, and taken from there ever after.

A recipe says what is made; precision, batch size, compiler, device and library versions decide the last bits of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field

from distill.devices import Format, Precision, processor_name, resolve_precision
from distill.errors import DistillError
from distill.files import atomic_write
from distill.schema import Frozen, canonical_json, validated
from distill.shards.folder import (
    CONDITIONS_FILE,
    HELD,
    read_json,
    read_report,
    shard_indices,
    shard_is_valid,
    shard_path,
)
from distill.shards.read import open_shard

# Candidates drawn at once, up to each resolution in px. On a CPU 4 of 256 px or more are drawn as fast as 16, in half
# the memory or less. The numbers of GPUs are estimates by memory, not measured.
BATCH_SIZES = {
    "cpu": ((128, 16), (1024, 4)),
    "cuda": ((128, 64), (256, 32), (512, 16), (1024, 8)),
}
# Faces embedded, or parts moved, at once. On a CPU eight take twice as long as four, and a run that is killed loses
# one batch.
SEARCH_BATCH_SIZES = {
    "cpu": ((1024, 4),),
    "cuda": ((128, 32), (256, 16), (1024, 4)),
}
MAX_BATCH = 1024
LIBRARIES = ("torch", "numpy", "dlib-bin", "simplejpeg")  # whose versions can change a byte
ELSEWHERE = "unknown"  # the model of a device that another machine has


class Conditions(Frozen):
    """What drew, or draws, a data set. `device` is its kind, `model` its name, `versions` of what decides bytes."""

    precision: Format
    batch_size: int = Field(ge=1, le=MAX_BATCH)
    compiled: bool
    device: Literal["cpu", "cuda"]
    model: str
    versions: dict[str, str]

    def to_json(self) -> str:
        return canonical_json(self.model_dump(mode="json"))

    def write(self, folder: Path) -> None:
        atomic_write(folder / CONDITIONS_FILE, f"{self.to_json()}\n".encode())


@dataclass(frozen=True, kw_only=True)
class ChosenConditions:
    """What a user asks for; None and "auto" leave it to the data set that was begun, or to the device."""

    precision: Precision = "auto"
    batch_size: int | None = None
    compiled: bool | None = None


def read_conditions(folder: Path) -> Conditions | None:
    """Return how the data set in a folder is drawn, by its record, else by its shards; None where nothing says it.

    Raises DistillError for a damaged record, and for shards that were drawn in different ways.
    """
    path = folder / CONDITIONS_FILE
    if not path.exists():
        return conditions_of_shards(folder)
    try:
        return validated(Conditions, read_json(path))
    except DistillError as error:
        what = str(error).removeprefix(f"{path}: ")
        raise DistillError(
            f"{path}: {what}; remove it, and the next run restores it from the shards"
        ) from error


def conditions_of_shards(folder: Path) -> Conditions | None:
    """Return how the first of the shards that are done was drawn; None without one.

    Raises DistillError where another was drawn in another way.
    """
    first, named = None, ""
    for index in shard_indices(folder) if folder.is_dir() else ():
        report, path = read_report(folder, index), shard_path(folder, index)
        if not report or not shard_is_valid(folder, index, digest=report.digest, rows=report.rows):
            continue  # not done: it will be made again
        with open_shard(path, report=report) as shard:
            try:
                found = validated(Conditions, shard.conditions)
            except DistillError as error:
                raise DistillError(f"{path} does not say how it was drawn: {error}") from error
        if first is None:
            first, named = found, path.name
        for key in HELD:
            if (mine := getattr(found, key)) != (other := getattr(first, key)):
                raise DistillError(
                    f"{path}: its {key} is {mine}, but that of {named} is {other}: a data set is drawn in one way;"
                    " remove one of them, or choose another --out"
                )
    return first


def choose_conditions(
    chosen: ChosenConditions,
    there: Conditions | None,
    *,
    device: str,
    resolution: int,
    searches: bool = False,
    elsewhere: bool = False,
) -> Conditions:
    """Settle how to draw images of `resolution` px on `device` ("cpu", "cuda:1"); `searches`: so does the edit.

    What is recorded `there` holds; without it the user's choice, else what is best on the device. `elsewhere`: the
    device is another machine's, of which this one knows nothing. Raises DistillError where the user asks for
    something else than what is recorded, and where the device cannot draw so.
    """
    model = ELSEWHERE if elsewhere else device_model(device)
    if there is not None:
        _check_same(chosen, there)
        if there.precision == "fp16" and device == "cpu" and not elsewhere:
            raise DistillError(
                f"the data set was begun in fp16 on {there.model}, which {model} cannot draw in: continue on a GPU,"
                " or choose another --out"
            )
        return conditions_on(device, there.precision, there.batch_size, compiled=there.compiled, model=model)
    return conditions_on(
        device,
        resolve_precision(chosen.precision, device),
        chosen.batch_size or default_batch_size(kind_of(device), resolution, searches=searches),
        compiled=bool(chosen.compiled),
        model=model,
    )


def conditions_on(
    device: str, precision: Format, batch_size: int, *, compiled: bool, model: str | None = None
) -> Conditions:
    """Describe how images are drawn on a device, by default one of this machine."""
    return Conditions(
        precision=precision,
        batch_size=batch_size,
        compiled=compiled,
        device=kind_of(device),
        model=device_model(device) if model is None else model,
        versions=library_versions(),
    )


def _check_same(chosen: ChosenConditions, there: Conditions) -> None:
    for key in HELD:
        value = getattr(chosen, key)
        if value not in (None, "auto", getattr(there, key)):
            raise DistillError(
                f"{key}: this data set was begun with {getattr(there, key)}, and {value} is asked for now: leave"
                " it out, or choose another --out"
            )


def difference_note(there: Conditions | None, now: Conditions) -> str:
    """Say that last bits may differ, where a data set goes on on another device or with other versions; else ""."""
    if there is None:
        return ""
    changed = [f"{name} {there.versions.get(name)} -> {new}" for name, new in now.versions.items()
               if there.versions.get(name) != new]  # fmt: skip
    if ELSEWHERE not in (there.model, now.model) and there.model != now.model:
        changed.insert(0, f"{there.model} -> {now.model}")
    if not changed:
        return ""
    return f"the data set was begun under other conditions ({', '.join(changed)}): last bits may differ from there on"


def default_batch_size(kind: str, resolution: int, *, searches: bool = False) -> int:
    """The candidates to draw at once, and to look for something for, on a kind of device, "cpu" or "cuda"."""
    sizes = (SEARCH_BATCH_SIZES if searches else BATCH_SIZES)[kind]
    return next((size for side, size in sizes if resolution <= side), sizes[-1][1])


def kind_of(device: str) -> Literal["cpu", "cuda"]:
    return "cuda" if device.startswith("cuda") else "cpu"


def device_model(device: str) -> str:
    """The name of this machine's processor, or of one of its GPUs."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else processor_name()


def library_versions() -> dict[str, str]:
    """The versions of the libraries that decide bytes, of those that are installed."""
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
