"""What all results of one folder have in common: written beside the first, compared by every later run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.faces.outputs import OutputFolder, read_stamp
from distill.files import read_regular
from distill.schema import parse_json


@dataclass(frozen=True, kw_only=True)
class FolderSettings:
    """The settings of what a command makes, in a file of its folder; `inside` may be there before any result."""

    file: str
    made_by: str
    holds: str
    inside: str | None = None

    def kept(self, folder: Path) -> dict[str, Any] | None:
        """Return the settings of a folder, None for a new one. Raises DistillError for a folder of something else."""
        try:
            settings = parse_json(read_regular(folder / self.file))
            if isinstance(settings, dict):
                return settings
        except FileNotFoundError:
            pass
        except NotADirectoryError as error:
            raise DistillError(f"{folder} is a file, but a folder is needed: choose another --out") from error
        except (OSError, ValueError) as error:
            raise DistillError(f"{folder / self.file}: cannot be read: choose another --out") from error
        stamp = read_stamp(folder)
        ours = stamp is not None and stamp.made_by == self.made_by
        if folder.is_dir() and not ours and any(map(self._strange, folder.iterdir())):
            raise DistillError(f"{folder} holds something other than {self.holds}: choose another --out")
        return None

    def check(self, folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Raise DistillError where a folder was made with other settings, naming the first that differs."""
        for key in now:
            if before.get(key) != now[key]:
                raise DistillError(
                    f"{folder} holds {self.holds} with {key} {_told(before.get(key))}, now it is {_told(now[key])}:"
                    " use the same, or choose another --out"
                )

    def write(self, outputs: OutputFolder, settings: Mapping[str, Any]) -> None:
        """Keep the settings beside the first results."""
        if not (outputs.folder / self.file).exists():
            outputs.write_file(json.dumps(settings, indent=1).encode(), self.file)

    def _strange(self, path: Path) -> bool:
        return not path.name.startswith(".") and path.name != self.inside


def _told(value: object) -> str:
    """Write a value of the settings; of a sha256 its start."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
