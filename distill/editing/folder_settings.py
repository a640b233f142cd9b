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

NAMES, HASH, UNKNOWN = "names", "_sha256", "a file"
# Whether pictures say what drew them, as a setting: what is there is not written again, so a folder has one of both.
MARKS = {True: "in each PNG", False: "in no PNG (--no-mark)"}


@dataclass(frozen=True, kw_only=True)
class FolderSettings:
    """The settings of what a command makes, in a file of its folder; `inside` may be there before any result.

    Under NAMES they may hold what a user calls the files whose sha256 they hold, by the same keys; only told, never
    compared.
    """

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
        """Raise DistillError where a folder was made with other settings, naming the first that differs.

        What a user has a word for comes first, then what only differs by its sha256.
        """
        keys = [key for key in now if key != NAMES and before.get(key) != now[key]]
        if not keys:
            return
        told = [(key.removesuffix(HASH), *_told(key, before, now)) for key in keys]
        what, there, asked = min(told, key=lambda words: "sha256 " in "".join(words[1:]))
        raise DistillError(
            f"{folder} holds {self.holds} with {what} {there}, now it is {asked}:"
            " use the same, or choose another --out"
        )

    def write(self, outputs: OutputFolder, settings: Mapping[str, Any]) -> None:
        """Keep the settings beside the first results."""
        if not (outputs.folder / self.file).exists():
            outputs.write_file(json.dumps(settings, indent=1).encode(), self.file)

    def _strange(self, path: Path) -> bool:
        return not path.name.startswith(".") and path.name != self.inside


def _told(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, str]:
    """Write a setting that differs, as it was and as it is: names of files where they tell, else their sha256."""
    there, asked = (_name(key, settings) for settings in (before, now))
    if there != asked and UNKNOWN not in (there, asked):
        return there, asked
    return _with_hash(there, before.get(key)), _with_hash(asked, now[key])


def _with_hash(name: str, sha256: object) -> str:
    return f"{name} (sha256 {str(sha256)[:12]}…)" if sha256 is not None else name


def _name(key: str, settings: Mapping[str, Any]) -> str:
    value, names = settings.get(key), settings.get(NAMES)
    if isinstance(value, list):
        return ",".join(map(str, value))
    if value is None or not key.endswith(HASH):
        return "none" if value is None else str(value)
    return str(names.get(key, UNKNOWN)) if isinstance(names, dict) else UNKNOWN
