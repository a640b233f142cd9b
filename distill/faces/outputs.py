"""A folder of pictures made from photos: who made which is stamped, so nothing of anyone else is ever replaced.

The stamp is written before the first picture. It holds the file stems that were given out, and of which photo each is
(a hash of its path). `find` leaves stamped pictures out of the photos, a later run gives them no other photo's name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError, os_error
from distill.files import (
    aside,
    atomic_write,
    check_folder,
    made_folder,
    make_folder,
    missing_folders,
    read_regular,
    sweep,
)
from distill.lock import FolderLock
from distill.pixels import Mark, encode_png
from distill.schema import parse_json

STAMP = ".distill-outputs.json"
# All pictures on one; inputs beside output; whole photos; several outputs of one face in a row.
SHEET, COMPARE, PASTED, STRIP = "sheet", "compare", "pasted", "strip"
FACE_NUMBER = re.compile(r"_\d{2,}$")
# Pictures, the pages of an evaluation, of a projection its latent and the weights tuned to it, and videos.
SUFFIXES = (".png", ".json", ".md", ".html", ".npz", ".safetensors", ".mp4", ".m4v", ".mov", ".mkv")
DELTA = ".delta"  # before the suffix of such weights
BELOW = (
    COMPARE,
    PASTED,
    STRIP,
    "w",
    "w+",
    "pti",
    "encoder",
    "source",
    "target",
)  # folders below that hold more of the same names
LONGEST = 200  # bytes of a stem; file systems take 255 with all that is added


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """Which command gave out which file stems, and to which photo."""

    made_by: str
    photos: dict[str, str] = field(default_factory=dict)  # by stem; "" for a picture of no single photo

    def made(self, name: str) -> bool:
        """Tell whether a file of this name, in the folder or in one of BELOW in it, was made by the command."""
        stem, suffix = Path(name).stem, Path(name).suffix
        stem = stem.removesuffix(DELTA) if suffix == ".safetensors" else stem
        return suffix in SUFFIXES and (stem in self.photos or FACE_NUMBER.sub("", stem) in self.photos)


def read_stamp(folder: Path) -> Stamp | None:
    """Return the stamp of a folder, None where there is none that can be read."""
    try:
        facts = parse_json(read_regular(folder / STAMP))
        photos = {str(stem): str(photo) for stem, photo in facts["photos"].items()}
        return Stamp(made_by=str(facts["made_by"]), photos=photos)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_stamp(folder: Path, made_by: str, photos: Mapping[str, str]) -> None:
    """Stamp a folder; what its stamp says already stays. Raises DiskFull and DistillError."""
    before = read_stamp(folder)
    facts = {"made_by": made_by, "photos": {**(before.photos if before else {}), **photos}}
    _write(folder / STAMP, json.dumps(facts, indent=1).encode())


class OutputFolder:
    """Gives photos their file stems in a folder and writes pictures there; what fails at once leaves nothing.

    Used as a context manager around the writing, in which no other run writes there (see `FolderLock`); names are
    asked for in it. `replaced` counts pictures of the same photos from earlier runs. Pictures carry the `mark`.
    """

    def __init__(self, folder: Path, made_by: str, mark: Mark | None = None) -> None:
        """Raise DistillError where no folder can be, or be written to."""
        check_folder(folder)
        self.folder, self.made_by, self.mark = folder, made_by, mark
        self.before = read_stamp(folder)
        self.photos = dict(self.before.photos) if self.before else {}
        self.written = self.replaced = 0
        self._created: list[Path] = []
        self._opened: set[Path] = set()
        self._stamped = self._wrote = False
        self._held = ExitStack()

    def stems(self, photos: Sequence[Path], *, sheet: bool = False) -> list[str]:
        """Return a different file stem for each photo: its own, with -2, -3, … where that is another's.

        A photo keeps the stem of an earlier run. With a `sheet` that name is kept free for it. Raises DistillError
        where the sheet would replace another picture.
        """
        if sheet:
            self.reserve([SHEET])
        strangers = self._strangers()
        given = {photo: stem for stem, photo in self.photos.items()}
        taken = strangers | {stem.casefold() for stem in self.photos}
        stems = []
        for photo in photos:
            stem = given.get(key := _key(photo)) or free_stem(photo.stem, taken)
            taken.add(stem.casefold())
            self.photos[stem] = key
            stems.append(stem)
        return stems

    def reserve(self, names: Sequence[str]) -> None:
        """Keep names free for pictures of no single photo. Raises DistillError where one would replace another."""
        strangers = self._strangers()
        for name in names:
            if name.casefold() in strangers or self.photos.get(name):
                raise DistillError(f"{self.folder / name}.png is another picture: choose another --out")
            self.photos[name] = ""

    def reserve_files(self, names: Sequence[str]) -> None:
        """Keep files for a report of this command, whose names have their suffixes.

        Raises DistillError where one is there that no run has made.
        """
        for name in names:
            path = self.folder / name
            made = self.before is not None and self.before.photos.get(path.stem) == ""
            if path.is_dir() or (os.path.lexists(path) and not made):
                what = "is a folder" if path.is_dir() else f"was not made by distill {self.made_by}"
                raise DistillError(f"{path} {what} and would be replaced: choose another --out")
            self.photos[path.stem] = ""

    def write_file(self, data: bytes, name: str, *, below: str = "") -> Path:
        """Write another file than a picture, whose NAME has its suffix; return its path."""
        path = self.folder / below / name
        self._open(path.parent)
        _write(path, data)
        self._wrote = True
        return path

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Open a file, whose NAME has its suffix; it is there, or replaces one, when the block ends well.

        What a run that was killed left half written goes.
        """
        path = self.folder / name
        self._open(path.parent)
        sweep(path.parent)
        there = path.exists()
        try:
            with aside(path) as file:
                yield file
        except OSError as error:
            raise os_error(error) from error
        self.written, self.replaced, self._wrote = self.written + 1, self.replaced + there, True

    def write(self, picture: NDArray[np.uint8] | bytes, name: str, *, below: str = "") -> Path:
        """Write a picture, pixels or an encoded PNG, as NAME.png into the folder or one below it; return its path."""
        path = self.folder / below / f"{name}.png"
        self._open(path.parent)
        there, mark = path.exists(), self.mark
        if mark and (name == SHEET or below in (COMPARE, PASTED, STRIP)):
            mark = replace(mark, partly=True)
        _write(path, picture if isinstance(picture, bytes) else encode_png(picture, mark))
        self.written, self.replaced, self._wrote = self.written + 1, self.replaced + there, True
        return path

    def earlier(self, photo: Path) -> str | None:
        """Return the name of a file that an earlier run made of a photo, in the folder itself; None where none is."""
        key = _key(photo)
        for stem in [stem for stem, of in self.before.photos.items() if of == key] if self.before else []:
            for ending in (*SUFFIXES, "_01.png"):
                if (self.folder / (stem + ending)).exists():
                    return stem + ending
        return None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(made_folder(self.folder))
            stack.enter_context(FolderLock(self.folder))
            self._held = stack.pop_all()
        self.before = read_stamp(self.folder)  # another run may have ended since
        self.photos = {**(self.before.photos if self.before else {}), **self.photos}
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with self._held:
            if kind is not None and not self._wrote:
                self._take_back()

    def _take_back(self) -> None:
        """Remove the stamp and the folders of a run that has written nothing."""
        if self._stamped and self.before is None:
            (self.folder / STAMP).unlink(missing_ok=True)
        for folder in reversed(self._created):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _open(self, folder: Path) -> None:
        """Make the folder, once; the first time also stamp what all lies in."""
        if folder in self._opened:
            return
        self._opened.add(folder)
        self._created += missing_folders(folder)
        make_folder(folder)
        if not self._stamped:
            self._stamped = True
            write_stamp(self.folder, self.made_by, self.photos)

    def _strangers(self) -> set[str]:
        """The stems of files in the folder and below that no run has made, as far as they matter for names."""
        found: set[str] = set()
        for folder in (self.folder, *(self.folder / name for name in BELOW)):
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                    continue
                if not (self.before and self.before.made(path.name)):
                    found |= {path.stem.casefold(), FACE_NUMBER.sub("", path.stem).casefold()}
        return found


def free_stem(stem: str, taken: Collection[str]) -> str:
    """Return the stem, or it with -2, -3, …, so that it is not taken (in small letters); a very long one is cut."""
    while len(os.fsencode(stem)) > LONGEST:
        stem = stem[:-1]
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    return next(name for name in names if name.casefold() not in taken)


def _write(path: Path, data: bytes) -> None:
    try:
        atomic_write(path, data)
    except OSError as error:
        raise os_error(error) from error


def _key(photo: Path) -> str:
    """What tells one photo from another, without its path."""
    return hashlib.sha256(os.fsencode(os.path.realpath(photo))).hexdigest()[:16]
