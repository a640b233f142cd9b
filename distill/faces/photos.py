"""From a person's own photos to aligned faces: find the files, choose the faces, cut them out, count every skip.

`cut_photos` is the one way from a photo to a face as generators and students frame it; `align_photos` writes what
it gives as PNGs.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from distill.errors import DiskFull, DistillError
from distill.faces.alignment import Floats, Pixels, ffhq_quad, warp_quad
from distill.faces.decode import PhotoError, read_photo
from distill.faces.detection import Face, FaceDetector, chip_quad, face_chip

Mode = Literal["ffhq", "chip"]
MIN_CONFIDENCE = 0.25  # dlib's spurious boxes stay below 0.2 on ordinary photos, frontal faces lie above 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Cut:
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Aligned:
    """One face written: `quad` [4, 2] are the corners of the output in the upright photo."""

    photo: Path
    output: Path
    face: Face
    quad: Floats

    def to_json(self) -> dict[str, Any]:
        return {
            "photo": str(self.photo),
            "output": str(self.output),
            **place_json(self.face, self.quad),
        }


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """One photo, or one face of it, that gave no output; `reason` is what is counted."""

    photo: Path
    reason: str
    detail: str

    @classmethod
    def of(cls, error: PhotoError) -> Skipped:
        return cls(photo=error.path, reason=error.reason, detail=error.detail)

    def to_json(self) -> dict[str, Any]:
        return {"photo": str(self.photo), "reason": self.reason, "detail": self.detail}


def photo_detector(*, all_faces: bool = False) -> FaceDetector:
    """Return a detector for photos; it looks for faces of 40 pixels too, at once or where it found none."""
    if all_faces:
        return FaceDetector(detect_size=1024, max_side=2048, min_confidence=MIN_CONFIDENCE)
    return FaceDetector(detect_size=512, max_side=1024, min_confidence=MIN_CONFIDENCE, search_small=True)


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
    detector: FaceDetector,
    *,
    size: int,
    mode: Mode = "ffhq",
    all_faces: bool = False,
    face_index: int = 0,
    reserved: Iterable[str] = (),
) -> Iterator[list[Cut | Skipped]]:
    """Cut out each photo's largest face (or all, or the `face_index`-th in order of size), `size` px wide.

    Yields for each photo what came of it. Names are the photos' stems, none of them `reserved`; with `all_faces`
    they end in _01, …, the largest first.
    """
    for photo, stem in zip(photos, output_stems(photos, reserved=reserved), strict=True):
        try:
            image = read_photo(photo)
            faces = _chosen(photo, detector(image), all_faces=all_faces, face_index=face_index)
        except PhotoError as skip:
            yield [Skipped.of(skip)]
            continue
        names = [f"{stem}_{number:02d}" if all_faces else stem for number in range(1, len(faces) + 1)]
        found: list[Cut | Skipped] = []
        for face, name in zip(faces, names, strict=True):
            try:
                found.append(_cut(photo, image, face, size=size, mode=mode, stem=stem, name=name))
            except PhotoError as skip:
                found.append(Skipped.of(skip))
        yield found


def cut_largest_face(photo: Path, detector: FaceDetector, *, size: int) -> Cut:
    """Cut out the largest face of one photo that must have one. Raises PhotoError where it has not."""
    image = read_photo(photo)
    (face,) = _chosen(photo, detector(image), all_faces=False, face_index=0)
    return _cut(photo, image, face, size=size, mode="ffhq", stem=photo.stem, name=photo.stem)


def align_photos(
    photos: Sequence[Path],
    out: Path,
    detector: FaceDetector,
    *,
    size: int = 256,
    mode: Mode = "ffhq",
    all_faces: bool = False,
    face_index: int = 0,
) -> Iterator[list[Aligned | Skipped]]:
    """Write the faces that `cut_photos` finds as PNGs into `out`, each by its name; yield what came of each photo.

    Raises DiskFull, and DistillError where `out` cannot be written.
    """
    make_folder(out)
    cuts = cut_photos(photos, detector, size=size, mode=mode, all_faces=all_faces, face_index=face_index)
    for found in cuts:
        yield [_written(cut, out) if isinstance(cut, Cut) else cut for cut in found]


def place_json(face: Face, quad: Floats) -> dict[str, Any]:
    """Return where a face is in its photo, rounded, for a report."""
    return {
        "box": [round(value, 2) for value in face.box],
        "confidence": round(face.confidence, 4),
        "quad": quad.round(3).tolist(),
    }


def count_reasons(skips: Iterable[Skipped]) -> dict[str, int]:
    """Return {reason: count}, the most frequent first."""
    return dict(Counter(skip.reason for skip in skips).most_common())


def write_png(path: Path, image: Pixels) -> None:
    """Write [H, W, 3] as a PNG that is complete as soon as it has its name."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    aside = path.parent / f".{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with aside.open("xb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else DistillError
        raise kind(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        aside.unlink(missing_ok=True)


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


def make_folder(out: Path) -> None:
    """Make a folder for outputs. Raises DistillError where that cannot be."""
    if out.exists() and not out.is_dir():
        raise DistillError(f"{out} is a file, the output needs a folder: choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DistillError(f"{out}: cannot make this folder ({error.strerror})") from error


def _chosen(photo: Path, faces: Sequence[Face], *, all_faces: bool, face_index: int) -> list[Face]:
    by_size = sorted(faces, key=lambda face: -face.area)
    if not by_size:
        raise PhotoError(photo, "no face", "no frontal face found")
    if all_faces:
        return by_size
    if face_index >= len(by_size):
        raise PhotoError(photo, "no such face", f"face {face_index} of {len(by_size)}, counted from 0")
    return [by_size[face_index]]


def _cut(photo: Path, image: Pixels, face: Face, *, size: int, mode: Mode, stem: str, name: str) -> Cut:
    try:
        if mode == "chip":
            quad, pixels = chip_quad(face.landmarks, size), face_chip(image, face.landmarks, size)
        else:
            quad = ffhq_quad(face.landmarks)
            pixels = warp_quad(image, quad, size)
    except DistillError as error:
        raise PhotoError(photo, "face cannot be cut out", str(error)) from error
    return Cut(photo=photo, stem=stem, name=name, image=image, face=face, quad=quad, pixels=pixels)


def _written(cut: Cut, out: Path) -> Aligned:
    output = out / f"{cut.name}.png"
    write_png(output, cut.pixels)
    return Aligned(photo=cut.photo, output=output, face=cut.face, quad=cut.quad)
