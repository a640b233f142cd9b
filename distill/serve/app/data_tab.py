"""The tab of data sets: filter, sort, look, and save what is left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from distill.errors import DistillError
from distill.serve.app.common import QUEUE, QUIET, told, warning, worked
from distill.serve.browse import (
    STORED,
    DataTable,
    histogram_of,
    page_numbers,
    page_sheet,
    save_selection,
    select,
)
from distill.serve.request import Offer
from distill.shards.inspect.histogram import draw_svg

ORDERS = {"Largest first": True, "Smallest first": False}
HELP = (
    "Names of scores, params and numeric labels with < <= > >= == !=, and, or, not, brackets, min, max, span, abs,"
    " quantile(ssim, 0.6); empty for all rows."
)


def data_tab(offer: Offer, outer: gr.Tab, stop: threading.Event) -> None:
    """Lay the tab out, in `outer`; `stop` ends what is being saved."""
    _DataTab(offer, stop).connect(outer)


class _DataTab:
    """The fields of the tab, and what happens when they change."""

    def __init__(self, offer: Offer, stop: threading.Event) -> None:
        self.offer, self.stop = offer, stop
        names = list(offer.data)
        table = offer.table(names[0])
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                self.name = gr.Dropdown(names, value=names[0], label="Data set", filterable=False)
                self.where = gr.Textbox("", label="Keep rows where", placeholder="ssim < 0.8", info=HELP)
                self.sort = gr.Dropdown(_sorts(table), value=STORED, label="Sort by", filterable=False)
                self.order = gr.Radio(list(ORDERS.items()), value=True, label="Order")
                self.button = gr.Button("Show", variant="primary")
                self.lines = gr.Textbox("", label="What is kept", lines=3, max_lines=16, interactive=False)
                self.chart = gr.HTML("", visible=False, elem_classes="chart")
                with gr.Accordion("Save the selection as a data set", open=False):
                    self.new = gr.Textbox("", label="Name of the new folder, beside the data set")
                    self.save = gr.Button("Save")
                    self.saved = gr.Markdown("")
            with gr.Column(scale=5, min_width=300):
                self.note = gr.Markdown("", elem_classes="note")
                with gr.Row(elem_classes="pages"):
                    self.back = gr.Button("← Before", size="sm", min_width=80)
                    self.page = gr.Number(
                        1, label="Page", precision=0, minimum=1, min_width=60, container=False
                    )
                    self.forth = gr.Button("Next →", size="sm", min_width=80)
                self.sheet = gr.Image(
                    show_label=False,
                    interactive=False,
                    format="png",
                    elem_classes="sheet",
                    buttons=["fullscreen"],
                )
                with gr.Accordion("Numbers of these rows", open=False):
                    self.numbers = gr.Dataframe(interactive=False, show_label=False)

    def connect(self, tab: gr.Tab) -> None:
        inputs = [self.name, self.where, self.sort, self.order, self.page]
        shown = [self.note, self.lines, self.sheet, self.chart, self.numbers, self.page]
        show = worked(self._show)
        quiet: dict[str, Any] = {**QUIET, "show_progress_on": self.sheet}
        tab.select(show, inputs, shown, **quiet)
        self.name.change(
            self._choose, self.name, [self.where, self.sort, self.page], api_visibility="private"
        ).then(show, inputs, shown, **quiet)
        for event in (self.button.click, self.where.submit, self.sort.input, self.order.input):
            event(self._at(lambda now: 1), inputs, shown, **quiet)
        self.page.submit(show, inputs, shown, **quiet)
        self.back.click(self._at(lambda now: now - 1), inputs, shown, **quiet)
        self.forth.click(self._at(lambda now: now + 1), inputs, shown, **quiet)
        self.save.click(worked(self._save), [self.name, self.where, self.new], self.saved, **QUIET)
        rows = gr.JSON(visible=False)
        gr.Button(visible=False).click(
            told(self._rows), inputs, rows, api_name="rows",
            api_description="The numbers of a page of rows: what is kept, names, and a line a row.", **QUEUE,
        )  # fmt: skip

    def _choose(self, name: str) -> list[Any]:
        """Begin with another data set."""
        return ["", gr.update(choices=_sorts(self.offer.table(name)), value=STORED), 1]

    def _at(self, page: Callable[[int], int]) -> Callable[..., list[Any]]:
        """Show another page than the present one."""

        def show(name: str, where: str, sort: str, descending: bool, now: Any) -> list[Any]:
            return self._show(name, where, sort, descending, page(int(now or 1)))

        return worked(show)

    def _show(self, name: str, where: str, sort: str, descending: bool, page: Any) -> list[Any]:
        try:
            chosen = select(self.offer.table(name), where or "", sort=sort, descending=descending)
            page = max(1, min(int(page or 1), chosen.pages))
            sheet = page_sheet(chosen, page)
            head, lines = page_numbers(chosen, page)
            numbers = {"headers": head, "data": lines}
            chart = ""
            if sort != STORED:
                svg = draw_svg(histogram_of(chosen, sort)).decode()
                chart = f"<p>{sort}: blue are the rows kept, orange the others</p>{svg[svg.index('<svg') :]}"
        except DistillError as error:
            return [warning(error), "", None, gr.update(visible=False), None, gr.skip()]
        note = f"{len(chosen.rows)} of {chosen.table.rows} rows, page {page} of {chosen.pages}."
        return [
            note,
            "\n".join(chosen.lines),
            sheet,
            gr.update(value=chart, visible=bool(chart)),
            numbers,
            page,
        ]

    def _rows(self, name: str, where: str, sort: str, descending: bool, page: float) -> dict[str, Any]:
        chosen = select(self.offer.table(name), where or "", sort=sort, descending=descending)
        head, lines = page_numbers(chosen, int(page))
        return {"kept": len(chosen.rows), "pages": chosen.pages, "names": head, "rows": lines}

    def _save(self, name: str, where: str, new: str, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008
        done = 0

        def advance(rows: int, total: int) -> None:
            nonlocal done
            done += rows
            progress((done, total), unit="rows")

        try:
            table = self.offer.table(name)
            lines = save_selection(table, where or "", (new or "").strip(), stop=self.stop, advance=advance)
        except DistillError as error:
            return warning(error)
        return f"{lines[-1][:1].upper()}{lines[-1][1:]}."


def _sorts(table: DataTable) -> Sequence[str]:
    return [STORED, *table.numbers]
