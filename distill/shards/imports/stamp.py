"""What `distill export` left in a folder beside pictures: `export.json`, the stamp, and a table of the samples."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from distill.errors import DistillError
from distill.files import read_regular
from distill.schema import Frozen
from distill.shards.export import STAMP, TABLE
from distill.shards.folder import read_json


class ExportStamp(Frozen):
    """The keys of a stamp that an import looks at; `digest`: of the data set that was exported."""

    model_config = ConfigDict(extra="ignore", strict=False)

    to: str
    digest: str
    phase: str
    samples: int
    inputs: tuple[str, ...]
    target: str


def read_stamp(folder: Path) -> ExportStamp | None:
    """Return the stamp of a folder; None where there is none, or another program's file of that name."""
    if not (folder / STAMP).is_file():
        return None
    try:
        return ExportStamp.model_validate(read_json(folder / STAMP))
    except (DistillError, ValidationError):
        return None


def read_rings(folder: Path) -> dict[str, int]:
    """Return the ring of each sample of an export by its name, {} where it knows none.

    Rows of one ring share faces. Raises DistillError for a table that cannot be read.
    """
    path = folder / TABLE
    if not path.is_file():
        return {}
    try:
        rows = csv.DictReader(io.StringIO(read_regular(path).decode(), newline=""))
        return {row["sample"]: int(row["ring"]) for row in rows if "ring" in row}
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise DistillError(f"{path} is not as distill export wrote it ({error}): export again") from error
