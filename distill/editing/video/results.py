"""What came of videos, in words and as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.faces.photo_results import SkippedPhoto, count_reasons, json_paths, reason_counts
from distill.files import path_text
from distill.progress import plural
from distill.timing import clock


@dataclass(frozen=True, kw_only=True)
class TranslatedVideo:
    """One video translated: `with_faces` of its `frames` show a face, `people` tracks of faces in all.

    `notes` tell what else became of it. `searched` px is the side of the smallest face that was looked for.
    """

    photo: Path
    output: Path
    frames: int
    with_faces: int
    people: int
    searched: int
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Frames a second, over both passes."""
        return self.frames / max(self.seconds, 1e-9)

    def to_json(self) -> dict[str, Any]:
        return {
            **json_paths(video=self.photo, output=self.output),
            "frames": self.frames,
            "frames_with_faces": self.with_faces,
            "faces": self.people,
            "searched": self.searched,
            "seconds": round(self.seconds, 2),
            "frames_per_second": round(self.rate, 2),
            "notes": list(self.notes),
        }

    def lines(self) -> Iterator[str]:
        without = self.frames - self.with_faces
        yield (
            f"translated {path_text(self.photo)}: {plural(self.with_faces, 'frame')} with a face, {without} without"
            f" ({plural(self.people, 'face')} followed), in {clock(self.seconds)},"
            f" {self.rate:.1f} frames/s, into {path_text(self.output)}"
        )
        for note in self.notes:
            yield f"  {note}"


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoResults:
    """Everything that came of videos, in their order; `replaced` were there from an earlier run."""

    results: Sequence[TranslatedVideo | SkippedPhoto] = ()
    replaced: int = 0

    @property
    def done(self) -> list[TranslatedVideo]:
        return [result for result in self.results if isinstance(result, TranslatedVideo)]

    @property
    def skipped(self) -> list[SkippedPhoto]:
        return [result for result in self.results if isinstance(result, SkippedPhoto)]

    def to_json(self) -> dict[str, Any]:
        return {
            "translated": len(self.done),
            "skipped": count_reasons(self.skipped),
            "replaced": self.replaced,
            "results": [
                result.to_json(kind="video") if isinstance(result, SkippedPhoto) else result.to_json()
                for result in self.results
            ],
        }

    def lines(self) -> Iterator[str]:
        """What must be known of the results, each video and each that was skipped."""
        for video in self.done:
            yield from video.lines()
        if self.replaced:
            yield f"replaced {plural(self.replaced, 'video')} of an earlier run"
        if self.skipped:
            yield f"skipped {plural(len(self.skipped), 'video')}: {reason_counts(self.skipped)}"
        for skip in self.skipped:
            yield f"  {skip.reason}: {path_text(skip.photo)} ({path_text(skip.detail)})"
