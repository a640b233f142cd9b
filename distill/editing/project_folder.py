"""What all projections of one folder have in common: written beside the first, compared by every later run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.faces.outputs import OutputFolder, read_stamp
from distill.files import read_regular
from distill.schema import parse_json

SETTINGS = ".distill-project.json"
MADE_BY = "project"


def kept_settings(folder: Path) -> dict[str, Any] | None:
    """Return the settings of a folder, None for a new one. Raises DistillError for a folder of something else."""
    try:
        settings = parse_json(read_regular(folder / SETTINGS))
        if isinstance(settings, dict):
            return settings
    except FileNotFoundError:
        pass
    except NotADirectoryError as error:
        raise DistillError(f"{folder} is a file, but a folder is needed: choose another --out") from error
    except (OSError, ValueError) as error:
        raise DistillError(f"{folder / SETTINGS}: cannot be read: choose another --out") from error
    stamp = read_stamp(folder)
    ours = stamp is not None and stamp.made_by == MADE_BY
    if folder.is_dir() and not ours and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise DistillError(f"{folder} holds something other than projections: choose another --out")
    return None


def check_settings(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise DistillError where a folder was made with other settings, naming the first that differs."""
    for key in now:
        if before.get(key) != now[key]:
            raise DistillError(
                f"{folder} holds projections with {key} {_told(before.get(key))}, now it is {_told(now[key])}: use"
                " the same, or choose another --out"
            )


def write_settings(outputs: OutputFolder, settings: Mapping[str, Any]) -> None:
    """Keep the settings beside the first results."""
    if not (outputs.folder / SETTINGS).exists():
        outputs.write_file(json.dumps(settings, indent=1).encode(), SETTINGS)


def _told(value: object) -> str:
    """Write a value of the settings; of a sha256 its start."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
