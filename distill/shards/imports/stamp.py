"""What `distill export` left in a folder: `export.json`, the stamp."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, ValidationError

from distill.errors import DistillError
from distill.schema import Frozen
from distill.shards.export import STAMP
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
