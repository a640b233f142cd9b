"""What came of a person's photos: results, and skips that are counted by their reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from distill.errors import NothingWorked
from distill.faces.alignment import Floats
from distill.faces.decode import PhotoError
from distill.faces.detection import Face
from distill.files import path_text
from distill.progress import plural


@dataclass(frozen=True, kw_only=True)
class SkippedPhoto:
    """One photo, or one face of it, that gave no output; `reason` is what is counted.

    `files` > 1: it stands for this many files of the folder `photo`.
    """

    photo: Path
    reason: str
    detail: str
    files: int = 1

    @classmethod
    def of(cls, error: PhotoError) -> SkippedPhoto:
        return cls(photo=error.path, reason=error.reason, detail=error.detail)

    def to_json(self, *, kind: str = "photo") -> dict[str, Any]:
        return {**json_paths(**{kind: self.photo}), "reason": self.reason, "detail": self.detail}


class PhotoResult(Protocol):
    """What was made of one face of a photo."""

    @property
    def photo(self) -> Path: ...
    @property
    def searched(self) -> int: ...
    def to_json(self) -> dict[str, Any]: ...


R = TypeVar("R", bound=PhotoResult)


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoResults(Generic[R]):
    """Everything that came of `photos` photos, in their order; `replaced` pictures were there from an earlier run."""

    photos: int
    results: Sequence[R | SkippedPhoto]
    landmarks_sha256: str
    replaced: int = 0
    noun: str = "face"  # of a result

    @property
    def done(self) -> list[R]:
        return [result for result in self.results if not isinstance(result, SkippedPhoto)]

    @property
    def skipped(self) -> list[SkippedPhoto]:
        return [result for result in self.results if isinstance(result, SkippedPhoto)]

    def to_json(self, done: str) -> dict[str, Any]:
        """Return counts and results; `done` is the word for what worked."""
        return {
            done: len(self.done),
            "skipped": count_reasons(self.skipped),
            "replaced": self.replaced,
            "results": [result.to_json() for result in self.results],
            "landmarks_sha256": self.landmarks_sha256,
        }

    def summary(self, done: str) -> str:
        """Return "aligned 2 faces from 1 of 3 photos"."""
        used = len({result.photo for result in self.done})
        return f"{done} {plural(len(self.done), self.noun)} from {used} of {plural(self.photos, 'photo')}"

    def lines(self, *, all_faces: bool) -> Iterator[str]:
        """What must be known of the results: how far was searched, what was replaced, then each skipped photo."""
        if all_faces and self.done:
            yield f"looked for faces of {max(result.searched for result in self.done)} px and more"
        if self.replaced:
            yield f"replaced {plural(self.replaced, 'picture')} of an earlier run"
        if self.skipped:
            yield f"skipped {sum(skip.files for skip in self.skipped)}: {reason_counts(self.skipped)}"
        for skip in sorted(self.skipped, key=lambda skip: skip.reason):
            yield f"  {skip.reason}: {path_text(skip.photo)} ({path_text(skip.detail)})"

    def check(self) -> None:
        """Raise NothingWorked where no photo gave a face."""
        if not self.done:
            raise no_face(self.photos, self.skipped, noun=self.noun)


def collect(
    outcomes: Iterable[Sequence[R | SkippedPhoto]],
    advance: Callable[[int], object],
    earlier: Callable[[Path], str | None],
) -> list[R | SkippedPhoto]:
    """Gather what came of each photo; `advance` hears of photos done, `earlier` as in `with_earlier`."""
    results: list[R | SkippedPhoto] = []
    for outcome in outcomes:
        results += outcome
        advance(1)
    return with_earlier(results, earlier)


def with_earlier(
    results: Iterable[R | SkippedPhoto], earlier: Callable[[Path], str | None]
) -> list[R | SkippedPhoto]:
    """Say of each photo that gave nothing which file an earlier run made of it, by `earlier`: it stays there."""
    results = list(results)
    done = {result.photo for result in results if not isinstance(result, SkippedPhoto)}
    return [_with_earlier(result, done, earlier) for result in results]


def _with_earlier(
    result: R | SkippedPhoto, done: set[Path], earlier: Callable[[Path], str | None]
) -> R | SkippedPhoto:
    if not isinstance(result, SkippedPhoto) or result.photo in done or not (name := earlier(result.photo)):
        return result
    return replace(result, detail=f"{result.detail}; {name} there is of an earlier run")


def no_face(
    photos: int, skips: Iterable[SkippedPhoto], *, noun: str = "face", of: str = "photo"
) -> NothingWorked:
    return NothingWorked(f"none of {plural(photos, of)} gave a {noun} ({reason_counts(skips)})")


def count_reasons(skips: Iterable[SkippedPhoto]) -> dict[str, int]:
    """Return {reason: count of files}, the most frequent first."""
    counts: Counter[str] = Counter()
    for skip in skips:
        counts[skip.reason] += skip.files
    return dict(counts.most_common())


def reason_counts(skips: Iterable[SkippedPhoto]) -> str:
    """Write each reason with its count."""
    return ", ".join(f"{reason} {count}" for reason, count in count_reasons(skips).items())


def json_paths(**paths: Path | None) -> dict[str, str | None]:
    """Return named paths for a report."""
    return {name: None if path is None else path_text(path, line=False) for name, path in paths.items()}


def place_json(face: Face, quad: Floats) -> dict[str, Any]:
    """Return where a face is in its photo, rounded, for a report."""
    return {
        "box": [round(value, 2) for value in face.box],
        "confidence": round(face.confidence, 4),
        "quad": quad.round(3).tolist(),
    }
