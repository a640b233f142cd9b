"""One picture → one image of a given size: found, read, aligned or cropped, judged; a failure has a reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.faces.alignment import ffhq_quad, warp_quad
from distill.faces.decode import PhotoError, read_photo
from distill.faces.find import find_photos
from distill.faces.photos import middle_box, middle_cut, photo_detector
from distill.progress import plural

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
class PictureSettings:
    """What is done to each picture: `align` is "ffhq" (the face) or "none" (the middle, of the shape asked for).

    `resolution` is the height; `width` None: as wide.
    """

    resolution: int
    align: Align = "none"
    drop_grey: bool = False
    width: int | None = None

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        return self.resolution, self.width or self.resolution


@dataclass(frozen=True, kw_only=True)
class PreparedPicture:
    """What came of one picture: an image, or a reason and a detail why not."""

    name: str
    image: Pixels | None = None
    grey: bool = False
    enlarged: bool = False
    several_faces: bool = False
    reason: str = ""
    detail: str = ""


def find_pictures(folder: Path, out: Path | None = None) -> tuple[list[tuple[str, Path]], list[Path]]:
    """Return the pictures below a folder as (name, path), sorted by name, and the other files.

    A name is the path below the folder, with "/". Raises DistillError for a folder that is not there or
    holds no picture; what lies in `out` is left out.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise DistillError(f"{folder}: {what}; a folder of pictures is needed")
    files = find_photos([folder], out).complete()
    pictures = [(_name(path, folder), path) for path in files if path.suffix.lower() in SUFFIXES]
    if not pictures:
        raise DistillError(
            f"{folder}: no pictures among its {plural(len(files), 'file')} (.jpg, .png, .webp, …)"
        )
    return sorted(pictures), [path for path in files if path.suffix.lower() not in SUFFIXES]


def prepare_picture(picture: tuple[str, Path], settings: PictureSettings) -> PreparedPicture:
    """Read one picture, cut it to [H, W, 3], and say whether it is grey."""
    name, path = picture
    try:
        photo = read_photo(path)
        image, side, faces = (
            _face(path, photo, settings) if settings.align == "ffhq" else _middle(photo, settings)
        )
    except PhotoError as error:
        return PreparedPicture(name=name, reason=error.reason, detail=error.detail)
    return PreparedPicture(
        name=name,
        image=image,
        grey=is_grey(image),
        enlarged=side < settings.resolution,
        several_faces=faces > 1,
    )


def middle_square(photo: Pixels, resolution: int) -> Pixels:
    """Cut out the largest square in the middle and scale it (Lanczos, over the whole area when reducing)."""
    return middle_cut(photo, (resolution, resolution))


def is_grey(image: Pixels) -> bool:
    """Tell whether an image [H, W, 3] has no colour: its channels differ by less than 8 on average."""
    spread = image.max(axis=2).astype(np.int16) - image.min(axis=2)
    return bool(spread.mean() < GREY_SPREAD)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _face(path: Path, photo: Pixels, settings: PictureSettings) -> tuple[Pixels, float, int]:
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


def _middle(photo: Pixels, settings: PictureSettings) -> tuple[Pixels, float, int]:
    _, top, _, bottom = middle_box(photo, settings.sides)
    return middle_cut(photo, settings.sides), bottom - top, 0
