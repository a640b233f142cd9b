"""The numbers of many rows, part by part on the disk: a part that is there and whole is never read again.

Files: FOLDER/<source>-<digest of its settings>/<output>/<part>.npy, float32 [rows, D], and after the array a sha256
of it and of the path below FOLDER. They hold for the generator, the pictures and the network that their names tell by
sha256, whatever they are wanted for. A part whose sum is wrong counts as missing.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill.devices import be_reproducible, keep_freed_memory, resolve_device
from distill.errors import DistillError, NotFinite, UnsupportedCheckpoint, os_error
from distill.evaluation.generator_metrics.readers import Floats
from distill.evaluation.generator_metrics.sources import After, Output, Source
from distill.files import atomic_write, make_folder, read_regular
from distill.schema import canonical_json
from distill.weights.npy import read_npy

ROWS = 256  # of a part
SUM_BYTES = 32
SCORES = "scores"  # the reader whose numbers may be NaN: no face was found


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The first rows of a source, and what is to be read off them."""

    source: Source
    outputs: tuple[Output, ...]

    @property
    def rows(self) -> int:
        """How many rows are read at all: as many as any output takes."""
        return max((output.rows for output in self.outputs), default=0)


def parts_of(rows: int) -> list[range]:
    """Cut the first rows into parts."""
    return [range(first, min(first + ROWS, rows)) for first in range(0, rows, ROWS)]


@dataclass(frozen=True, kw_only=True)
class PartTask:
    """One part to read, as plain values that travel to a worker; `outputs` are those that are not there yet."""

    source: Source
    outputs: tuple[Output, ...]
    rows: range
    folder: str
    device: str

    @property
    def key(self) -> str:
        return f"{self.source.label}, {self.rows.start} to {self.rows.stop - 1}"


@dataclass(frozen=True, kw_only=True)
class PartDone:
    """What comes back from a worker."""

    label: str
    rows: int


def make_part(task: PartTask, *, after: After = lambda rows: None) -> PartDone:
    """Read one part and put its numbers on the disk. Runs in a worker or in the driver."""
    be_reproducible()
    keep_freed_memory()
    device = resolve_device(task.device)  # a cluster's worker chooses its own
    found = task.source.read(task.outputs, task.rows, device, after)
    for output, values in zip(task.outputs, found, strict=True):
        if not are_numbers(values, output):
            raise NotFinite(f"{output.reader.name} gives numbers that are not finite, of {task.key}")
        path = part_path(Path(task.folder), task.source, output, task.rows)
        data = io.BytesIO()
        np.save(data, np.ascontiguousarray(values, dtype=np.float32), allow_pickle=False)
        array = data.getvalue()
        try:
            make_folder(path.parent)
            atomic_write(path, array + sum_of(array, path), synced=False)
        except OSError as error:
            raise os_error(error) from error
    return PartDone(label=task.source.label, rows=len(task.rows))


def missing_tasks(wanted: Sequence[Wanted], folder: Path, device: str) -> list[PartTask]:
    """Return a task for every part of which something is not there."""
    tasks = []
    for one in wanted:
        for rows in parts_of(one.rows):
            missing = tuple(o for o in one.outputs if _is_missing(folder, one.source, o, rows))
            if missing:
                tasks.append(
                    PartTask(source=one.source, outputs=missing, rows=rows, folder=str(folder), device=device)
                )
    return tasks


def _is_missing(folder: Path, source: Source, output: Output, rows: range) -> bool:
    """Tell whether rows of a part that this output takes are not there."""
    own = range(rows.start, min(rows.stop, output.rows))
    return bool(own) and read_part(folder, source, output, own) is None


def damaged_parts(tasks: Sequence[PartTask]) -> list[Path]:
    """Return the files that are there and cannot be used, of what is about to be read."""
    found = []
    for task in tasks:
        for output in task.outputs:
            none = range(
                task.rows.start, task.rows.start
            )  # a part may be whole and hold fewer rows than are wanted
            path = part_path(Path(task.folder), task.source, output, none)
            if path.exists() and read_part(Path(task.folder), task.source, output, none) is None:
                found.append(path)
    return found


def read_rows(folder: Path, source: Source, output: Output) -> Floats:
    """Return what was read off the rows of an output, [rows, D].

    Raises DistillError where a part is not to be seen here.
    """
    parts = []
    for rows in parts_of(output.rows):
        values = read_part(folder, source, output, rows)
        if values is None:
            path = part_path(folder, source, output, rows)
            raise DistillError(
                f"{path}: read but cannot be seen here; all workers must write to this folder. Run the same"
                " command again"
            )
        parts.append(values)
    return np.concatenate(parts)


def sum_of(array: bytes, path: Path) -> bytes:
    """Return the sha256 of an array's bytes and of where it lies: source, output and part."""
    return hashlib.sha256("/".join(path.parts[-3:]).encode() + array).digest()


def are_numbers(values: Floats, output: Output) -> bool:
    """Tell whether all are finite; a score may also be NaN."""
    bad = np.isinf(values) if output.reader.name == SCORES else ~np.isfinite(values)
    return not bad.any()


def read_part(folder: Path, source: Source, output: Output, rows: range) -> Floats | None:
    """Return the numbers of a part, [rows, D]; None where they are not there, too few, or damaged."""
    path = part_path(folder, source, output, rows)
    try:
        data = read_regular(path)
        array = data[:-SUM_BYTES]
        if data[-SUM_BYTES:] != sum_of(array, path):
            return None
        values = read_npy(array)
    except (FileNotFoundError, UnsupportedCheckpoint):
        return None
    except OSError as error:
        raise os_error(error) from error
    if values.ndim != 2 or values.dtype != np.float32 or len(values) < len(rows):
        return None
    if not are_numbers(values, output):
        return None
    return values[: len(rows)]


def part_path(folder: Path, source: Source, output: Output, rows: range) -> Path:
    digest = hashlib.sha256(canonical_json(source.settings).encode()).hexdigest()[:12]
    return folder / f"{source.folder}-{digest}" / output.folder / f"{rows.start // ROWS:05d}.npy"
