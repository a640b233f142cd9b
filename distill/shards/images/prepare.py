"""A folder of pictures → an image set: read, align or crop, judge, write; every skip is counted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.errors import DistillError
from distill.faces.alignment import ffhq_quad, warp_quad
from distill.faces.decode import PhotoError, read_photo
from distill.faces.photos import find_photos, photo_detector
from distill.parallel import ordered
from distill.shards.images.labels import LabelTable, Share, as_column, balanced_weights
from distill.shards.images.write import ImageWriter, Written

Pixels = NDArray[np.uint8]
Align = Literal["ffhq", "none"]
# What is taken for a picture; .heic is, so that it is named and not passed over.
SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "webp", "tif", "tiff", "bmp", "gif", "ppm", "pgm"),
        *("jp2", "j2k", "avif", "heic", "heif"),
    )
)
GREY_SPREAD = 8.0  # mean difference of a pixel's largest and smallest channel; colour portraits lie above 20


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What is done to each picture: `align` is "ffhq" (the face) or "none" (the middle square)."""

    resolution: int
    align: Align = "none"
    drop_grey: bool = False


@dataclass(frozen=True, kw_only=True)
class Request:
    """An image set to make: `pictures` as (name, path), `balance` one of the labels, `source` plain facts."""

    pictures: Sequence[tuple[str, Path]]
    out: Path
    settings: Preparation
    labels: LabelTable | None = None
    balance: str | None = None
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one picture: an image, or a reason and a detail why not."""

    name: str
    image: Pixels | None = None
    grey: bool = False
    enlarged: bool = False
    several_faces: bool = False
    reason: str = ""
    detail: str = ""


@dataclass(kw_only=True)
class Tally:
    """Counts over all pictures; `most_skips` is how many may fail before the whole is given up."""

    found: int
    most_skips: int
    kept: int = 0
    grey: int = 0
    grey_dropped: int = 0
    enlarged: int = 0
    several_faces: int = 0
    skips: list[Outcome] = field(default_factory=list)

    def count(self, outcome: Outcome, *, drop_grey: bool) -> bool:
        """Count one picture; return whether it is kept. DistillError when too many were skipped."""
        if outcome.image is None:
            self.skips.append(outcome)
            if len(self.skips) > self.most_skips:
                raise DistillError(self._too_many())
            return False
        self.grey += outcome.grey
        if outcome.grey and drop_grey:
            self.grey_dropped += 1
            return False
        self.kept += 1
        self.enlarged += outcome.enlarged
        self.several_faces += outcome.several_faces
        return True

    @property
    def reasons(self) -> dict[str, int]:
        return dict(Counter(skip.reason for skip in self.skips).most_common())

    def to_json(self) -> dict[str, Any]:
        facts = {key: getattr(self, key) for key in ("found", "kept", "grey", "grey_dropped", "enlarged")}
        return {**facts, "several_faces": self.several_faces, "skipped": self.reasons}

    def _too_many(self) -> str:
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.reasons.items())
        first = self.skips[0]
        return (
            f"skipped {len(self.skips)} of {self.found} pictures, at most {self.most_skips} may be "
            f"(--max-skips): {reasons}; the first is {first.name} ({first.detail}); nothing was written"
        )


def find_pictures(folder: Path, out: Path) -> tuple[list[tuple[str, Path]], list[Path]]:
    """Return the pictures below a folder as (name, path), sorted by name, and the other files.

    A name is the path below the folder, with "/". Raises DistillError for a folder that is not there or
    holds no picture; `out` is the file to come.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise DistillError(f"{folder}: {what}; a folder of pictures is needed")
    files = find_photos([folder], out)
    pictures = [(_name(path, folder), path) for path in files if path.suffix.lower() in SUFFIXES]
    if not pictures:
        raise DistillError(f"{folder}: no pictures among its {len(files)} files (.jpg, .png, .webp, …)")
    return sorted(pictures), [path for path in files if path.suffix.lower() not in SUFFIXES]


def prepare_picture(picture: tuple[str, Path], settings: Preparation) -> Outcome:
    """Read one picture, cut it to [resolution, resolution, 3], and say whether it is grey."""
    name, path = picture
    try:
        photo = read_photo(path)
        image, side, faces = (
            _face(path, photo, settings) if settings.align == "ffhq" else _middle(photo, settings)
        )
    except PhotoError as error:
        return Outcome(name=name, reason=error.reason, detail=error.detail)
    return Outcome(
        name=name,
        image=image,
        grey=is_grey(image),
        enlarged=side < settings.resolution,
        several_faces=faces > 1,
    )


def is_grey(image: Pixels) -> bool:
    """Tell whether an image [H, W, 3] has no colour: its channels differ by less than 8 on the mean."""
    spread = image.max(axis=2).astype(np.int16) - image.min(axis=2)
    return bool(spread.mean() < GREY_SPREAD)


def prepare(
    request: Request,
    tally: Tally,
    *,
    stop: threading.Event,
    workers: int = 1,
    progress: Callable[[int], None] = lambda pictures: None,
) -> tuple[Written, dict[str, Share]]:
    """Write the image set; return what was written, and the share of each class that was balanced.

    The same request gives the same bytes for any number of workers. Raises DistillError when more than
    `tally.most_skips` pictures fail or none is left, Interrupted when `stop` is set; then nothing is written.
    """
    settings, names = request.settings, []
    with ImageWriter(request.out, settings.resolution) as writer:
        for outcome in outcomes(request.pictures, settings, workers=workers, stop=stop):
            progress(1)
            if tally.count(outcome, drop_grey=settings.drop_grey) and outcome.image is not None:
                writer.add(outcome.image)
                names.append(outcome.name)
        if not names:
            dropped = {**tally.reasons, **({"grey": tally.grey_dropped} if tally.grey_dropped else {})}
            raise DistillError(f"none of {tally.found} pictures is left: {dropped}; nothing was written")
        texts = request.labels.labels_of(names) if request.labels else {}
        weight, shares = balanced_weights(texts[request.balance]) if request.balance else (None, {})
        columns = {name: as_column(values) for name, values in texts.items()}
        facts = {**request.source, **tally.to_json(), "align": settings.align, "balance": request.balance}
        return writer.commit(names=names, labels=columns, weight=weight, source=facts), shares


def outcomes(
    pictures: Sequence[tuple[str, Path]], settings: Preparation, *, workers: int, stop: threading.Event
) -> Iterator[Outcome]:
    """Yield what comes of each picture, in order."""
    yield from ordered(partial(prepare_picture, settings=settings), pictures, workers=workers, stop=stop)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _face(path: Path, photo: Pixels, settings: Preparation) -> tuple[Pixels, float, int]:
    """Cut out the largest face as FFHQ does; return it, the side of the crop in the photo, how many faces."""
    faces = photo_detector()(photo)
    if not faces:
        raise PhotoError(path, "no face", "no frontal face found")
    try:
        quad = ffhq_quad(max(faces, key=lambda face: face.area).landmarks)
        image = warp_quad(photo, quad, settings.resolution)
    except DistillError as error:
        raise PhotoError(path, "face cannot be cut out", str(error)) from error
    return image, float(np.hypot(*(quad[3] - quad[0]))), len(faces)


def _middle(photo: Pixels, settings: Preparation) -> tuple[Pixels, float, int]:
    """Cut out the largest square in the middle and scale it (Lanczos, over the whole area when reducing)."""
    height, width = photo.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = Image.fromarray(photo[top : top + side, left : left + side])
    size = (settings.resolution, settings.resolution)
    return np.array(square.resize(size, Image.Resampling.LANCZOS)), side, 0
