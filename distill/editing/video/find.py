"""Which of a person's files are videos, recognised by their first bytes, else by their names."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from distill.errors import DistillError
from distill.faces.decode import PhotoError, open_photo
from distill.faces.find import FoundPhotos
from distill.faces.formats import HEAD, is_video_head
from distill.faces.photo_results import SkippedPhoto
from distill.files import open_regular

# The first bytes of some containers tell little, those of a damaged file nothing.
SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".wmv"),
    *(".mpg", ".mpeg", ".mts", ".m2ts", ".ogv", ".flv"),
)
SYNC = b"G"  # begins each packet of MPEG-TS
KNOWN = "MP4, MOV, Matroska, WebM, AVI, MPEG, MPEG-TS, WMV, FLV and Ogg"
INSTALL = "pip install 'distill[video]'"


def is_video(path: Path) -> bool:
    """Tell whether a file is to be read as a video; a file that cannot be read at all is not."""
    try:
        with open_regular(path) as file:
            head = file.read(HEAD)
    except OSError:
        return False
    suffix = path.suffix.lower()
    # Other .ts files are texts, such as those of TypeScript.
    return is_video_head(head) or suffix in SUFFIXES or (suffix == ".ts" and head.startswith(SYNC))


def refusal(path: Path, head: bytes) -> tuple[str, str]:
    """Return the reason and the detail for a file that is read as no video."""
    if not head:
        return "not a video", "the file is empty"
    if is_video_head(head):
        return "damaged", "it begins as a video, but is cut short or broken"
    with suppress(PhotoError):
        return "not a video", f"it is a picture ({open_photo(path, lambda image: image.format)})"
    return "not a video", f"the formats that are read are {KNOWN}"


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
