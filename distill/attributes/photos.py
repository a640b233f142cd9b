"""Photographs → scores of the largest face in each; what gives none is kept with its reason."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from distill.attributes.crops import Crop, cut_all
from distill.attributes.protocol import ChipScorer
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.decode import PhotoError, read_photo
from distill.faces.detection import Face
from distill.faces.photos import photo_detector
from distill.parallel import ordered
from distill.shards.images.picture import find_pictures

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
    photos: Sequence[Photo], scorer: ChipScorer, *, workers: int, stop: threading.Event
) -> Iterator[list[ScoredPhoto]]:
    """Yield what comes of the photographs, in order, some at a time.

    Faces are found by `workers` processes (1: in this one), the networks run here. Raises Interrupted when `stop`
    is set, and DistillError where dlib or its landmark model is missing.
    """
    seen = ordered(partial(see, crops=scorer.crops), photos, workers=workers, stop=stop)
    while part := list(islice(seen, AT_ONCE)):
        yield _scored(part, scorer)


def see(photo: Photo, crops: Mapping[str, Crop]) -> Seen:
    """Find the largest face of a photograph, where one of the crops needs it, and cut out what they say."""
    try:
        pixels = read_photo(photo.path)
    except PhotoError as error:
        return Seen(outcome=ScoredPhoto(name=photo.name, reason=error.reason, detail=error.detail))
    faces = photo_detector()(pixels) if any(crop.needs_face for crop in crops.values()) else []
    outcome = ScoredPhoto(name=photo.name, faces=len(faces))
    try:
        return Seen(outcome=outcome, chips=cut_largest(crops, pixels, faces))
    except DistillError as error:
        reason = "face cannot be cut out" if faces else "no face"
        return Seen(outcome=replace(outcome, reason=reason, detail=str(error)))


def cut_largest(crops: Mapping[str, Crop], pixels: Pixels, faces: Sequence[Face]) -> dict[str, Pixels]:
    """Cut out what the crops say, of the largest face. Raises DistillError where there is none and one is needed."""
    largest = max(faces, key=lambda face: face.area, default=None)
    if largest is None and any(crop.needs_face for crop in crops.values()):
        raise DistillError("no frontal face found")
    return cut_all(crops, pixels, largest)


def _scored(part: Sequence[Seen], scorer: ChipScorer) -> list[ScoredPhoto]:
    chips = [seen.chips for seen in part if seen.chips is not None]
    columns = scorer.score_chips(chips) if chips else {}
    rows = iter(
        [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]
    )
    return [seen.outcome if seen.chips is None else replace(seen.outcome, scores=next(rows)) for seen in part]


def _file(path: Path) -> Path:
    if not path.exists():
        raise DistillError(f"{path}: no such file or folder")
    return path  # what is no picture is skipped and counted by the reader


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
