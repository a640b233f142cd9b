"""The tab of photos: choose a student, give a photo, see its faces edited and pasted back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from distill.editing.pictures import side_by_side
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.pixels import encode_png
from distill.serve.app.common import QUEUE, QUIET, enlarged, plain, told, upload, warning, worked, written
from distill.serve.editors import FaceEditor, edit_of_sliders
from distill.serve.photos import EditedUpload, edit_upload
from distill.serve.request import Offer

FACES = {"The largest face": "largest", "All faces": "all", "The middle, without looking for a face": "none"}
SHOWN = 1600  # px, of the longer side of a photo on the page; the file has all


def photo_tab(offer: Offer, folder: Path) -> None:
    """Lay the tab out; files for visitors are made in `folder`."""
    _PhotoTab(offer, folder).connect()


class _PhotoTab:
    """The fields of the tab, and what happens when they change."""

    def __init__(self, offer: Offer, folder: Path) -> None:
        self.offer, self.folder = offer, folder
        first = next((editor for editor in offer.editors if not editor.takes_style), offer.editors[0])
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                names = [editor.name for editor in offer.editors]
                self.student = gr.Dropdown(names, value=first.name, label="Student", filterable=False)
                self.about = gr.Markdown(plain(first.about))
                self.photo = upload("Photo", height=280)
                self.style = upload("Style photo", height=280, visible=first.takes_style)
                self.groups = [_fields(editor, shown=editor is first) for editor in offer.editors]
                self.faces = gr.Radio(list(FACES.items()), value="largest", label="Faces")
                self.button = gr.Button("Translate", variant="primary")
            with gr.Column(scale=3, min_width=300):
                self.note = gr.Markdown("Choose a photo, or drop one.", elem_classes="note")
                with gr.Column(visible=False) as self.result:
                    self.compared = gr.ImageSlider(
                        label="Before and after", interactive=False, format="jpeg", buttons=["fullscreen"]
                    )
                    self.gallery = gr.Gallery(
                        label="Faces: before and after", columns=2, height="auto", elem_classes="faces"
                    )
                    self.save = gr.Button("Make the file: the photo in full size, as PNG")
                    self.file = gr.File(label="The photo as PNG", visible=False, interactive=False)

    @property
    def fields(self) -> list[Any]:
        return [field for _, fields in self.groups for field in fields]

    def connect(self) -> None:
        inputs = [self.photo, self.style, self.student, self.faces, *self.fields]
        shown = [self.note, self.result, self.compared, self.gallery, self.file]
        show = worked(self._show)
        quiet: dict[str, Any] = {**QUIET, "show_progress_on": [self.note, self.compared]}
        self.student.change(
            self._choose, self.student, [self.about, self.style, *(group for group, _ in self.groups)],
            api_visibility="private", queue=False,
        ).then(show, inputs, shown, **quiet)  # fmt: skip
        self.button.click(worked(self._press), inputs, shown, **quiet)
        self.photo.upload(show, inputs, shown, **quiet)
        self.style.upload(show, inputs, shown, **quiet)
        self.faces.change(show, inputs, shown, **quiet)
        for field in self.fields:
            event = field.release if isinstance(field, gr.Slider) else field.change
            event(show, inputs, shown, **quiet)
        self.save.click(worked(self._write), inputs, [self.note, self.file], **QUIET)
        self._offer_to_scripts()

    def _offer_to_scripts(self) -> None:
        edit, note = gr.Textbox("", visible=False, label="edit"), gr.Textbox(visible=False, label="note")
        file = gr.File(visible=False, label="photo")
        faces = gr.File(visible=False, label="faces", file_count="multiple")
        gr.Button(visible=False).click(
            told(self._translate),
            [self.photo, self.student, self.style, edit, self.faces],
            [file, faces, note],
            api_name="translate",
            api_description="A photo with its faces edited and pasted back, each face alone, and a note.",
            **QUEUE,
        )

    def _translate(
        self,
        photo: str | None,
        student: str,
        style: str | None = None,
        edit: str = "",
        faces: str = "largest",
    ) -> tuple[str, list[str], str]:
        if faces not in FACES.values():
            raise DistillError(f"faces {faces[:80]!r} is not one of {', '.join(FACES.values())}")
        editor = self.offer.editor(student)
        done = edit_upload(_path(photo), editor, style=_path(style), edit=edit or "", faces=faces)  # type: ignore[arg-type]
        outputs = [written(self.folder, encode_png(picture, done.mark)) for picture in done.outputs]
        return written(self.folder, done.png()), outputs, done.note

    def _choose(self, name: str) -> list[Any]:
        """Show the fields of a student."""
        editor = self.offer.editor(name)
        groups = [gr.update(visible=other is editor and bool(fields)) for other, fields in self._pairs()]
        return [plain(editor.about), gr.update(visible=editor.takes_style), *groups]

    def _pairs(self) -> list[tuple[FaceEditor, Sequence[Any]]]:
        return [(editor, fields) for editor, (_, fields) in zip(self.offer.editors, self.groups, strict=True)]

    def _press(self, *given: Any) -> list[Any]:
        try:
            done = self._edited(*given)
        except DistillError as error:
            return [warning(error), gr.update(visible=False), None, None, gr.update(visible=False)]
        before, after = (_reduced(picture) for picture in (done.before, done.after()))
        faces = [_pair(cut.pixels, output) for cut, output in zip(done.cuts, done.outputs, strict=True)]
        return [
            plain(done.note), gr.update(visible=True), (before, after), faces,
            gr.update(value=None, visible=False),
        ]  # fmt: skip

    def _show(self, *given: Any) -> list[Any]:
        """As pressing the button, where there is what it needs."""
        photo, style, name = given[:3]
        editor = self.offer.editor(name)
        if photo is None or (editor.takes_style and style is None):
            missing = "photo" if photo is None else "style photo"
            hidden = gr.update(visible=False)
            return [f"Choose a {missing}, or drop one.", hidden, gr.skip(), gr.skip(), hidden]
        return self._press(*given)

    def _write(self, *given: Any) -> list[Any]:
        try:
            path = written(self.folder, self._edited(*given).png())
        except DistillError as error:
            return [warning(error), gr.update(visible=False)]
        return [gr.skip(), gr.update(value=path, visible=True)]

    def _edited(
        self, photo: str | None, style: str | None, name: str, faces: Any, *values: Any
    ) -> EditedUpload:
        editor, at = self.offer.editor(name), 0
        edit = ""
        for other, fields in self._pairs():
            if other is editor:
                edit = _edit(editor, values[at : at + len(fields)])
            at += len(fields)
        return edit_upload(_path(photo), editor, style=_path(style), edit=edit, faces=faces)


def _fields(editor: FaceEditor, *, shown: bool) -> tuple[gr.Column, list[Any]]:
    """The sliders of an editor, and the words that it knows."""
    fields: list[Any] = []
    with gr.Column(visible=shown and bool(editor.sliders or editor.choices)) as group:
        for slider in editor.sliders:
            fields.append(gr.Slider(slider.low, slider.high, 0, step=slider.step, label=slider.label))
        if editor.choices:
            fields.append(gr.Dropdown(list(editor.choices), value=[], multiselect=True, label="Change"))
    return group, fields


def _edit(editor: FaceEditor, values: Sequence[Any]) -> str:
    """Write what the fields of an editor say as an edit."""
    count = len(editor.sliders)
    words = list(values[count]) if editor.choices and values[count] else []
    return ",".join(filter(None, [edit_of_sliders(editor.sliders, values[:count]), *words]))


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _pair(before: Pixels, after: Pixels) -> Pixels:
    return side_by_side([enlarged(before), enlarged(after)])


def _reduced(picture: Pixels) -> Pixels:
    """Reduce a photo to what the page shows."""
    if max(picture.shape[:2]) <= SHOWN:
        return picture
    small = Image.fromarray(picture)
    small.thumbnail((SHOWN, SHOWN))
    return np.asarray(small)
