"""The folder of an assessment: new, empty, or of an earlier run of the same command; nothing else is ever replaced.

It is stamped (`distill.faces.outputs`) before anything is written there, so that an interrupted run is known again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distill.errors import DistillError, os_error
from distill.faces.outputs import STAMP, OutputFolder, read_stamp, write_stamp
from distill.files import path_text

MADE_BY = "assess-teacher"
OVERVIEW = (
    "assessment.md",
    "report.json",
    "samples.png",
    "samples-psi1.png",
    "truncation.png",
    "nearest.png",
)
MEASURES = (
    "metrics.json",
    "metrics.md",
    "manifolds.png",
    "path-lengths.png",
    "separability.png",
    "truncation-sweep.png",
)


def folder_of(out: Path | None, about: Mapping[str, Any]) -> Path:
    """Return the folder that was asked for, else NAME-assessment."""
    return out or Path(f"{Path(str(about['name'])).stem}-assessment")


def check_place(folder: Path, files: Sequence[str]) -> None:
    """Raise DistillError unless the folder is new, empty or of an earlier run, and no file of another is replaced.

    Names that begin with a dot do not count: none is written but the stamp.
    """
    outputs = OutputFolder(folder, MADE_BY)
    if outputs.before is not None and outputs.before.made_by != MADE_BY:
        raise DistillError(f"{folder} is a folder of distill {outputs.before.made_by}: choose another --out")
    if outputs.before is None and (strangers := _visible(folder)):
        raise DistillError(
            f"{folder} holds {path_text(strangers[0])}, and distill {MADE_BY} did not make it (or an older version"
            " did): choose a new or an empty --out"
        )
    outputs.reserve_files(files)


@contextmanager
def held_folder(folder: Path, files: Sequence[str]) -> Iterator[OutputFolder]:
    """Hold the folder while results are made, and stamp it; a run that has written nothing leaves no trace.

    Raises as `check_place`, and where another run is in it.
    """
    check_place(folder, files)
    with OutputFolder(folder, MADE_BY) as outputs:
        outputs.reserve_files(files)
        write_stamp(folder, MADE_BY, outputs.photos)
        try:
            yield outputs
        finally:
            if outputs.before is None and not _visible(folder):
                with suppress(OSError):
                    (folder / STAMP).unlink()


def write_results(outputs: OutputFolder, contents: Mapping[str, bytes], files: Collection[str]) -> list[Path]:
    """Write results by name and remove those of `files` that an earlier run left; return the paths."""
    written = [outputs.write_file(data, name) for name, data in contents.items()]
    for name in files:
        if name not in contents:
            try:
                (outputs.folder / name).unlink(missing_ok=True)
            except OSError as error:
                raise os_error(error) from error
    return written


def results_beside(folder: Path, files: Sequence[str]) -> str:
    """Say which results of the command's other half an earlier run left; "" where there are none."""
    stamp = read_stamp(folder)
    left = [name for name in files if stamp and stamp.made(name) and (folder / name).is_file()]
    return f"{folder} keeps results of an earlier run: {', '.join(left)}" if left else ""


def _visible(folder: Path) -> list[str]:
    """List what is in a folder; nothing where it is not there."""
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise os_error(error) from error
