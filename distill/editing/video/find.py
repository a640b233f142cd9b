"""Which of a person's files are videos, recognised by their first bytes, else by their names."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from distill.errors import DistillError
from distill.faces.find import FoundPhotos
from distill.faces.formats import HEAD, is_video_head
from distill.faces.photo_results import SkippedPhoto
from distill.files import open_regular

# The first bytes of some containers tell little, those of a damaged file nothing.
SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".wmv"),
    *(".mpg", ".mpeg", ".mts", ".m2ts", ".ogv", ".flv"),
)
INSTALL = "pip install 'distill[video]'"


def is_video(path: Path) -> bool:
    """Tell whether a file is to be read as a video; a file that cannot be read at all is not."""
    try:
        with open_regular(path) as file:
            head = file.read(HEAD)
    except OSError:
        return False
    return is_video_head(head) or path.suffix.lower() in SUFFIXES


def split_videos(found: FoundPhotos) -> tuple[FoundPhotos, list[Path]]:
    """Return the photos, and the videos among them.

    Without PyAV videos are left out of both, as files of a format that is not read. Raises DistillError where they
    were all that was given.
    """
    videos = [path for path in found.files if is_video(path)]
    photos = [path for path in found.files if path not in set(videos)]
    if not videos or find_spec("av"):
        return FoundPhotos(files=photos, left_out=found.left_out), videos
    if not photos:
        raise DistillError(f"{videos[0]} is a video, which needs the extra 'video': {INSTALL}")
    return FoundPhotos(files=photos, left_out=[*found.left_out, *_not_read(videos)]), []


def _not_read(videos: Sequence[Path]) -> list[SkippedPhoto]:
    return [
        SkippedPhoto(photo=path, reason="format not read", detail=f"a video: {INSTALL}") for path in videos
    ]
