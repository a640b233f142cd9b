"""Use a student on a person's own photos: photo → aligned face → student → picture, and back into the photo.

cut_photos ─► Translator (batches) ─► NAME.png, compare/NAME.png ─► paste_back ─► pasted/STEM.png
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.editing.pictures import ContactSheet, side_by_side
from distill.errors import DistillError
from distill.faces.alignment import Floats, Pixels
from distill.faces.detection import Face, FaceDetector
from distill.faces.paste import Edit, paste_back
from distill.faces.photos import (
    Cut,
    Skipped,
    check_outputs,
    cut_largest_face,
    cut_photos,
    make_folder,
    place_json,
    write_png,
)
from distill.networks.student import Student
from distill.pixels import to_float, to_numpy, to_uint8

DEFAULT_SIZE = 256  # px, where the file does not say what the student was trained at
COMPARE, PASTED, SHEET = "compare", "pasted", "sheet"
MOST_WAITING = 200_000_000  # pixels of photos held at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class Translated:
    """One face translated: the files written, and where the face is in the upright photo."""

    photo: Path
    output: Path
    comparison: Path
    pasted: Path | None
    face: Face
    quad: Floats

    def to_json(self) -> dict[str, Any]:
        return {
            "photo": str(self.photo),
            "output": str(self.output),
            "comparison": str(self.comparison),
            "pasted": str(self.pasted) if self.pasted else None,
            **place_json(self.face, self.quad),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Translator:
    """A student with everything it needs beside the face: the style image [size, size, 3] of a two-input one."""

    student: Student
    size: int
    style: Pixels | None = None
    batch: int = 8

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of the channels."""
        return self.student.facts.inputs or ("photo", "style")[: self.student.input_count]

    @property
    def target(self) -> str:
        return self.student.facts.target or "output"

    def inputs(self, face: Pixels) -> list[Pixels]:
        """The images of one sample in the order of `roles`: the style where a role is called so, else last."""
        if self.style is None:
            return [face]
        return [self.style, face] if self.roles[0] == "style" else [face, self.style]

    def __call__(self, faces: Sequence[Pixels]) -> list[Pixels]:
        """Translate aligned faces [size, size, 3], `batch` at a time. Raises DistillError where memory ends."""
        found: list[Pixels] = []
        for start in range(0, len(faces), self.batch):
            samples = [np.stack(self.inputs(face)) for face in faces[start : start + self.batch]]
            images = to_float(torch.from_numpy(np.concatenate(samples)))  # [N * inputs, 3, H, W]
            joined = images.reshape(len(samples), -1, self.size, self.size)
            found.extend(to_numpy(to_uint8(self._run(joined))))
        return found

    def _run(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        try:
            return self.student(images_NCHW)
        except torch.OutOfMemoryError as error:
            count = len(images_NCHW)
            advice = f"use --batch {count // 2}" if count > 1 else "use a smaller --size, or --device cpu"
            raise DistillError(
                f"a batch of {count} at {self.size} px does not fit the GPU's memory: {advice}"
            ) from error


def translator(
    student: Student, *, style: Path | None, size: int | None, batch: int, detector: FaceDetector
) -> Translator:
    """Bring a student and its options together; `size` None is the size it was trained at, else 256 px.

    Raises DistillError for a missing or superfluous style image, one without a face, and a size that the network does
    not take.
    """
    wanted = student.input_count
    if wanted > 2:
        raise DistillError(f"{student.path}: the student takes {wanted} images; 1 or 2 can be given")
    if wanted == 2 and style is None:
        raise DistillError(
            f"{student.path}: the student takes 2 images (6 channels), a photo and a style: add --style IMAGE"
        )
    if wanted == 1 and style is not None:
        raise DistillError(
            f"{student.path}: the student takes 1 image (3 channels): leave out --style {style}"
        )
    side = size or student.facts.resolution or DEFAULT_SIZE
    student.architecture.check_sides(side, side)
    style_face = None if style is None else cut_largest_face(style, detector, size=side).pixels
    return Translator(student=student, size=side, style=style_face, batch=batch)


def translate_photos(
    photos: Sequence[Path],
    out: Path,
    translate: Translator,
    detector: FaceDetector,
    *,
    paste: bool = False,
    all_faces: bool = False,
    face_index: int = 0,
) -> Iterator[list[Translated | Skipped]]:
    """Translate the faces of photos into `out`; yield, in order, what came of each photo.

    Written are NAME.png, compare/NAME.png (inputs | output), with `paste` also pasted/STEM.png (the photo with all
    its translated faces), and last sheet.png. Raises DiskFull, and DistillError where `out` cannot be written or a
    photo would be replaced.
    """
    folders = [out, out / COMPARE, *([out / PASTED] if paste else [])]
    for folder in folders:
        check_outputs(photos, folder)
    make_folder(out)
    sheet = ContactSheet([*translate.roles, translate.target])
    cuts = cut_photos(
        photos, detector, size=translate.size, all_faces=all_faces, face_index=face_index, reserved=[SHEET]
    )
    for several in _gathered(cuts, translate.batch):
        faces = iter(translate([cut.pixels for found in several for cut in found if isinstance(cut, Cut)]))
        for found in several:
            for folder in folders if any(isinstance(cut, Cut) for cut in found) else []:
                make_folder(folder)
            edited = {cut.name: next(faces) for cut in found if isinstance(cut, Cut)}
            pasted = _paste(found, edited, out) if paste and edited else None
            yield [
                _write(cut, edited[cut.name], translate, out, pasted, sheet) if isinstance(cut, Cut) else cut
                for cut in found
            ]
    if sheet.count:
        write_png(out / f"{SHEET}.png", sheet.draw())


def _gathered(photos: Iterator[list[Cut | Skipped]], batch: int) -> Iterator[list[list[Cut | Skipped]]]:
    """Gather photos until they fill a batch or hold much memory."""
    waiting: list[list[Cut | Skipped]] = []
    faces = pixels = 0
    for found in photos:
        waiting.append(found)
        cuts = [cut for cut in found if isinstance(cut, Cut)]
        faces += len(cuts)
        pixels += cuts[0].image.size // 3 if cuts else 0
        if faces >= batch or pixels >= MOST_WAITING or not faces:
            yield waiting
            waiting, faces, pixels = [], 0, 0
    if waiting:
        yield waiting


def _write(
    cut: Cut, edited: Pixels, translate: Translator, out: Path, pasted: Path | None, sheet: ContactSheet
) -> Translated:
    output, comparison = out / f"{cut.name}.png", out / COMPARE / f"{cut.name}.png"
    tiles = [*translate.inputs(cut.pixels), edited]
    write_png(output, edited)
    write_png(comparison, side_by_side(tiles))
    sheet.add(cut.name, tiles)
    return Translated(
        photo=cut.photo, output=output, comparison=comparison, pasted=pasted, face=cut.face, quad=cut.quad
    )


def _paste(found: Sequence[Cut | Skipped], edited: dict[str, Pixels], out: Path) -> Path:
    """Write one photo with all its edits."""
    cuts = [cut for cut in found if isinstance(cut, Cut)]
    path = out / PASTED / f"{cuts[0].stem}.png"
    write_png(path, paste_back(cuts[0].image, [Edit(quad=cut.quad, pixels=edited[cut.name]) for cut in cuts]))
    return path
