"""What came of photo pairs: counts, the next commands, and everything as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from distill.editing.transfer import NOT_AS_ASKED, AskedChange
from distill.errors import NothingWorked
from distill.faces.outputs import SHEET
from distill.faces.photo_results import SkippedPhoto, json_paths
from distill.progress import command_text, plural

SOURCE, TARGET = "source", "target"  # roles, and the folders below the output


@dataclass(frozen=True, kw_only=True)
class KeptPair:
    """The score of a photo and of its target, and the distance of their faces' descriptors."""

    name: str
    before: float
    after: float
    identity: float


@dataclass(frozen=True, kw_only=True)
class DroppedPhoto:
    """Why a photo gave no pair, and its score before and after the edit, where that was scored."""

    reason: str
    before: float | None
    after: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoPairsResult:
    """What came of the photos: pairs made now and there `already`, those dropped with the reason, and the skipped.

    `in_folder`: all pairs there, of other photos too.
    """

    out: Path
    in_folder: int
    change: AskedChange
    kept: Sequence[KeptPair]
    already: Sequence[str]
    dropped: Mapping[str, DroppedPhoto]
    skipped: Sequence[SkippedPhoto]

    @property
    def pairs(self) -> int:
        return len(self.kept) + len(self.already)

    def to_json(self) -> dict[str, Any]:
        sheet = self.out / f"{SHEET}.png" if self.pairs else None
        return {
            **json_paths(out=self.out, sheet=sheet),
            "attribute": self.change.attribute,
            "in_folder": self.in_folder,
            "pairs": [asdict(pair) for pair in self.kept],
            "there_already": list(self.already),
            "dropped": {name: asdict(photo) for name, photo in self.dropped.items()},
            "skipped": [skip.to_json() for skip in self.skipped],
            "next": self.commands(),
        }

    def lines(self) -> list[str]:
        """Say how many pairs there are, what they are like, and why the others are none."""
        photos = self.pairs + len(self.dropped)
        told = [f"{plural(self.pairs, 'pair')} of {plural(photos, 'photo')} in {self.out}"]
        if self.already:
            told[0] += f", {len(self.already)} of them there already"
        if self.in_folder > self.pairs:
            told[0] += f"; with those of other photos {self.in_folder}"
        if self.kept:
            moved = mean(abs(pair.after - pair.before) for pair in self.kept)
            far = mean(pair.identity for pair in self.kept)
            told.append(
                f"{self.change.attribute} changes by {moved:.3g}, identity distance {far:.2f} (means)"
            )
        reasons = Counter(photo.reason for photo in self.dropped.values()).most_common()
        if reasons:
            told.append(
                "dropped " + ", ".join(f"{count}: {reason}{self._short(reason)}" for reason, count in reasons)
            )
        return told

    def _short(self, reason: str) -> str:
        """Say how far the edits went that are not as asked; "" for another reason."""
        scores = [
            (photo.before, photo.after)
            for photo in self.dropped.values()
            if photo.reason == reason == NOT_AS_ASKED and photo.before is not None and photo.after is not None
        ]
        return f" ({self.change.short(scores)})" if scores else ""

    def next_lines(self) -> list[str]:
        """Say how to train on the pairs."""
        if not self.pairs:
            return []
        commands = [f"  {command}" for command in self.commands()]
        return [
            "then:",
            *commands,
            "with few pairs add --init and a student to go on from, by its file or name",
        ]

    def commands(self) -> list[str]:
        """The next two commands: the pairs as a data set, and a student of it."""
        data = self.out.with_name(f"{self.out.name}-set")
        roles = ("--inputs", SOURCE, "--target", TARGET)
        first = ("--preset", "demo", "--augment", "flip,colour,sharpness")
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
