"""The tab of a generator: samples by their seeds, moved along directions, and grids of mixes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from distill.editing.pictures import side_by_side
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.pixels import encode_png
from distill.serve.app.common import QUEUE, QUIET, enlarged, told, warning, worked, written
from distill.serve.editors import direction_sliders, edit_of_sliders, strengths_of
from distill.serve.teacher import MOST_PSI, TeacherView, read_seeds

PSI = 0.7
CROSSOVER = "First layer that takes the style."
MIXED = "A row for each content, a column for each style."
BUTTONS = ["download", "fullscreen"]


def teacher_tab(view: TeacherView, folder: Path, outer: gr.Tab) -> None:
    """Lay the tab out, in `outer`; what is opened draws its first picture. Files are made in `folder`."""

    def file(picture: Pixels) -> str:
        return written(folder, encode_png(picture, view.mark))

    with gr.Tab("Samples"):
        _samples(view, file, outer)
    with gr.Tab("Style mixing") as inner:
        _mixes(view, file, inner)


def _samples(view: TeacherView, file: Callable[[Pixels], str], tab: gr.Tab) -> None:
    directions = direction_sliders(view.directions)
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            psi = gr.Slider(0, MOST_PSI, PSI, step=0.05, label="ψ (truncation)")
            sliders = [gr.Slider(s.low, s.high, 0, step=s.step, label=s.label) for s in directions]
            noise = gr.Radio(view.noises, value=view.noises[0], label="Noise", visible=len(view.noises) > 1)
            button = gr.Button("Draw", variant="primary")
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown(
                f"Samples of {view.name}, {view.generator.resolution} px.", elem_classes="note"
            )
            picture = gr.Image(label="As it is, and moved", interactive=False, format="png", buttons=BUTTONS)

    @worked
    def draw(seed: float, psi: float, noise: Any, *values: float) -> list[Any]:
        try:
            pair = view.sample(int(seed or 0), psi, strengths_of(edit_of_sliders(directions, values)), noise)
        except DistillError as error:
            return [warning(error), None]
        return [f"Seed {int(seed or 0)} at ψ {psi:g}.", file(_shown(pair))]

    inputs, shown = [seed, psi, noise, *sliders], [note, picture]
    quiet: dict[str, Any] = {**QUIET, "show_progress_on": picture}
    tab.select(draw, inputs, shown, **quiet)
    button.click(draw, inputs, shown, **quiet)
    seed.submit(draw, inputs, shown, **quiet)
    noise.change(draw, inputs, shown, **quiet)
    for slider in (psi, *sliders):
        slider.release(draw, inputs, shown, **quiet)

    def sample(seed: float, psi: float, edit: str, noise: Any) -> str:
        return file(view.sample(int(seed), psi, strengths_of(edit), noise)[1])

    edit, result = gr.Textbox("", visible=False, label="edit"), gr.Image(visible=False, format="png")
    gr.Button(visible=False).click(
        told(sample),
        [seed, psi, edit, noise],
        result,
        api_name="sample",
        api_description="A sample by its seed, moved along directions: edit is such as age=+2,gender=-1.",
        **QUEUE,
    )


def _mixes(view: TeacherView, file: Callable[[Pixels], str], tab: gr.Tab) -> None:
    layers = view.generator.num_ws
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            contents = gr.Textbox("0-3", label="Contents (seeds)", info="Of the shape; such as 0, 3, 8-11.")
            styles = gr.Textbox("4-7", label="Styles (seeds)", info="Of the colours.")
            crossover = gr.Slider(0, layers, layers // 2, step=1, label="Crossover", info=CROSSOVER)
            psi = gr.Slider(0, MOST_PSI, PSI, step=0.05, label="ψ (truncation)")
            button = gr.Button("Mix", variant="primary")
        with gr.Column(scale=3, min_width=300):
            note = gr.Markdown(MIXED, elem_classes="note")
            sheet = gr.Image(
                label="Mixes",
                show_label=False,
                interactive=False,
                format="png",
                buttons=BUTTONS,
                elem_classes="sheet",
            )

    def mix(contents: str, styles: str, psi: float, crossover: float) -> str:
        return file(view.grid(read_seeds(contents), read_seeds(styles), psi, int(crossover)))

    @worked
    def show(*given: Any) -> list[Any]:
        try:
            return [MIXED, mix(*given)]
        except DistillError as error:
            return [warning(error), None]

    inputs = [contents, styles, psi, crossover]
    events = [tab.select, button.click, contents.submit, styles.submit, crossover.release, psi.release]
    for event in events:
        event(show, inputs, [note, sheet], show_progress_on=sheet, **QUIET)
    result = gr.Image(visible=False, format="png")
    gr.Button(visible=False).click(told(mix), inputs, result, api_name="mix", api_description=MIXED, **QUEUE)


def _shown(pair: tuple[Pixels, Pixels]) -> Pixels:
    return side_by_side([enlarged(picture) for picture in pair])
