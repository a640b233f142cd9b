"""What `distill translate` is given: photos and videos, each translated in its way.

PyAV is imported only where there is a video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.editing.translate import TranslatedFace, TranslateRequest, translate_photos, translation_json
from distill.editing.translator import Translator
from distill.editing.video.find import split_videos
from distill.editing.video.results import TranslatedVideo, VideoResults
from distill.faces.find import FoundPhotos, find_photos
from distill.faces.photo_results import PhotoResults, SkippedPhoto, no_face


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotosAndVideos:
    """The files to read, by their kind."""

    photos: FoundPhotos
    videos: Sequence[Path]


@dataclass(frozen=True, kw_only=True, eq=False)
class Translations:
    """Everything that came of photos and videos."""

    photos: PhotoResults[TranslatedFace]
    videos: VideoResults

    @property
    def done(self) -> list[TranslatedFace | TranslatedVideo]:
        return [*self.photos.done, *self.videos.done]

    @property
    def skipped(self) -> list[SkippedPhoto]:
        return [*self.photos.skipped, *self.videos.skipped]

    def to_json(self, request: TranslateRequest, translate: Translator) -> dict[str, Any]:
        """Return what translated and what came of it, as plain values: counts of photos, and those of `videos`."""
        return {**translation_json(request, translate, self.photos), "videos": self.videos.to_json()}

    def lines(self, *, all_faces: bool) -> Iterator[str]:
        yield from self.photos.lines(all_faces=all_faces)
        yield from self.videos.lines()

    def check(self) -> None:
        """Raise NothingWorked where neither a photo nor a video gave a face."""
        if self.done:
            return
        if not self.videos.results:
            self.photos.check()
        files = self.photos.photos + len(self.videos.results)
        raise no_face(files, self.skipped, of="file")


def notes_of(request: TranslateRequest, translate: Translator) -> list[str]:
    """Say what a user may not expect of the student, and of how it gets its pictures."""
    lines = translate.notes(chosen=request.size is not None)
    if translate.student.facts.task == "drawing-to-face" and request.align != "none":
        lines.append(
            "faces are looked for; where none is found in a drawing, take its middle by --align none"
        )
    return lines


def split_files(request: TranslateRequest) -> PhotosAndVideos:
    """Find the files and tell photos from videos. Raises DistillError for what a video cannot be given."""
    photos, videos = split_videos(find_photos(request.photos, request.out))
    if videos:
        from distill.editing.video.run import check_video_request

        check_video_request(request, videos)
    return PhotosAndVideos(photos=photos, videos=videos)


def translate_files(
    request: TranslateRequest,
    files: PhotosAndVideos,
    translate: Translator,
    *,
    advance: Callable[[int], object] = lambda photos: None,
) -> Translations:
    """Translate photos, then videos; `advance` hears of photos done. Raises as `translate_photos`."""
    photos, videos = translate_photos(request, files.photos, translate, advance=advance), VideoResults()
    if files.videos:
        from distill.editing.video.run import translate_videos

        videos = translate_videos(request, files.videos, translate)
    return Translations(photos=photos, videos=videos)
