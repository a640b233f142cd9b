"""Own photos, each beside itself edited as a generator edits: pairs for a student that will see photographs.

find_latents ─► PhotoEditor ─► one face is seen in it ─► source/NAME.png, target/NAME.png, sheet
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill.attributes.open import BUILTIN, open_scorer
from distill.attributes.protocol import ChipScorer
from distill.devices import resolve_device
from distill.directions.file import Direction, read_direction
from distill.editing.embedding import usual_space
from distill.editing.folder_settings import MARKS, NAMES, FolderSettings
from distill.editing.own_latents import (
    PROJECTIONS,
    OpenProgress,
    OwnLatents,
    OwnPhotos,
    aligned_photo,
    find_latents,
    quiet,
)
from distill.editing.photo_pairs_result import SOURCE, TARGET, DroppedPhoto, KeptPair, PhotoPairsResult
from distill.editing.pictures import MOST, ContactSheet
from distill.editing.project import generator_mark
from distill.editing.transfer import (
    FARTHEST,
    AskedChange,
    EditedPhoto,
    NotKept,
    PhotoEditor,
    Pixels,
    asked_change,
)
from distill.errors import DistillError
from distill.faces.decode import read_photo
from distill.faces.detection import FaceDetector
from distill.faces.identity import descriptor_sha256
from distill.faces.outputs import SHEET, OutputFolder
from distill.files import path_text
from distill.pixels import Mark, encode_png
from distill.stylegan2.generator import Generator

MADE_BY = "photo-pairs"
PAIRS = FolderSettings(file=".distill-photo-pairs.json", made_by=MADE_BY, holds="pairs", inside=PROJECTIONS)


@dataclass(frozen=True, kw_only=True)
class PhotoPairsRequest:
    """Which photos change along which direction (a name or a file), and what makes a pair; see `asked_change`."""

    own: OwnPhotos
    direction: str
    strength: float | None = None
    one_way: bool = False
    min_change: float | None = None
    scorer: str = BUILTIN
    max_identity_distance: float = FARTHEST


@dataclass(frozen=True, kw_only=True, eq=False)
class PairMaker:
    """Makes a pair of an aligned photo [H, H, 3] and its latent."""

    edit: PhotoEditor
    detector: FaceDetector

    def __call__(self, photo: Pixels, ws_1LD: Any) -> EditedPhoto:
        """Edit it. Raises NotKept."""
        faces = self.detector(photo)
        if not faces:
            raise NotKept("no face in the crop")
        edited = self.edit(photo, ws_1LD, faces[0])
        if (count := len(self.detector(edited.target))) != 1:
            raise NotKept("several faces in the edited picture" if count else "no face in the edited picture")
        return edited


def make_photo_pairs(
    request: PhotoPairsRequest, steps: OpenProgress = quiet, photos: OpenProgress = quiet
) -> PhotoPairsResult:
    """Make a pair of each photo that changes as asked. Names that are there are left alone.

    `steps` and `photos` open what shows the steps of projecting, and the photos done. Raises as `find_latents`, and
    DistillError for a direction, a scorer or numbers that do not fit, and a folder of other settings.
    """
    own = request.own
    if own.projections is not None and own.space is not None:
        raise DistillError(
            f"--space {own.space}: {own.projections} has its latents already: leave one of them out"
        )
    direction = read_direction(request.direction, generator=own.generator)
    scorer = open_scorer(request.scorer, direction.attribute, resolve_device(own.device))
    change = asked_change(
        direction.attribute,
        scorer.kinds[direction.attribute],
        strength=request.strength,
        least=request.min_change,
        one_way=request.one_way,
    )
    settings: dict[str, Any] = {}

    def check(generator: Generator) -> None:
        direction.check_fits(
            num_ws=generator.num_ws, w_dim=generator.w_dim, generator_sha256=generator.sha256
        )
        settings.update(_settings(request, generator, direction, change, scorer))
        _check_folder(own.out, settings)

    found = find_latents(own, steps, check)
    edit = PhotoEditor(
        generator=found.generator,
        vector=direction.vector,
        change=change,
        scorer=scorer,
        farthest=request.max_identity_distance,
    )
    return _made(request, found, PairMaker(edit=edit, detector=FaceDetector()), settings, photos)


def _settings(
    request: PhotoPairsRequest,
    generator: Generator,
    direction: Direction,
    change: AskedChange,
    scorer: ChipScorer,
) -> dict[str, Any]:
    """What every pair of a folder depends on."""
    own = request.own
    space = own.space or usual_space(generator)
    return {
        "generator_sha256": generator.sha256,
        "direction_sha256": direction.sha256,
        "strength": change.strength,
        "one_way": change.one_way,
        "min_change": change.least,
        "max_identity_distance": request.max_identity_distance,
        "scorer_sha256": scorer.sha256,
        "space": space if own.projections is None else f"that of {os.path.realpath(own.projections)}",
        "landmarks_sha256": FaceDetector().landmarks_sha256,
        "descriptor_sha256": descriptor_sha256(),
        "mark": MARKS[own.mark],
        NAMES: {
            "generator_sha256": path_text(own.generator),
            "direction_sha256": direction.name,
            "scorer_sha256": path_text(Path(request.scorer).name),
        },
    }


def _check_folder(out: Path, settings: Mapping[str, Any]) -> None:
    """Raise DistillError for a folder of something else, or of pairs made with other settings."""
    if (before := PAIRS.kept(out)) is not None:
        PAIRS.check(out, before, settings)


def _made(
    request: PhotoPairsRequest,
    found: OwnLatents,
    make: PairMaker,
    settings: Mapping[str, Any],
    photos: OpenProgress,
) -> PhotoPairsResult:
    """Make and write the pairs of these photos that are not there yet, and a sheet of all in the folder."""
    out, mark = request.own.out, generator_mark(request.own, found.generator)
    kept: list[KeptPair] = []
    already: list[str] = []
    dropped: dict[str, DroppedPhoto] = {}
    with OutputFolder(out, MADE_BY, mark) as outputs, photos(len(found.names)) as progress:
        _check_folder(out, settings)  # again: another run may have begun it meanwhile
        outputs.reserve([SHEET, *found.names])
        there = set(_pairs_in(out))
        for name, ws_LD in zip(found.names, found.ws, strict=True):
            if name in there:
                already.append(name)
                progress.skip(1)
                continue
            photo = aligned_photo(request.own, name, found.generator.resolution)
            try:
                edited = make(photo, ws_LD[None])
            except NotKept as reason:
                dropped[name] = DroppedPhoto(reason=str(reason), before=reason.before, after=reason.after)
            else:
                PAIRS.write(outputs, settings)
                _write(outputs, name, photo, edited.target, mark)
                kept.append(
                    KeptPair(name=name, before=edited.before, after=edited.after, identity=edited.identity)
                )
            progress.advance(1)
        in_folder = _pairs_in(out)
        if kept or (in_folder and not (out / f"{SHEET}.png").exists()):
            outputs.write(_sheet(out, in_folder), SHEET)
    return PhotoPairsResult(
        out=out,
        in_folder=len(in_folder),
        change=make.edit.change,
        kept=kept,
        already=already,
        dropped=dropped,
        skipped=found.skipped,
    )


def _write(outputs: OutputFolder, name: str, photo: Pixels, target: Pixels, mark: Mark | None) -> None:
    """Write a pair; the target says that a part of it is drawn, the source is a photograph."""
    outputs.write(encode_png(photo), name, below=SOURCE)
    outputs.write(encode_png(target, replace(mark, partly=True) if mark else None), name, below=TARGET)


def _pairs_in(out: Path) -> list[str]:
    """Return the names of the pairs in a folder; an empty file is none."""
    sources = sorted((out / SOURCE).glob("*.png"))
    both = ((path, out / TARGET / path.name) for path in sources)
    return [
        path.stem
        for path, target in both
        if path.stat().st_size and target.is_file() and target.stat().st_size
    ]


def _sheet(out: Path, names: Sequence[str]) -> Pixels:
    """Draw the first pairs."""
    sheet = ContactSheet(["photo", "edited"])
    for name in names[:MOST]:
        sheet.add(name, [read_photo(out / role / f"{name}.png") for role in (SOURCE, TARGET)])
    return sheet.draw(f"and {more} more" if (more := len(names) - MOST) > 0 else "")
