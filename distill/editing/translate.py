"""Use a student on a person's own photos: photo → aligned face → student → picture, and back into the photo.

cut_photos ─► Translator (batches) ─► NAME.png, compare/NAME.png, strip/NAME.png ─► paste_back ─► pasted/STEM.png
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from distill.devices import Precision, usable_cores
from distill.editing.pictures import TILE, ContactSheet, labelled, scaled
from distill.editing.strip import check_strips
from distill.editing.translator import Translator, make_translator
from distill.errors import DistillError
from distill.faces.alignment import Floats, Pixels
from distill.faces.decode import PhotoError
from distill.faces.detection import Face
from distill.faces.find import FoundPhotos, check_outputs
from distill.faces.original import paste_into
from distill.faces.outputs import COMPARE, PASTED, SHEET, STRIP, OutputFolder
from distill.faces.paste import FaceEdit
from distill.faces.photo_results import PhotoResults, SkippedPhoto, collect, json_paths, place_json
from distill.faces.photos import FaceCut, PhotoCuts, cut_middles, cut_photos, photo_detector
from distill.networks.student import NormStatistics, load_student
from distill.pixels import Mark
from distill.progress import plural

MOST_THREADS, PHOTOS_A_THREAD = 8, 4  # a detector takes as long to open as a photo or two to search
MOST_WAITING = 200_000_000  # pixels of photos held at a time


@dataclass(frozen=True, kw_only=True)
class TranslateRequest:
    """Which faces go through which student; `photos` are files and folders, see `find_photos`.

    `size` None is what the student was trained at, else 256 px. `batch` faces go through at a time. `align` "none"
    looks for no face: the middle of each picture goes in, as of drawings. `reverse`: of a run of a CycleGAN,
    from the second domain to the first. `edit`: of a student that makes several changes, which one. `strip`: a row of
    each face beside it, NAME=FROM:TO:COUNT. `mark`: whether pictures say what drew them.
    """

    photos: tuple[Path, ...]
    model: Path
    out: Path
    style: Path | None = None
    size: int | None = None
    align: Literal["ffhq", "none"] = "ffhq"
    paste_back: bool = False
    all_faces: bool = False
    face_index: int = 0
    batch: int = 8
    device: str = "auto"
    precision: Precision = "auto"
    norm_statistics: NormStatistics = "running"
    reverse: bool = False
    edit: str | None = None
    strip: str | None = None
    mark: bool = True


@dataclass(frozen=True, kw_only=True)
class PastedPhoto:
    """A photo written with its faces translated; `changes` are what else became of it, as "8 bits a channel"."""

    path: Path
    changes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class TranslatedFace:
    """One face translated: the files written, and where the face is in the upright photo.

    All faces of at least `searched` px were looked for, where all were asked for.
    """

    photo: Path
    output: Path
    comparison: Path
    strip: Path | None
    pasted: PastedPhoto | None
    face: Face
    quad: Floats
    searched: int

    def to_json(self) -> dict[str, Any]:
        return {
            **json_paths(
                photo=self.photo,
                output=self.output,
                comparison=self.comparison,
                **({"strip": self.strip} if self.strip else {}),
                pasted=self.pasted.path if self.pasted else None,
            ),
            "pasted_changes": list(self.pasted.changes) if self.pasted else None,
            **place_json(self.face, self.quad),
        }


def change_lines(faces: Sequence[TranslatedFace]) -> list[str]:
    """Say what else changed in photos that were pasted into."""
    changes = {face.pasted.path: face.pasted.changes for face in faces if face.pasted}
    counts = Counter(change for several in changes.values() for change in several)
    return [f"{change} now in {plural(count, 'pasted photo')}" for change, count in counts.items()]


def open_translator(request: TranslateRequest) -> Translator:
    """Load the student, and cut out the face of the style image where it takes one.

    Raises DistillError for what does not fit, see `make_translator`.
    """
    if request.strip and request.edit is None:
        check_strips(request.model)
    student = load_student(
        request.model,
        device=request.device,
        precision=request.precision,
        norm_statistics=request.norm_statistics,
        reverse=request.reverse,
        edit=request.edit,
    )
    ready = make_translator(
        student,
        style=request.style,
        size=request.size,
        batch=request.batch,
        whole=request.align == "none",
        strip=request.strip,
    )
    if request.paste_back and ready.width:
        raise DistillError(f"{student.name}: only squares are pasted back: leave out --paste-back")
    return ready


def mark_of(request: TranslateRequest, translate: Translator) -> Mark | None:
    """Return the note that outputs carry, where it is wanted."""
    return Mark(by=translate.student.credit) if request.mark else None


def translate_photos(
    request: TranslateRequest,
    found: FoundPhotos,
    translate: Translator,
    *,
    advance: Callable[[int], object] = lambda photos: None,
) -> PhotoResults[TranslatedFace]:
    """Translate the faces of photos into `request.out`; `advance` hears of photos done.

    Written are NAME.png, compare/NAME.png (inputs | output), with `paste_back` also pasted/STEM.png (the photo with
    all its translated faces), and last sheet.png. Raises DiskFull, and DistillError where `out` cannot be written or
    a photo would be replaced. Of a strip also strip/NAME.png, and the sheet shows them; an edit stands below them.
    """
    detector = photo_detector(all_faces=request.all_faces or request.face_index > 0)
    # A missing model shows before the first photo.
    landmarks_sha256 = "" if request.align == "none" else detector.landmarks_sha256
    for folder in _folders(request):
        check_outputs(found.files, folder)
    along = translate.along
    sheet = ContactSheet([*translate.roles, *(along.captions if along else ["output"])])
    with OutputFolder(request.out, "translate", mark_of(request, translate)) as outputs:
        stems = outputs.stems(found.files, sheet=True)
        cuts = cut_middles(found.files, sides=translate.sides, stems=stems)
        if request.align != "none":
            cuts = cut_photos(
                found.files,
                detector,
                size=translate.size,
                all_faces=request.all_faces,
                face_index=request.face_index,
                stems=stems,
                threads=min(usable_cores(), MOST_THREADS, len(found.files) // PHOTOS_A_THREAD),
            )
        writer = _Writer(outputs=outputs, translate=translate, sheet=sheet, paste=request.paste_back)
        results = collect(_translated(cuts, writer), advance, outputs.earlier)
        if sheet.count:
            outputs.write(sheet.draw(translate.student.edit), SHEET)
    return PhotoResults(
        photos=len(found.files),
        results=[*found.left_out, *results],
        landmarks_sha256=landmarks_sha256,
        replaced=outputs.replaced,
        noun="face" if request.align == "ffhq" else "picture",
    )


def translation_json(
    request: TranslateRequest, translate: Translator, found: PhotoResults[TranslatedFace]
) -> dict[str, Any]:
    """Return what translated and what came of it, as plain values."""
    student = translate.student
    return {
        **json_paths(model=student.path, sheet=request.out / f"{SHEET}.png" if found.done else None),
        "facts": asdict(student.facts),
        **({"edit": student.edit} if student.edit else {}),
        "inputs": translate.roles,
        "size": translate.size,
        **({"width": translate.width} if translate.width else {}),
        "device": student.device.type,
        "precision": student.precision,
        **found.to_json("translated"),
    }


def _folders(request: TranslateRequest) -> list[Path]:
    more = [*([PASTED] if request.paste_back else []), *([STRIP] if request.strip else [])]
    return [request.out, *(request.out / name for name in (COMPARE, *more))]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Writer:
    """What writing the pictures of a face needs."""

    outputs: OutputFolder
    translate: Translator
    sheet: ContactSheet
    paste: bool

    def write(
        self, found: PhotoCuts, edited: dict[str, Pixels], strips: dict[str, list[Pixels]]
    ) -> list[TranslatedFace | SkippedPhoto]:
        """Write what came of one photo; `edited` and `strips` by the names of its cuts."""
        pasted, gone = None, []
        try:
            pasted = self._paste(found, edited) if self.paste and edited else None
        except PhotoError as error:  # its file went while it was worked on
            gone = [SkippedPhoto.of(error)]
        done = [
            self._face(cut, edited[cut.name], strips[cut.name], pasted) if isinstance(cut, FaceCut) else cut
            for cut in found
        ]
        return done + gone

    def _face(
        self, cut: FaceCut, edited: Pixels, strip: list[Pixels], pasted: PastedPhoto | None
    ) -> TranslatedFace:
        inputs, roles = self.translate.inputs(cut.pixels), self.translate.roles
        output = self.outputs.write(edited, cut.name)
        row = labelled([*inputs, edited], [*roles, "output"])
        comparison = self.outputs.write(row, cut.name, below=COMPARE)
        along = self._strip(cut.name, [*inputs, *strip]) if strip else None
        self.sheet.add(cut.name, [*inputs, *(strip or [edited])])
        return TranslatedFace(
            photo=cut.photo,
            output=output,
            comparison=comparison,
            strip=along,
            pasted=pasted,
            face=cut.face,
            quad=cut.quad,
            searched=cut.searched,
        )

    def _strip(self, name: str, tiles: list[Pixels]) -> Path:
        """Write the face and what became of it by each change, large enough for their captions."""
        side = max(TILE, *tiles[0].shape[:2])
        row = labelled([scaled(tile, side) for tile in tiles], self.sheet.roles)
        return self.outputs.write(row, name, below=STRIP)

    def _paste(self, found: PhotoCuts, edited: dict[str, Pixels]) -> PastedPhoto:
        """Write one photo with all its edits. Raises PhotoError where its file is gone."""
        cuts = [cut for cut in found if isinstance(cut, FaceCut)]
        edits = [FaceEdit(quad=cut.quad, pixels=edited[cut.name]) for cut in cuts]
        data, changes = paste_into(cuts[0].photo, cuts[0].image, edits, self.outputs.mark)
        return PastedPhoto(path=self.outputs.write(data, cuts[0].stem, below=PASTED), changes=changes)


def _translated(cuts: Iterator[PhotoCuts], writer: _Writer) -> Iterator[list[TranslatedFace | SkippedPhoto]]:
    """Yield what came of each photo, in order."""
    for several in _gathered(cuts, writer.translate.batch):
        cut_out = [cut.pixels for found in several for cut in found if isinstance(cut, FaceCut)]
        faces, strips = iter(writer.translate(cut_out)), iter(writer.translate.strips(cut_out))
        for found in several:
            names = [cut.name for cut in found if isinstance(cut, FaceCut)]
            yield writer.write(
                found, {name: next(faces) for name in names}, {name: next(strips) for name in names}
            )


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
