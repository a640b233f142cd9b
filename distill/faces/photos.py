"""From a person's own photos to aligned faces: find the files, choose the faces, cut them out, count every skip.

`cut_photos` is the one way from a photo to a face as generators and students frame it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from distill.errors import DistillError
from distill.faces.alignment import Floats, Pixels, ffhq_quad, warp_quad
from distill.faces.decode import PhotoError, read_photo
from distill.faces.detection import Face, chip_quad, face_chip
from distill.faces.photo_detection import PhotoDetector, smallest_searched
from distill.faces.photo_results import SkippedPhoto

Mode = Literal["ffhq", "chip"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceCut:
    """One face cut out: `pixels` [size, size, 3] show what lies inside `quad` [4, 2] of the upright photo `image`.

    `stem` is different for every photo of one call, `name` for every face; output files are called by them.
    """

    photo: Path
    stem: str
    name: str
    image: Pixels
    face: Face
    quad: Floats
    pixels: Pixels


PhotoCuts = list[FaceCut | SkippedPhoto]  # what came of one photo


def photo_detector(*, all_faces: bool = False) -> PhotoDetector:
    """Return a detector for photos; it looks for the smallest faces where all are wanted, or where it found none."""
    return PhotoDetector(thorough=all_faces)


def find_photos(sources: Iterable[Path], out: Path) -> list[Path]:
    """Return the files among `sources` and those in its folders, each once, in a fixed order.

    Hidden files and the folder `out` are left out. Raises DistillError for what is not there, and where an
    output could replace a photo.
    """
    photos: dict[Path, Path] = {}
    for source in sources:
        if not os.path.lexists(source):
            raise DistillError(f"{source}: no such file or folder")
        found = _files_below(source, out) if source.is_dir() else [source]
        for path in found:
            photos.setdefault(_real(path), path)
    check_outputs(photos.values(), out)
    if not photos:
        raise DistillError("no photos: the folders given hold no files")
    return list(photos.values())


def check_outputs(photos: Iterable[Path], folder: Path) -> None:
    """Raise DistillError where a PNG written to `folder` could replace one of the photos."""
    for path in photos:
        if path.suffix.lower() == ".png" and _real(folder) in (_real(path).parent, _real(path.parent)):
            raise DistillError(
                f"{path} lies in the output folder {folder} and could be replaced: choose another --out"
            )


def output_stems(photos: Sequence[Path], *, reserved: Iterable[str] = ()) -> list[str]:
    """Return a different file stem for each photo: its own, with -2, -3, … where another has it or it is reserved."""
    taken = {stem.casefold() for stem in reserved}
    stems = []
    for photo in photos:
        stem, count = photo.stem, 1
        while stem.casefold() in taken:
            count += 1
            stem = f"{photo.stem}-{count}"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def cut_photos(
    photos: Sequence[Path],
    detector: PhotoDetector,
    *,
    size: int,
    mode: Mode = "ffhq",
    all_faces: bool = False,
    face_index: int = 0,
    reserved: Iterable[str] = (),
) -> Iterator[PhotoCuts]:
    """Cut out each photo's largest face (or all, or the `face_index`-th in order of size), `size` px wide.

    Yields for each photo what came of it. Names are the photos' stems, none of them `reserved`; with `all_faces`
    they end in _01, …, the largest first.
    """
    for photo, stem in zip(photos, output_stems(photos, reserved=reserved), strict=True):
        try:
            image = read_photo(photo)
            faces = _chosen(photo, image, detector, all_faces=all_faces, face_index=face_index)
        except PhotoError as skip:
            yield [SkippedPhoto.of(skip)]
            continue
        names = [f"{stem}_{number:02d}" if all_faces else stem for number in range(1, len(faces) + 1)]
        found: PhotoCuts = []
        for face, name in zip(faces, names, strict=True):
            try:
                found.append(_cut(photo, image, face, size=size, mode=mode, stem=stem, name=name))
            except PhotoError as skip:
                found.append(SkippedPhoto.of(skip))
        yield found


def cut_largest_face(photo: Path, detector: PhotoDetector, *, size: int) -> FaceCut:
    """Cut out the largest face of one photo that must have one. Raises PhotoError where it has not."""
    image = read_photo(photo)
    (face,) = _chosen(photo, image, detector, all_faces=False, face_index=0)
    return _cut(photo, image, face, size=size, mode="ffhq", stem=photo.stem, name=photo.stem)


def _files_below(folder: Path, out: Path) -> list[Path]:
    if _real(out) == _real(folder):
        raise DistillError(f"{folder}: photos and output are the same folder: choose another --out")
    files = []
    for place, folders, names in os.walk(folder, onerror=_refuse_folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if name[0] != "." and _real(here / name) != _real(out))
        files += [here / name for name in sorted(names) if name[0] != "."]
    return files


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises on a link that leads to itself


def _refuse_folder(error: OSError) -> None:
    raise DistillError(f"{error.filename}: {error.strerror}") from error


def _chosen(
    photo: Path, image: Pixels, detector: PhotoDetector, *, all_faces: bool, face_index: int
) -> list[Face]:
    by_size = sorted(detector(image), key=lambda face: -face.area)
    if not by_size:
        raise PhotoError(photo, "no face", f"no frontal face of {smallest_searched(image)} px or more found")
    if all_faces:
        return by_size
    if face_index >= len(by_size):
        raise PhotoError(photo, "no such face", f"face {face_index} of {len(by_size)}, counted from 0")
    return [by_size[face_index]]


def _cut(photo: Path, image: Pixels, face: Face, *, size: int, mode: Mode, stem: str, name: str) -> FaceCut:
    try:
        if mode == "chip":
            quad, pixels = chip_quad(face.landmarks, size), face_chip(image, face.landmarks, size)
        else:
            quad = ffhq_quad(face.landmarks)
            pixels = warp_quad(image, quad, size)
    except DistillError as error:
        raise PhotoError(photo, "face cannot be cut out", str(error)) from error
    return FaceCut(photo=photo, stem=stem, name=name, image=image, face=face, quad=quad, pixels=pixels)
