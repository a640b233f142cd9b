"""`cut_photos` to files: the faces of a person's own photos as PNGs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.faces.alignment import Floats
from distill.faces.detection import Face
from distill.faces.find import FoundPhotos
from distill.faces.outputs import OutputFolder
from distill.faces.photo_results import PhotoResults, SkippedPhoto, collect, json_paths, place_json
from distill.faces.photos import FaceCut, Mode, cut_photos, photo_detector


@dataclass(frozen=True, kw_only=True)
class AlignRequest:
    """Which faces to cut out, and how; `photos` are files and folders, see `find_photos`."""

    photos: tuple[Path, ...]
    out: Path
    size: int = 256
    mode: Mode = "ffhq"
    all_faces: bool = False
    face_index: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class AlignedFace:
    """One face written: `quad` [4, 2] are the corners of the output in the upright photo.

    All faces of at least `searched` px were looked for, where all were asked for.
    """

    photo: Path
    output: Path
    face: Face
    quad: Floats
    searched: int

    def to_json(self) -> dict[str, Any]:
        return {**json_paths(photo=self.photo, output=self.output), **place_json(self.face, self.quad)}


def align_photos(
    request: AlignRequest, found: FoundPhotos, *, advance: Callable[[int], object] = lambda photos: None
) -> PhotoResults[AlignedFace]:
    """Write the faces of photos as PNGs into `request.out`, each by its name; `advance` hears of photos done.

    Raises DiskFull, and DistillError where `out` cannot be written or a model is missing.
    """
    detector = photo_detector(all_faces=request.all_faces or request.face_index > 0)
    landmarks_sha256 = detector.landmarks_sha256  # a missing model shows before the first photo
    with OutputFolder(request.out, "align") as outputs:
        cuts = cut_photos(
            found.files,
            detector,
            size=request.size,
            mode=request.mode,
            all_faces=request.all_faces,
            face_index=request.face_index,
            stems=outputs.stems(found.files),
        )
        written = ([_written(cut, outputs) for cut in several] for several in cuts)
        results = collect(written, advance, outputs.earlier)
    return PhotoResults(
        photos=len(found.files),
        results=[*found.left_out, *results],
        landmarks_sha256=landmarks_sha256,
        replaced=outputs.replaced,
    )


def _written(cut: FaceCut | SkippedPhoto, outputs: OutputFolder) -> AlignedFace | SkippedPhoto:
    if isinstance(cut, SkippedPhoto):
        return cut
    return AlignedFace(
        photo=cut.photo,
        output=outputs.write(cut.pixels, cut.name),
        face=cut.face,
        quad=cut.quad,
        searched=cut.searched,
    )
