"""Photographs → scores of the largest face in each; what gives none is kept with its reason."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.decode import PhotoError, read_photo
from distill.faces.photos import photo_detector
from distill.filters.attribute_chips import attribute_chips
from distill.filters.attributes import GenderAgeScorer
from distill.images.parallel import ordered
from distill.images.prepare import find_pictures

AT_ONCE = 32  # photographs between two calls of the networks, and between two lines of a journal


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photograph by the name that a table has for it, its path, and what changes when the file does."""

    name: str
    path: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class ScoredPhoto:
    """The scores by name, or why there are none; `faces` were found, the largest was scored."""

    name: str
    faces: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a worker process makes of a photograph: the chips of its largest face, or the reason for none."""

    outcome: ScoredPhoto
    chips: Mapping[str, Pixels] | None = None


def find_named(sources: Sequence[Path], out: Path) -> list[Photo]:
    """Return the pictures among `sources` and in its folders, each once, in the order given.

    A picture's name is its path below the folder, a single file's its own. Raises DistillError for what is not
    there, a folder without pictures, and two pictures of one name.
    """
    places: dict[str, Path] = {}
    for source in sources:
        pairs = find_pictures(source, out)[0] if source.is_dir() else [(_text(source.name), _file(source))]
        for name, path in pairs:
            other = places.setdefault(name, path)
            if not other.samefile(path):
                raise DistillError(
                    f"{other} and {path} would both be called {name} in the table: score them apart"
                )
    facts = {name: path.stat() for name, path in places.items()}
    return [
        Photo(name=name, path=path, size=facts[name].st_size, mtime_ns=facts[name].st_mtime_ns)
        for name, path in places.items()
    ]


def score_photos(
    photos: Sequence[Photo], scorer: GenderAgeScorer, *, workers: int, stop: threading.Event
) -> Iterator[list[ScoredPhoto]]:
    """Yield what comes of the photographs, in order, some at a time.

    Faces are found by `workers` processes (1: in this one), the networks run here. Raises Interrupted when `stop`
    is set, and DistillError where dlib or its landmark model is missing.
    """
    seen = ordered(partial(see, sides=scorer.sides), photos, workers=workers, stop=stop)
    while part := list(islice(seen, AT_ONCE)):
        yield _scored(part, scorer)


def see(photo: Photo, sides: Mapping[str, int]) -> Seen:
    """Find the largest face of a photograph and cut its chips."""
    try:
        pixels = read_photo(photo.path)
    except PhotoError as error:
        return Seen(outcome=ScoredPhoto(name=photo.name, reason=error.reason, detail=error.detail))
    faces = photo_detector()(pixels)
    if not faces:
        outcome = ScoredPhoto(name=photo.name, reason="no face", detail="no frontal face found")
        return Seen(outcome=outcome)
    largest = max(faces, key=lambda face: face.area)
    return Seen(
        outcome=ScoredPhoto(name=photo.name, faces=len(faces)),
        chips=attribute_chips(pixels, largest.landmarks, sides),
    )


def _scored(part: Sequence[Seen], scorer: GenderAgeScorer) -> list[ScoredPhoto]:
    chips = [seen.chips for seen in part if seen.chips is not None]
    columns = scorer.score_chips(chips) if chips else {}
    rows = iter(
        [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]
    )
    return [seen.outcome if seen.chips is None else replace(seen.outcome, scores=next(rows)) for seen in part]


def _file(path: Path) -> Path:
    if not path.is_file():
        raise DistillError(f"{path}: {'not a file' if path.exists() else 'no such file or folder'}")
    return path


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
