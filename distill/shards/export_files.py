"""What an export is made of: rows in data set order, image files, tar archives, a table."""

from __future__ import annotations

import csv
import io
import json
import math
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.errors import ShardCorrupt
from distill.files import aside
from distill.shards.codec import encode_images
from distill.shards.columns import column_problem, texts_of
from distill.shards.folder import ShardReport, shard_path
from distill.shards.read import ShardReader, open_shard


@dataclass(frozen=True, kw_only=True)
class OpenShard:
    """A shard being exported, with its small columns read once."""

    index: int
    reader: ShardReader

    @cached_property
    def columns(self) -> dict[str, NDArray[Any]]:
        """All that is small: name -> [rows] or [rows, K]; texts as str."""
        there = self.reader.columns()
        wanted = [name for name in there if name.startswith(("labels/", "params/", "scores/"))]
        plain = [name for name in ("candidate", "ring", "name", "weight") if name in there]
        return {name: self._values(name) for name in [*plain, *sorted(wanted)]}

    def _values(self, name: str) -> NDArray[Any]:
        values = self.reader.column(name)
        problem = column_problem(name, values)
        if problem:
            raise ShardCorrupt(self.reader.path, problem)
        return texts_of(values) if values.dtype.kind == "S" else values


def rows_in_order(
    folder: Path, reports: Sequence[ShardReport], roles: Sequence[str], start: int, stop: int
) -> Iterator[tuple[int, OpenShard, int]]:
    """Yield (number in the data set, shard, row) for start ≤ number < stop; one shard is open at a time."""
    first = 0
    for report in reports:
        rows = range(max(start - first, 0), min(stop - first, report.rows))
        if rows:
            with open_shard(shard_path(folder, report.index), report=report) as reader:
                if not set(roles) <= set(reader.roles):
                    raise ShardCorrupt(
                        reader.path, f"its roles are {reader.roles}, the manifest's {tuple(roles)}"
                    )
                shard = OpenShard(index=report.index, reader=reader)
                for row in rows:
                    yield first + row, shard, row
        first += report.rows


def image_file(reader: ShardReader, role: str, row: int, image_format: str) -> bytes:
    """Return one image as a file; a stored JPEG asked for as "jpg" keeps its bytes."""
    if image_format == "jpg":
        if reader.codec == "jpeg":
            return reader.encoded(role, row)
        return encode_images(reader.image(role, row)[np.newaxis], "jpeg", threads=1)[0]
    buffer = io.BytesIO()
    Image.fromarray(reader.image(role, row)).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, samples: Iterator[tuple[str, Mapping[str, bytes]]]) -> None:
    """Write a WebDataset archive of (key, {extension: data}); the same samples give the same bytes."""
    with (
        aside(path, synced=False) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for key, parts in samples:
            for extension, data in parts.items():
                entry = tarfile.TarInfo(f"{key}.{extension}")  # mtime, uid and gid are 0, the names empty
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))


def write_table(path: Path, rows: Iterator[Mapping[str, str]]) -> None:
    """Write rows as CSV; the first row's keys are the header."""
    with aside(path, synced=False) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)
        text.detach()


def table_row(key: str, shard: OpenShard, row: int) -> dict[str, str]:
    """Return numbers and texts of one sample as text, shortest exact decimals; K values get K columns."""
    cells = {"sample": key, "shard": str(shard.index), "row": str(row)}
    for name, column in shard.columns.items():
        values = np.ravel(column[row])
        for k, value in enumerate(values):
            cells[name if column.ndim == 1 else f"{name}.{k}"] = str(value)
    return cells


def json_file(shard: OpenShard, row: int) -> bytes:
    """Return the numbers of one sample as JSON; what was not scored is null."""
    record: dict[str, Any] = {"shard": shard.index, "row": row, "params": {}, "scores": {}}
    for name, column in shard.columns.items():
        group, _, rest = name.partition("/")
        if rest:
            record.setdefault(group, {})[rest] = _plain(column[row])
        else:
            record[name] = _plain(column[row])
    return json.dumps(record, sort_keys=True, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    """Turn NumPy numbers into JSON numbers, float32 as its shortest decimals, NaN into None."""
    if np.ndim(value):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.floating):
        number = float(str(value))
        return number if math.isfinite(number) else None
    return value.item()
