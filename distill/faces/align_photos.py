"""`cut_photos` to files: the faces of a person's own photos as PNGs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.faces.alignment import Floats
from distill.faces.detection import Face
from distill.faces.photo_results import PhotoResults, SkippedPhoto, collect, json_paths, place_json
from distill.faces.photos import FaceCut, Mode, cut_photos, photo_detector
from distill.files import make_folder
from distill.pixels import write_png


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
    """One face written: `quad` [4, 2] are the corners of the output in the upright photo."""

    photo: Path
    output: Path
    face: Face
    quad: Floats

    def to_json(self) -> dict[str, Any]:
        return {**json_paths(photo=self.photo, output=self.output), **place_json(self.face, self.quad)}


def align_photos(
    request: AlignRequest, files: Sequence[Path], *, advance: Callable[[int], object] = lambda photos: None
) -> PhotoResults[AlignedFace]:
    """Write the faces of `files` as PNGs into `request.out`, each by its name; `advance` hears of photos done.

    Raises DiskFull, and DistillError where `out` cannot be written or a model is missing.
    """
    detector = photo_detector(all_faces=request.all_faces or request.face_index > 0)
    landmarks_sha256 = detector.landmarks_sha256  # a missing model shows before the first photo
    make_folder(request.out)
    cuts = cut_photos(
        files,
        detector,
        size=request.size,
        mode=request.mode,
        all_faces=request.all_faces,
        face_index=request.face_index,
    )
    results = collect(([_written(cut, request.out) for cut in found] for found in cuts), advance)
    return PhotoResults(photos=len(files), results=results, landmarks_sha256=landmarks_sha256)


def _written(cut: FaceCut | SkippedPhoto, out: Path) -> AlignedFace | SkippedPhoto:
    if isinstance(cut, SkippedPhoto):
        return cut
    output = out / f"{cut.name}.png"
    write_png(output, cut.pixels)
    return AlignedFace(photo=cut.photo, output=output, face=cut.face, quad=cut.quad)
