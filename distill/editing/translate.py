"""Use a student on a person's own photos: photo → aligned face → student → picture, and back into the photo.

cut_photos ─► Translator (batches) ─► NAME.png, compare/NAME.png ─► paste_back ─► pasted/STEM.png
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distill.devices import Precision
from distill.editing.pictures import ContactSheet, side_by_side
from distill.editing.translator import Translator, make_translator
from distill.faces.alignment import Floats, Pixels
from distill.faces.detection import Face
from distill.faces.paste import FaceEdit, paste_back
from distill.faces.photo_results import PhotoResults, SkippedPhoto, collect, json_paths, place_json
from distill.faces.photos import FaceCut, PhotoCuts, check_outputs, cut_photos, photo_detector
from distill.files import make_folder
from distill.networks.student import load_student
from distill.pixels import write_png

COMPARE, PASTED, SHEET = "compare", "pasted", "sheet"
MOST_WAITING = 200_000_000  # pixels of photos held at a time


@dataclass(frozen=True, kw_only=True)
class TranslateRequest:
    """Which faces go through which student; `photos` are files and folders, see `find_photos`.

    `size` None is what the student was trained at, else 256 px. `batch` faces go through at a time.
    """

    photos: tuple[Path, ...]
    model: Path
    out: Path
    style: Path | None = None
    size: int | None = None
    paste_back: bool = False
    all_faces: bool = False
    face_index: int = 0
    batch: int = 8
    device: str = "auto"
    precision: Precision = "auto"


@dataclass(frozen=True, kw_only=True, eq=False)
class TranslatedFace:
    """One face translated: the files written, and where the face is in the upright photo."""

    photo: Path
    output: Path
    comparison: Path
    pasted: Path | None
    face: Face
    quad: Floats

    def to_json(self) -> dict[str, Any]:
        return {
            **json_paths(
                photo=self.photo, output=self.output, comparison=self.comparison, pasted=self.pasted
            ),
            **place_json(self.face, self.quad),
        }


def open_translator(request: TranslateRequest) -> Translator:
    """Load the student, and cut out the face of the style image where it takes one.

    Raises DistillError for what does not fit, see `make_translator`.
    """
    student = load_student(request.model, device=request.device, precision=request.precision)
    return make_translator(student, style=request.style, size=request.size, batch=request.batch)


def translate_photos(
    request: TranslateRequest,
    files: Sequence[Path],
    translate: Translator,
    *,
    advance: Callable[[int], object] = lambda photos: None,
) -> PhotoResults[TranslatedFace]:
    """Translate the faces of `files` into `request.out`; `advance` hears of photos done.

    Written are NAME.png, compare/NAME.png (inputs | output), with `paste_back` also pasted/STEM.png (the photo with
    all its translated faces), and last sheet.png. Raises DiskFull, and DistillError where `out` cannot be written or
    a photo would be replaced.
    """
    detector = photo_detector(all_faces=request.all_faces or request.face_index > 0)
    landmarks_sha256 = detector.landmarks_sha256  # a missing model shows before the first photo
    out = request.out
    for folder in _folders(request):
        check_outputs(files, folder)
    make_folder(out)
    sheet = ContactSheet([*translate.roles, "output"])
    cuts = cut_photos(
        files,
        detector,
        size=translate.size,
        all_faces=request.all_faces,
        face_index=request.face_index,
        reserved=[SHEET],
    )
    results = collect(_translated(cuts, request, translate, sheet), advance)
    if sheet.count:
        write_png(out / f"{SHEET}.png", sheet.draw())
    return PhotoResults(photos=len(files), results=results, landmarks_sha256=landmarks_sha256)


def translation_json(
    request: TranslateRequest, translate: Translator, found: PhotoResults[TranslatedFace]
) -> dict[str, Any]:
    """Return what translated and what came of it, as plain values."""
    student = translate.student
    return {
        **json_paths(model=student.path, sheet=request.out / f"{SHEET}.png" if found.done else None),
        "facts": asdict(student.facts),
        "inputs": translate.roles,
        "size": translate.size,
        "device": student.device.type,
        "precision": student.precision,
        **found.to_json("translated"),
    }


def _folders(request: TranslateRequest) -> list[Path]:
    pasted = [request.out / PASTED] if request.paste_back else []
    return [request.out, request.out / COMPARE, *pasted]


def _translated(
    cuts: Iterator[PhotoCuts],
    request: TranslateRequest,
    translate: Translator,
    sheet: ContactSheet,
) -> Iterator[list[TranslatedFace | SkippedPhoto]]:
    """Yield what came of each photo, in order."""
    for several in _gathered(cuts, translate.batch):
        faces = iter(
            translate([cut.pixels for found in several for cut in found if isinstance(cut, FaceCut)])
        )
        for found in several:
            edited = {cut.name: next(faces) for cut in found if isinstance(cut, FaceCut)}
            for folder in _folders(request) if edited else []:
                make_folder(folder)
            pasted = _paste(found, edited, request.out) if request.paste_back and edited else None
            yield [
                _write(cut, edited[cut.name], translate, request.out, pasted, sheet)
                if isinstance(cut, FaceCut)
                else cut
                for cut in found
            ]


def _gathered(photos: Iterator[PhotoCuts], batch: int) -> Iterator[list[PhotoCuts]]:
    """Gather photos until they fill a batch or hold much memory."""
    waiting: list[PhotoCuts] = []
    faces = pixels = 0
    for found in photos:
        waiting.append(found)
        cuts = [cut for cut in found if isinstance(cut, FaceCut)]
        faces += len(cuts)
        pixels += cuts[0].image.size // 3 if cuts else 0
        if faces >= batch or pixels >= MOST_WAITING or not faces:
            yield waiting
            waiting, faces, pixels = [], 0, 0
    if waiting:
        yield waiting


def _write(
    cut: FaceCut, edited: Pixels, translate: Translator, out: Path, pasted: Path | None, sheet: ContactSheet
) -> TranslatedFace:
    output, comparison = out / f"{cut.name}.png", out / COMPARE / f"{cut.name}.png"
    tiles = [*translate.inputs(cut.pixels), edited]
    write_png(output, edited)
    write_png(comparison, side_by_side(tiles))
    sheet.add(cut.name, tiles)
    return TranslatedFace(
        photo=cut.photo, output=output, comparison=comparison, pasted=pasted, face=cut.face, quad=cut.quad
    )


def _paste(found: PhotoCuts, edited: dict[str, Pixels], out: Path) -> Path:
    """Write one photo with all its edits."""
    cuts = [cut for cut in found if isinstance(cut, FaceCut)]
    path = out / PASTED / f"{cuts[0].stem}.png"
    write_png(
        path, paste_back(cuts[0].image, [FaceEdit(quad=cut.quad, pixels=edited[cut.name]) for cut in cuts])
    )
    return path
