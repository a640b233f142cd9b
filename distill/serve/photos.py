"""An uploaded photo through an editor: faces found and cut out, edited, and pasted back into the photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from distill.faces.alignment import Pixels
from distill.faces.decode import PhotoError, read_photo
from distill.faces.original import paste_into
from distill.faces.paste import FaceEdit, paste_back
from distill.faces.photo_results import SkippedPhoto
from distill.faces.photos import (
    FaceCut,
    cut_largest_face,
    cut_middles,
    cut_photos,
    middle_cut,
    photo_detector,
)
from distill.pixels import Mark
from distill.progress import plural
from distill.serve.editors import FaceEditor
from distill.serve.uploads import RefusedUpload, check_upload, refused

Faces = Literal["largest", "all", "none"]  # none: the middle of the picture
MOST_FACES = 50


@dataclass(frozen=True, kw_only=True, eq=False)
class EditedUpload:
    """A photo with its faces edited: `cuts` as they were found, `outputs` [size, size, 3] in their order.

    `mark`: of the pictures that a visitor gets as files.
    """

    photo: Path
    cuts: Sequence[FaceCut]
    outputs: Sequence[Pixels]
    style: Pixels | None
    note: str
    mark: Mark

    @property
    def before(self) -> Pixels:
        """The upright photo [H, W, 3]."""
        return self.cuts[0].image

    def after(self) -> Pixels:
        """Return the photo with its faces pasted back, [H, W, 3]."""
        return paste_back(self.before, self._edits)

    def png(self) -> bytes:
        """Return the same as a file that keeps the photo's own colours, transparency and EXIF."""
        try:
            return paste_into(self.photo, self.before, self._edits, self.mark)[0]
        except PhotoError as error:
            raise refused(error) from error

    @property
    def _edits(self) -> list[FaceEdit]:
        return [
            FaceEdit(quad=cut.quad, pixels=output)
            for cut, output in zip(self.cuts, self.outputs, strict=True)
        ]


def edit_upload(
    photo: Path | None,
    editor: FaceEditor,
    *,
    style: Path | None = None,
    edit: str = "",
    faces: Faces = "largest",
) -> EditedUpload:
    """Find the faces of an uploaded photo and edit them; `style` is the second photo of a student that takes one.

    Raises RefusedUpload for a file that cannot be used or shows no face, and DistillError as the editor.
    """
    checked = check_upload(photo)
    second = _style(style, editor, faces) if editor.takes_style else None
    cuts, skipped = _cuts(checked, editor.size, faces)
    outputs = editor([cut.pixels for cut in cuts], second, edit)
    found = plural(len(cuts), "face") if faces != "none" else "the middle of the picture"
    note = f"{editor.name}: {found}, at {editor.size} px."
    if editor.sliders and not edit:
        note += " Nothing is changed yet: move a slider."
    if skipped:
        note += f" Left out: {plural(skipped, 'face')}."
    mark = Mark(by=", ".join(filter(None, [editor.credit, edit])))
    return EditedUpload(photo=checked, cuts=cuts, outputs=outputs, style=second, note=note, mark=mark)


def _cuts(photo: Path, size: int, faces: Faces) -> tuple[list[FaceCut], int]:
    """The faces of a photo, and how many more were found and not cut out."""
    if faces == "none":
        (found,) = cut_middles([photo], sides=(size, size), stems=["photo"])
    else:
        every = faces == "all"
        detector = photo_detector(all_faces=every)
        (found,) = cut_photos([photo], detector, size=size, all_faces=every, stems=["photo"])
    cuts = [cut for cut in found if isinstance(cut, FaceCut)]
    skips = [skip for skip in found if isinstance(skip, SkippedPhoto)]
    if not cuts:
        raise refused(PhotoError(photo, skips[0].reason, skips[0].detail))
    return cuts[:MOST_FACES], len(cuts[MOST_FACES:]) + len(skips)


def _style(path: Path | None, editor: FaceEditor, faces: Faces) -> Pixels:
    if path is None:
        raise RefusedUpload(f"{editor.name} takes two pictures: choose a style photo too.")
    checked, size = check_upload(path, "style photo"), editor.size
    try:
        if faces == "none":
            return middle_cut(read_photo(checked), (size, size))
        return cut_largest_face(checked, photo_detector(), size=size).pixels
    except PhotoError as error:
        raise refused(error, "style photo") from error
