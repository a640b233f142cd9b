"""Which files are a person's photos: those given, and those in the folders given; what is left out is reported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.errors import DistillError
from distill.faces.outputs import BELOW, STAMP, Stamp, read_stamp
from distill.faces.photo_results import SkippedPhoto
from distill.progress import plural

# Thumbnails, metadata and waste of storage boxes and systems; what begins with a dot is left out as well.
NO_PHOTOS = frozenset(
    {"@eaDir", "@Recycle", "#recycle", "#snapshot", "lost+found", "__MACOSX", "$RECYCLE.BIN"}
)
UNREADABLE, MADE = "unreadable folder", "own outputs"  # why something was left out


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundPhotos:
    """The files to read, and the folders that were left out whole or in part."""

    files: Sequence[Path]
    left_out: Sequence[SkippedPhoto] = ()

    def complete(self) -> Sequence[Path]:
        """Return the files. Raises DistillError where a folder could not be read."""
        for skip in self.left_out:
            if skip.reason == UNREADABLE:
                raise DistillError(f"{skip.photo}: {skip.detail}")
        return self.files


def find_photos(sources: Iterable[Path], out: Path | None) -> FoundPhotos:
    """Return the files among `sources` and those in its folders, each once, in a fixed order.

    Links are followed, each folder once. Left out are hidden files, folders like @eaDir, the folder `out`, and what
    align, translate, project and evaluate made below a folder given; of a folder given that they made themselves,
    what stands beside the faces (sheet, compare, pasted, …). Raises DistillError for what is not there, a source that
    cannot be read, and where an output could replace a photo.
    """
    sources = list(sources)
    photos: dict[Path, Path] = {}
    left_out: list[SkippedPhoto] = []
    for source in sources:
        if not os.path.lexists(source):
            raise DistillError(f"{source}: no such file or folder")
        found = _files_below(source, out, left_out) if source.is_dir() else [source]
        for path in found:
            photos.setdefault(_real(path), path)
    if out is not None:
        check_outputs(photos.values(), out)
    if not photos:
        raise DistillError(f"no photos: no files in {_few(sources)}{_but(left_out)}")
    return FoundPhotos(files=list(photos.values()), left_out=left_out)


def check_outputs(photos: Iterable[Path], folder: Path, *, suffixes: Sequence[str] = (".png",)) -> None:
    """Raise DistillError where a file of these suffixes written to `folder` could replace one of the photos."""
    for path in photos:
        if path.suffix.lower() in suffixes and _real(folder) in (_real(path).parent, _real(path.parent)):
            raise DistillError(
                f"{path} lies in the output folder {folder} and could be replaced: choose another --out"
            )


def _files_below(source: Path, out: Path | None, left_out: list[SkippedPhoto]) -> Iterator[Path]:
    if out is not None and _real(out) == _real(source):
        raise DistillError(f"{source}: photos and output are the same folder: choose another --out")

    def unreadable(error: OSError) -> None:
        if Path(error.filename) == source:
            raise DistillError(f"{source}: {error.strerror}") from error
        left_out.append(
            SkippedPhoto(photo=Path(error.filename), reason=UNREADABLE, detail=error.strerror or str(error))
        )

    entered, stamps = {_real(path) for path in (source, out) if path is not None}, {}
    for place, folders, names in os.walk(source, onerror=unreadable, followlinks=True):
        here = Path(place)
        folders[:] = [name for name in sorted(folders) if _enters(here / name, entered)]
        if STAMP in names and (stamp := read_stamp(here)):
            stamps[here] = stamp
        files = [name for name in sorted(names) if not name.startswith(".")]
        made = [name for name in files if _made(here, name, stamps, source)]
        if made:
            stamp = stamps.get(here) or stamps[here.parent]
            detail = f"{plural(len(made), 'file')} made by distill {stamp.made_by}"
            left_out.append(SkippedPhoto(photo=here, reason=MADE, detail=detail, files=len(made)))
        yield from (here / name for name in files if name not in set(made))


def _enters(folder: Path, entered: set[Path]) -> bool:
    """Tell whether to look into a folder; each is entered once, by whatever link."""
    real = _real(folder)
    if folder.name.startswith(".") or folder.name in NO_PHOTOS or real in entered:
        return False
    entered.add(real)
    return True


def _made(here: Path, name: str, stamps: dict[Path, Stamp], source: Path) -> bool:
    """Tell whether a file was made by a command, and is no face to go on with."""
    if stamp := stamps.get(here):
        of_no_photo = stamp.photos.get(Path(name).stem) == ""
        return stamp.made(name) and (here != source or of_no_photo)
    above = stamps.get(here.parent) if here.name in BELOW else None
    return above is not None and above.made(name)


def _few(sources: Sequence[Path]) -> str:
    more = f" and {len(sources) - 3} more" if len(sources) > 3 else ""
    return ", ".join(map(str, sources[:3])) + more


def _but(left_out: Sequence[SkippedPhoto]) -> str:
    told = ", ".join(f"{skip.photo} ({skip.reason}: {skip.detail})" for skip in left_out)
    return f" but those left out: {told}" if told else ""


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises on a link that leads to itself
