"""What a comparison writes: comparison.md, comparison.json, sheet.png and ab.html."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill.attributes.judge import Judge
from distill.editing.pictures import grid_sheet
from distill.evaluation.comparison.ab import ShownPhoto, ab_page
from distill.evaluation.comparison.edits import AskedEdit
from distill.evaluation.comparison.methods import ComparedMethod
from distill.evaluation.comparison.photo_list import LIST, FrozenFace, FrozenPhotos
from distill.evaluation.comparison.rows import ComparedRow
from distill.evaluation.comparison.table import (
    columns_of,
    comparison_table,
    fewer_note,
    legend,
    subset_note,
)
from distill.evaluation.faces import judge_note, share_note
from distill.evaluation.report import page
from distill.evaluation.student_scores import evenly
from distill.faces.alignment import Pixels
from distill.faces.decode import read_photo
from distill.faces.outputs import OutputFolder
from distill.pixels import encode_png
from distill.progress import plural

MADE_BY = "compare"
TABLE, FACTS, SHEET, AB = "comparison.md", "comparison.json", "sheet.png", "ab.html"
FILES = (LIST, TABLE, FACTS, SHEET, AB)
ON_SHEET = 12  # faces
PHOTOGRAPHS = "photographs"  # the line that says how many


@dataclass(frozen=True, kw_only=True, eq=False)
class MethodResult:
    """A method, its row, and its pictures by the name of the photograph."""

    method: ComparedMethod
    row: ComparedRow
    pictures: Mapping[str, Path]


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparisonReport:
    """Everything that was found; the first of `results` is the copy of the input."""

    comparison: Mapping[str, Any]
    head: Sequence[tuple[str, str]]
    edit: AskedEdit
    photos: FrozenPhotos
    results: Sequence[MethodResult]
    between: ComparedRow
    judge: Judge
    features: str
    perceptual: str
    seed: int
    in_page: int

    @property
    def rows(self) -> list[ComparedRow]:
        copied, *others = [result.row for result in self.results]
        return [copied, self.between, *others]

    def table(self) -> str:
        kinds, most = self.judge.scorer.kinds, len(self.photos.faces)
        columns = columns_of(self.edit, kinds, self.features, self.perceptual, most)
        counted = f"{len(self.photos.faces)} edited, {len(self.photos.real)} real ones of the target"
        head = [(name, f"{value}: {counted}" if name == PHOTOGRAPHS else value) for name, value in self.head]
        return page("Comparison", head, [comparison_table(self.rows, columns)], self.notes())

    def notes(self) -> list[str]:
        """What a reader must know of the numbers."""
        most = len(self.photos.faces)
        left_out = [
            f"{plural(count, 'photograph')} left out: {why}" for why, count in self.photos.left_out.items()
        ]
        return [
            *legend(
                self.edit,
                self.judge.scorer.kinds,
                features=self.features,
                perceptual=self.perceptual,
                judge=self.judge.name,
                real=len(self.photos.real),
            ),
            subset_note(self.rows),
            *fewer_note(self.rows, most),
            share_note(most),
            *(f"{result.row.name}: {note}" for result in self.results for note in result.method.notes),
            *self._judged(),
            *self._scaled(),
            *self._timed(),
            *self._trained(),
            *left_out,
        ]

    def _judged(self) -> list[str]:
        """Of each student, whether the scorer also selected its data."""
        by_note: dict[str, list[str]] = {}
        for result in self.results:
            if result.method.kind == "student":
                by_note.setdefault(judge_note(self.judge, result.method.selected_by), []).append(
                    result.row.name
                )
        return [f"{', '.join(names)}: {note}" for note, names in by_note.items()]

    def _scaled(self) -> list[str]:
        sizes = {result.row.name: result.method.facts.get("size") for result in self.results}
        return [
            f"{name} works at {size} px: its pictures are scaled to {self.photos.size} px, which moves the distances"
            for name, size in sizes.items()
            if size not in (None, self.photos.size)
        ]

    def _timed(self) -> list[str]:
        by_how: dict[str, list[str]] = {}
        for result in self.results:
            if result.row.time.milliseconds is not None:
                by_how.setdefault(result.row.time.how, []).append(result.row.name)
        return [f"Timed without alignment: {', '.join(names)}: {how}." for how, names in by_how.items()]

    def _trained(self) -> list[str]:
        if all(result.row.samples is None for result in self.results):
            return []
        return [
            "Images seen and minutes are those of the training that made the file, as it and the log beside it say;"
            " + init: what it began from (--init), where the file tells that, is not counted."
        ]

    def facts(self) -> dict[str, Any]:
        """Everything as plain values."""
        rows = {row.name: row.to_json(self.features) for row in self.rows}
        return {
            **self.comparison,
            "photos_sha256": self.photos.key,
            "faces": len(self.photos.faces),
            "real": len(self.photos.real),
            "left_out": dict(self.photos.left_out),
            "rows": rows,
            "notes": self.notes(),
        }

    def json(self) -> str:
        return json.dumps(self.facts(), indent=2, ensure_ascii=False)

    def shared(self, most: int) -> list[FrozenFace]:
        """At most this many faces that all methods edited, evenly spread."""
        faces = [
            face for face in self.photos.faces if all(face.name in result.pictures for result in self.results)
        ]
        return [faces[at] for at in evenly(len(faces), most)]

    def sheet(self) -> Pixels:
        """Draw faces by methods."""
        faces = self.shared(ON_SHEET)
        true = faces[0].truth is not None
        lines = []
        for face in faces:
            line = [read_photo(result.pictures[face.name]) for result in self.results]
            lines.append([*line, *([read_photo(face.truth)] if face.truth else [])])
        names = ["input", *(result.row.name for result in self.results[1:]), *(["truth"] if true else [])]
        return grid_sheet(np.array(lines), rows=[face.name for face in faces], columns=names)

    def ab(self) -> bytes | None:
        """Write the page for blind comparison; None for fewer than two methods."""
        compared = self.results[1:]
        if len(compared) < 2:
            return None
        photos = [
            ShownPhoto(
                name=face.name,
                photo=face.pixels(),
                outputs=[read_photo(result.pictures[face.name]) for result in compared],
            )
            for face in self.shared(self.in_page)
        ]
        hashes = [str(result.row.facts["method_sha256"]) for result in compared]
        key = hashlib.sha256("".join([*hashes, f"{self.seed} {len(photos)}"]).encode()).hexdigest()[:16]
        return ab_page(
            title=f"Blind comparison: {self.edit.wish}",
            question=f"Which picture is the better edit? It should show the same person{self.edit.of_person}.",
            key=key,
            methods=[result.row.name for result in compared],
            photos=photos,
            seed=self.seed,
        )

    def write(self, outputs: OutputFolder) -> list[Path]:
        """Write the files into the folder of the comparison; return their paths."""
        contents = {
            TABLE: self.table().encode(),
            FACTS: f"{self.json()}\n".encode(),
            SHEET: encode_png(self.sheet()),
            AB: self.ab(),
        }
        if contents[AB] is None:
            (outputs.folder / AB).unlink(missing_ok=True)
        return [outputs.write_file(data, name) for name, data in contents.items() if data is not None]
