"""Score many photographs, with what was scored so far on disk: the same call goes on where one stopped."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill.attributes.photos import Photo, ScoredPhoto, score_photos
from distill.attributes.protocol import AttributeScorer, ChipScorer
from distill.errors import Interrupted, os_error
from distill.files import append, atomic_write, read_regular
from distill.schema import parse_json


class Journal:
    """A file of one JSON line a photograph, behind a line of settings that it holds for.

    A line counts while the photograph keeps its size and time of change. Raises DistillError, DiskFull where the
    disk is full.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.head = json.dumps(settings, sort_keys=True)

    def resume(self, photos: Sequence[Photo]) -> dict[str, ScoredPhoto]:
        """Return the photographs scored before with the same settings, and keep only them in the file."""
        found, kept = {}, [self.head]
        lines = self._lines()
        by_key = {_key(photo): photo for photo in photos}
        for line in lines[1:] if lines[:1] == [self.head] else []:
            entry = _entry(line)
            if entry is not None and (photo := by_key.get(entry[0])):
                found[photo.name] = entry[1]
                kept.append(line)
        try:
            atomic_write(self.path, _text(kept))
        except OSError as error:
            raise os_error(error) from error
        return found

    def add(self, photos: Sequence[Photo], outcomes: Sequence[ScoredPhoto]) -> None:
        """Append what came of these photographs."""
        lines = [_line(photo, outcome) for photo, outcome in zip(photos, outcomes, strict=True)]
        try:
            append(self.path, _text(lines))
        except OSError as error:
            raise os_error(error) from error

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        try:
            return read_regular(self.path).decode(errors="replace").split("\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise os_error(error) from error


def score_resumably(
    photos: Sequence[Photo],
    scorer: ChipScorer,
    journal: Journal,
    *,
    workers: int,
    stop: threading.Event,
    progress: Callable[[int], None] = lambda pictures: None,
) -> list[ScoredPhoto]:
    """Return what comes of each photograph, out of the journal where it stands there, else scored and noted.

    Raises Interrupted when `stop` is set; what was scored by then is in the journal.
    """
    done = journal.resume(photos)
    progress(len(done))
    waiting = [photo for photo in photos if photo.name not in done]
    try:
        for outcomes in score_photos(waiting, scorer, workers=workers, stop=stop):
            scored, waiting = waiting[: len(outcomes)], waiting[len(outcomes) :]
            journal.add(scored, outcomes)
            done |= {outcome.name: outcome for outcome in outcomes}
            progress(len(outcomes))
    except Interrupted as error:
        raise Interrupted(
            f"interrupted after {len(done)} of {len(photos)} pictures; the same command goes on from there"
        ) from error
    return [done[photo.name] for photo in photos]


def settings_of(scorer: AttributeScorer, landmarks_sha256: str) -> dict[str, Any]:
    """Return what scores depend on besides the photograph."""
    return {"scorer": scorer.sha256, "landmarks": landmarks_sha256 if scorer.needs_face else ""}


def _key(photo: Photo) -> tuple[str, int, int]:
    return photo.name, photo.size, photo.mtime_ns


def _line(photo: Photo, outcome: ScoredPhoto) -> str:
    facts = {"faces": outcome.faces, "scores": dict(outcome.scores)}
    why = {"reason": outcome.reason, "detail": outcome.detail}
    return json.dumps({"photo": _key(photo), **facts, **why})


def _entry(line: str) -> tuple[tuple[str, int, int], ScoredPhoto] | None:
    """Read a line; None for one that was cut off."""
    try:
        values = parse_json(line)
        name, size, mtime_ns = values["photo"]
        hash((name, size, mtime_ns))  # a TypeError for lists, which are no key
        scores = {str(key): float(value) for key, value in values["scores"].items()}
        outcome = ScoredPhoto(
            name=name, faces=values["faces"], scores=scores, reason=values["reason"], detail=values["detail"]
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return (name, size, mtime_ns), outcome


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
