"""From a person's own photos to aligned faces: choose the faces, cut them out, count every skip.

`cut_photos` is the one way from a photo to a face as generators and students frame it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from distill.errors import DistillError
from distill.faces.alignment import Floats, Pixels, ffhq_quad, quad_cut, warp_quad
from distill.faces.decode import PhotoError, open_photo, read_photo
from distill.faces.detection import Face, ahead, chip_quad, face_chip
from distill.faces.photo_detection import PhotoDetector, smallest_searched
from distill.faces.photo_results import SkippedPhoto

Mode = Literal["ffhq", "chip"]
MOST_AHEAD = 200_000_000  # pixels of photos that threads hold at a time


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

    @property
    def searched(self) -> int:
        """The side of the smallest face that a look for all faces of this photo sees, px."""
        return smallest_searched(self.image)


PhotoCuts = list[FaceCut | SkippedPhoto]  # what came of one photo


def photo_detector(*, all_faces: bool = False) -> PhotoDetector:
    """Return a detector for photos; it looks for the smallest faces where all are wanted, or where it found none."""
    return PhotoDetector(thorough=all_faces)


def cut_photos(
    photos: Sequence[Path],
    detector: PhotoDetector,
    *,
    size: int,
    mode: Mode = "ffhq",
    all_faces: bool = False,
    face_index: int = 0,
    stems: Sequence[str] | None = None,
    threads: int = 1,
) -> Iterator[PhotoCuts]:
    """Cut out each photo's largest face (or all, or the `face_index`-th in order of size), `size` px wide.

    Yields for each photo what came of it. Names are the `stems`, by default the photos' own; with `all_faces` they
    end in _01, …, the largest first. Several `threads` work ahead of the caller, on a few photos each.
    """

    def cut(named: tuple[Path, str]) -> PhotoCuts:
        photo, stem = named
        try:
            image = read_photo(photo)
            faces = _chosen(photo, image, detector, all_faces=all_faces, face_index=face_index)
        except PhotoError as skip:
            return [SkippedPhoto.of(skip)]
        names = [f"{stem}_{number:02d}" if all_faces else stem for number in range(1, len(faces) + 1)]
        found: PhotoCuts = []
        for face, name in zip(faces, names, strict=True):
            try:
                found.append(_cut(photo, image, face, size=size, mode=mode, stem=stem, name=name))
            except PhotoError as skip:
                found.append(SkippedPhoto.of(skip))
        return found

    named = zip(photos, stems or [photo.stem for photo in photos], strict=True)
    yield from ahead(cut, named, threads=threads, weigh=_pixels, most=MOST_AHEAD)


def _pixels(named: tuple[Path, str]) -> int:
    """How many pixels a photo has, by its header; 0 where it cannot be read."""
    try:
        return open_photo(named[0], lambda picture: picture.width * picture.height)
    except PhotoError:
        return 0


def cut_middles(
    photos: Sequence[Path], *, sides: tuple[int, int], stems: Sequence[str]
) -> Iterator[PhotoCuts]:
    """Cut out the middle of each picture, brought to `sides` (H, W): of drawings, and of pictures framed already.

    No face is looked for: a cut's `face` is its frame, of confidence 0 and without landmarks.
    """
    for photo, stem in zip(photos, stems, strict=True):
        try:
            image = read_photo(photo)
        except PhotoError as skip:
            yield [SkippedPhoto.of(skip)]
            continue
        left, top, right, bottom = box = middle_box(image, sides)
        corners = [(left, top), (left, bottom), (right, bottom), (right, top)]
        quad = np.array(corners, dtype=np.float64) - 0.5  # counted from the middles of pixels
        face = Face(box=box, confidence=0.0, landmarks=np.zeros((0, 2)))
        cut = FaceCut(
            photo=photo,
            stem=stem,
            name=stem,
            image=image,
            face=face,
            quad=quad,
            pixels=middle_cut(image, sides),
        )
        yield [cut]


def middle_cut(image: Pixels, sides: tuple[int, int]) -> Pixels:
    """Cut out the middle of a picture and scale it to [H, W, 3] (Lanczos, over the whole area when reducing)."""
    part = Image.fromarray(image).crop(middle_box(image, sides))
    return np.array(part.resize(sides[::-1], Image.Resampling.LANCZOS))


def middle_box(image: Pixels, sides: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the largest part of the shape of `sides` (H, W) in a picture's middle."""
    height, width = image.shape[:2]
    scale = min(height / sides[0], width / sides[1])
    tall, wide = (max(1, round(side * scale)) for side in sides)
    left, top = (width - wide) // 2, (height - tall) // 2
    return left, top, left + wide, top + tall


def cut_largest_face(photo: Path, detector: PhotoDetector, *, size: int) -> FaceCut:
    """Cut out the largest face of one photo that must have one. Raises PhotoError where it has not."""
    image = read_photo(photo)
    (face,) = _chosen(photo, image, detector, all_faces=False, face_index=0)
    return _cut(photo, image, face, size=size, mode="ffhq", stem=photo.stem, name=photo.stem)


def face_in_cut(cut: FaceCut, size: int) -> Face:
    """Return the face of a cut in the pixels of the cut image: it is not looked for again."""
    height, width = cut.image.shape[:2]
    corners = quad_cut(cut.quad, height, width, size)
    across, down = corners[3] - corners[0], corners[1] - corners[0]
    to_cut = np.linalg.inv(np.stack([across, down], axis=1)) * size
    landmarks: Floats = (cut.face.landmarks - corners[0]) @ to_cut.T - 0.5
    (left, top), (right, bottom) = landmarks.min(axis=0).tolist(), landmarks.max(axis=0).tolist()
    return Face(box=(left, top, right, bottom), confidence=cut.face.confidence, landmarks=landmarks)


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
