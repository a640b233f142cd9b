"""Make the frozen list: align each photograph once, and let the scorer say what no labels do.

PhotoPlan ─► cut_photos (aligned) ─► the scorer, where no labels are given ─► edited | real ─► photos.json
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from distill.attributes.judge import Judge
from distill.attributes.moves import MIDDLE
from distill.editing.latent_edit import resized
from distill.errors import DistillError
from distill.evaluation.comparison.edits import has_value
from distill.evaluation.comparison.photo_list import (
    ALIGNED,
    FORMAT,
    LIST,
    REALS,
    TRUTHS,
    FrozenPhotos,
    check_same,
    face_json,
    frozen_of,
    is_whole,
    list_bytes,
    pixels_sha256,
    read_list,
)
from distill.evaluation.comparison.plan import PhotoPlan, check_enough, check_sides
from distill.evaluation.comparison.request import Alignment
from distill.evaluation.student_scores import evenly
from distill.faces.alignment import Pixels, warp_quad
from distill.faces.decode import PhotoError, read_photo
from distill.faces.detection import Face
from distill.faces.outputs import OutputFolder, read_stamp
from distill.faces.photo_results import SkippedPhoto
from distill.faces.photos import FaceCut, cut_photos, face_in_cut, photo_detector
from distill.files import file_sha256, path_text


@dataclass(frozen=True, kw_only=True, eq=False)
class CutPhoto:
    """One photograph, cut: `pixels` [size, size, 3], the face in them, and the true edit cut alike.

    `has`: the edit's value already; `way`: of its score; None where labels do not say it.
    """

    photo: Path
    pixels: Pixels
    face: Face
    has: bool | None = None
    way: int | None = None
    truth_file: Path | None = None
    truth: Pixels | None = None

    @property
    def name(self) -> str:
        return self.photo.stem


def kept_photos(plan: PhotoPlan, out: Path, size: int) -> FrozenPhotos | None:
    """Return the list that the folder has, None where there is none or a picture is gone.

    Raises DistillError where it is another one, and for a folder that holds something else.
    """
    kept = read_list(out)
    if kept is None:
        _check_place(out)
        return None
    check_same(out, kept, {**plan.asked, "size": size})
    return frozen_of(out, kept) if is_whole(out, kept) else None


def _check_place(out: Path) -> None:
    """Raise DistillError for a folder with anything in it that no comparison began to write there."""
    if not out.is_dir() or read_stamp(out):
        return
    foreign = sorted(item.name for item in out.iterdir() if not item.name.startswith("."))
    if foreign:
        raise DistillError(
            f"{path_text(out)} holds {foreign[0]!r} and no comparison: choose an empty or new folder with --out"
        )


def freeze_photos(
    plan: PhotoPlan,
    size: int,
    judge: Judge,
    outputs: OutputFolder,
    advance: Callable[[int], object] = lambda count: None,
) -> FrozenPhotos:
    """Cut every photograph, decide which are edited and which are real, and write pictures and list.

    Raises DistillError where too few show a face.
    """
    cuts, left_out = _cut_all(plan, size, advance)
    ways = _ways(plan, cuts, judge)
    edited = [at for at, cut in enumerate(cuts) if plan.truths or cut.has is False]
    reals = [cut for cut in cuts if cut.has and not plan.truths and plan.real is None]
    if plan.has is None and plan.truths is None:
        check_sides(plan.edit, [cut.has for cut in cuts], plan.real, f"as the scorer {judge.name} sees them")
        edited, reals = [edited[at] for at in _few(edited, plan)], [reals[at] for at in _few(reals, plan)]
    if plan.real is not None:
        more, skipped = _cut_real(plan.real, plan, size, advance)
        reals, left_out = more, left_out + skipped
    check_enough(len(edited), len(edited) if plan.truths else len(reals))
    faces = [_write_face(cuts[at], ways[at], outputs) for at in edited]
    facts = {
        "format": FORMAT,
        "asked": {**plan.asked, "size": size},
        "faces": faces,
        "real": [{"folder": TRUTHS, "name": face["name"], **face["truth"]} for face in faces]
        if plan.truths
        else [_write_real(cut, outputs) for cut in reals],
        "left_out": dict(left_out),
    }
    outputs.write_file(list_bytes(facts), LIST)
    return frozen_of(outputs.folder, facts)


def _few(some: Sequence[Any], plan: PhotoPlan) -> list[int]:
    return [int(at) for at in evenly(len(some), plan.limit or len(some))]


def _cut_all(
    plan: PhotoPlan, size: int, advance: Callable[[int], object]
) -> tuple[list[CutPhoto], Counter[str]]:
    """Cut the photographs of the plan; whatever is not cut is counted by its reason."""
    places = plan.to_cut()
    cuts, left_out = [], Counter[str](plan.left_out)
    for at, found in zip(places, _cuts([plan.photos[at] for at in places], size, plan.align), strict=True):
        if isinstance(found, SkippedPhoto):
            left_out[found.reason] += 1
        else:
            truth = plan.truths[at] if plan.truths else None
            cuts.append(
                replace(
                    _aligned(found, size),
                    has=plan.has[at] if plan.has else None,
                    way=plan.ways[at] if plan.ways else None,
                    truth_file=truth,
                    truth=_true_cut(truth, found, size, plan.align) if truth else None,
                )
            )
        advance(1)
    if plan.has is not None and (unknown := sum(has is None for has in plan.has)):
        left_out["no label"] += unknown
    return cuts, left_out


def _cut_real(
    files: Sequence[Path], plan: PhotoPlan, size: int, advance: Callable[[int], object]
) -> tuple[list[CutPhoto], Counter[str]]:
    """Cut the real pictures that lie in a folder of their own."""
    cuts, left_out = [], Counter[str]()
    for found in _cuts(files, size, plan.align):
        if isinstance(found, SkippedPhoto):
            left_out[f"{found.reason} (real)"] += 1
        else:
            cuts.append(_aligned(found, size))
        advance(1)
    return cuts, left_out


def _aligned(cut: FaceCut, size: int) -> CutPhoto:
    """Keep what is needed of a cut; the whole photograph is not."""
    return CutPhoto(photo=cut.photo, pixels=cut.pixels, face=face_in_cut(cut, size))


def _cuts(files: Sequence[Path], size: int, align: Alignment) -> Iterator[FaceCut | SkippedPhoto]:
    """Cut the largest face of each photograph, or take it as it is framed."""
    if align == "ffhq":
        for found in cut_photos(files, photo_detector(), size=size):
            yield from found
        return
    detector = photo_detector()
    for path in files:
        try:
            image = read_photo(path)
            faces = sorted(detector(image), key=lambda face: -face.area)
        except PhotoError as error:
            yield SkippedPhoto.of(error)
            continue
        if not faces:
            yield SkippedPhoto(photo=path, reason="no face", detail="")
            continue
        side = len(image) - 0.5
        yield FaceCut(
            photo=path,
            stem=path.stem,
            name=path.stem,
            image=image,
            face=faces[0],
            quad=np.array([(-0.5, -0.5), (-0.5, side), (side, side), (side, -0.5)]),
            pixels=resized(image, size, size),
        )


def _ways(plan: PhotoPlan, cuts: list[CutPhoto], judge: Judge) -> list[int]:
    """The way of each face's score; where no labels say it, `cuts` get to know who has the edit's value."""
    if plan.ways is not None:
        return [cut.way for cut in cuts if cut.way is not None]
    attribute = plan.edit.attribute
    asks = attribute is not None and (not plan.edit.way if plan.truths else plan.has is None)
    if not asks or not cuts:
        return [plan.edit.way] * len(cuts)
    assert attribute is not None
    scores = np.array([float(judge.scorer(cut.pixels[None], [cut.face])[attribute][0]) for cut in cuts])
    if plan.truths:
        return [-1 if score > MIDDLE else 1 for score in scores]
    has = has_value(plan.edit, judge.scorer.kinds[attribute], scores)
    cuts[:] = [replace(cut, has=each) for cut, each in zip(cuts, has, strict=True)]
    return [plan.edit.way] * len(cuts)


def _write_face(cut: CutPhoto, way: int, outputs: OutputFolder) -> dict[str, Any]:
    facts = {
        "name": cut.name,
        **_written(cut.photo, cut.pixels, ALIGNED, cut.name, outputs),
        "way": way,
        "face": face_json(cut.face),
    }
    if cut.truth is None or cut.truth_file is None:
        return facts
    return {**facts, "truth": _written(cut.truth_file, cut.truth, TRUTHS, cut.name, outputs)}


def _write_real(cut: CutPhoto, outputs: OutputFolder) -> dict[str, Any]:
    return {"folder": REALS, "name": cut.name, **_written(cut.photo, cut.pixels, REALS, cut.name, outputs)}


def _written(photo: Path, pixels: Pixels, folder: str, name: str, outputs: OutputFolder) -> dict[str, str]:
    outputs.write(pixels, name, below=folder)
    return {"sha256": file_sha256(photo), "pixels_sha256": pixels_sha256(pixels)}


def _true_cut(path: Path, cut: FaceCut, size: int, align: Alignment) -> Pixels:
    image = read_photo(path)
    return resized(image, size, size) if align == "none" else warp_quad(image, cut.quad, size)
