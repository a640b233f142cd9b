"""Align a person's own photos: find the files, choose the faces, write one PNG per face, count every skip."""

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
            "box": [round(value, 2) for value in self.face.box],
            "confidence": round(self.face.confidence, 4),
            "quad": self.quad.round(3).tolist(),
        }


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """One photo, or one face of it, that gave no output; `reason` is what is counted."""

    photo: Path
    reason: str
    detail: str

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
    for real, path in photos.items():
        if path.suffix.lower() == ".png" and _real(out) in (real.parent, _real(path.parent)):
            raise DistillError(
                f"{path} lies in the output folder {out} and could be replaced: choose another --out"
            )
    if not photos:
        raise DistillError("no photos: the folders given hold no files")
    return list(photos.values())


def output_stems(photos: Sequence[Path]) -> list[str]:
    """Return a different file stem for each photo: its own, with -2, -3, … where another photo has it."""
    taken: set[str] = set()
    stems = []
    for photo in photos:
        stem, count = photo.stem, 1
        while stem.casefold() in taken:
            count += 1
            stem = f"{photo.stem}-{count}"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


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
    """Align each photo's largest face (or all, or the `face_index`-th in order of size) to `out`/<stem>.png.

    Yields for each photo what came of it. With `all_faces` the names are <stem>_01.png, …, the largest first.
    Raises DiskFull, and DistillError where `out` cannot be written.
    """
    _make_folder(out)
    for photo, stem in zip(photos, output_stems(photos), strict=True):
        try:
            image = read_photo(photo)
            faces = _chosen(photo, detector(image), all_faces=all_faces, face_index=face_index)
        except PhotoError as skip:
            yield [Skipped(photo=photo, reason=skip.reason, detail=skip.detail)]
            continue
        names = (
            [f"{stem}_{number:02d}.png" for number in range(1, len(faces) + 1)]
            if all_faces
            else [f"{stem}.png"]
        )
        yield [
            _write_face(photo, image, face, out / name, size, mode)
            for face, name in zip(faces, names, strict=True)
        ]


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


def _make_folder(out: Path) -> None:
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


def _write_face(
    photo: Path, image: Pixels, face: Face, output: Path, size: int, mode: Mode
) -> Aligned | Skipped:
    try:
        if mode == "chip":
            quad, pixels = chip_quad(face.landmarks, size), face_chip(image, face.landmarks, size)
        else:
            quad = ffhq_quad(face.landmarks)
            pixels = warp_quad(image, quad, size)
    except DistillError as error:
        return Skipped(photo=photo, reason="face cannot be cut out", detail=str(error))
    write_png(output, pixels)
    return Aligned(photo=photo, output=output, face=face, quad=quad)
