"""Own photos, each beside itself edited as a generator edits: pairs for a student that will see photographs.

find_latents ─► PhotoEditor ─► one face is seen in it ─► source/NAME.png, target/NAME.png, sheet
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from distill.attributes.open import BUILTIN, open_scorer
from distill.attributes.protocol import ChipScorer
from distill.devices import resolve_device
from distill.directions.file import Direction, read_direction
from distill.editing.embedding import usual_space
from distill.editing.own_latents import (
    PROJECTIONS,
    OpenProgress,
    OwnLatents,
    OwnPhotos,
    aligned_photo,
    find_latents,
    quiet,
)
from distill.editing.pictures import MOST, ContactSheet
from distill.editing.project import generator_mark
from distill.editing.project_folder import FolderSettings
from distill.editing.transfer import (
    FARTHEST,
    AskedChange,
    EditedPhoto,
    NotKept,
    PhotoEditor,
    Pixels,
    asked_change,
)
from distill.errors import DistillError, NothingWorked
from distill.faces.decode import read_photo
from distill.faces.detection import FaceDetector
from distill.faces.identity import descriptor_sha256
from distill.faces.outputs import SHEET, OutputFolder
from distill.faces.photo_results import SkippedPhoto, json_paths
from distill.pixels import Mark, encode_png
from distill.progress import command_text, plural
from distill.stylegan2.generator import Generator

MADE_BY = "photo-pairs"
SOURCE, TARGET = "source", "target"  # roles, and the folders below the output
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


@dataclass(frozen=True, kw_only=True)
class KeptPair:
    """The score of a photo and of its target, and the distance of their faces' descriptors."""

    name: str
    before: float
    after: float
    identity: float

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "before": self.before, "after": self.after, "identity": self.identity}


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoPairsResult:
    """What came of the photos: pairs made now and there `already`, those dropped with the reason, and the skipped."""

    out: Path
    attribute: str
    kept: Sequence[KeptPair]
    already: Sequence[str]
    dropped: Mapping[str, str]
    skipped: Sequence[SkippedPhoto]

    @property
    def pairs(self) -> int:
        return len(self.kept) + len(self.already)

    def to_json(self) -> dict[str, Any]:
        sheet = self.out / f"{SHEET}.png" if self.pairs else None
        return {
            **json_paths(out=self.out, sheet=sheet),
            "attribute": self.attribute,
            "pairs": [pair.to_json() for pair in self.kept],
            "there_already": list(self.already),
            "dropped": dict(self.dropped),
            "skipped": [skip.to_json() for skip in self.skipped],
            "next": self.commands(),
        }

    def lines(self) -> list[str]:
        """Say how many pairs there are, what they are like, and why the others are none."""
        photos = self.pairs + len(self.dropped)
        told = [f"{plural(self.pairs, 'pair')} of {plural(photos, 'photo')} in {self.out}"]
        if self.already:
            told[0] += f", {len(self.already)} of them there already"
        if self.kept:
            moved = mean(abs(pair.after - pair.before) for pair in self.kept)
            far = mean(pair.identity for pair in self.kept)
            told.append(f"{self.attribute} changes by {moved:.3g}, identity distance {far:.2f} (means)")
        reasons = Counter(self.dropped.values()).most_common()
        if reasons:
            told.append("dropped " + ", ".join(f"{count}: {reason}" for reason, count in reasons))
        return told

    def next_lines(self) -> list[str]:
        """Say how to train on the pairs."""
        return ["then:", *(f"  {command}" for command in self.commands())] if self.pairs else []

    def commands(self) -> list[str]:
        """The next two commands: the pairs as a data set, and a student that goes on learning from it."""
        data = self.out.with_name(f"{self.out.name}-set")
        roles = ("--inputs", SOURCE, "--target", TARGET)
        first = ("--init", "runs/first/student.safetensors", "--augment", "flip,colour,sharpness")
        return [
            command_text("distill", "import", self.out, "--from", "folders", *roles, "--out", data),
            command_text(
                "distill", "train-pix2pix", "--data", data, *first, "--out", f"runs/{self.out.name}"
            ),
        ]

    def check(self) -> None:
        """Raise NothingWorked where there is no pair."""
        if not self.pairs:
            raise NothingWorked(f"none of {plural(len(self.dropped), 'photo')} gave a pair")


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
    """Make and write the pairs of these photos that are not there yet, and a sheet of them."""
    out, mark = request.own.out, generator_mark(request.own, found.generator)
    kept: list[KeptPair] = []
    already: list[str] = []
    dropped: dict[str, str] = {}
    with OutputFolder(out, MADE_BY, mark) as outputs, photos(len(found.names)) as progress:
        _check_folder(out, settings)  # again: another run may have begun it meanwhile
        outputs.reserve([SHEET, *found.names])
        for name, ws_LD in zip(found.names, found.ws, strict=True):
            if all((out / role / f"{name}.png").is_file() for role in (SOURCE, TARGET)):
                already.append(name)
                progress.skip(1)
                continue
            photo = aligned_photo(request.own, name, found.generator.resolution)
            try:
                edited = make(photo, ws_LD[None])
            except NotKept as reason:
                dropped[name] = str(reason)
            else:
                PAIRS.write(outputs, settings)
                _write(outputs, name, photo, edited.target, mark)
                kept.append(
                    KeptPair(name=name, before=edited.before, after=edited.after, identity=edited.identity)
                )
            progress.advance(1)
        there = [name for name in found.names if name not in dropped]
        if kept or (there and not (out / f"{SHEET}.png").exists()):
            outputs.write(_sheet(out, there), SHEET)
    return PhotoPairsResult(
        out=out,
        attribute=make.edit.change.attribute,
        kept=kept,
        already=already,
        dropped=dropped,
        skipped=found.skipped,
    )


def _write(outputs: OutputFolder, name: str, photo: Pixels, target: Pixels, mark: Mark | None) -> None:
    """Write a pair; the target says that a part of it is drawn, the source is a photograph."""
    outputs.write(encode_png(photo), name, below=SOURCE)
    outputs.write(encode_png(target, replace(mark, partly=True) if mark else None), name, below=TARGET)


def _sheet(out: Path, names: Sequence[str]) -> Pixels:
    """Draw the first pairs."""
    sheet = ContactSheet(["photo", "edited"])
    for name in names[:MOST]:
        sheet.add(name, [read_photo(out / role / f"{name}.png") for role in (SOURCE, TARGET)])
    return sheet.draw(f"and {more} more" if (more := len(names) - MOST) > 0 else "")
