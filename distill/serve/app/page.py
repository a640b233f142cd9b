"""The page: its tabs, its looks, and the queue that all work goes through."""

from __future__ import annotations

import threading
from pathlib import Path

import gradio as gr

from distill.serve.app.data_tab import data_tab
from distill.serve.app.photo_tab import photo_tab
from distill.serve.app.teacher_tab import teacher_tab
from distill.serve.request import Offer

LOOK_EVERY, KEPT = 600, 3600  # seconds: how often old files are looked for, and how old they get
VISITS = 100  # whose fields are remembered; gradio keeps 10,000, a tenth of a megabyte each
WAITING = 64  # requests in the queue; more are asked to come again
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
MONO = ("ui-monospace", "DejaVu Sans Mono", "monospace")
CSS = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; }
.faces .thumbnail-lg { aspect-ratio: 2 / 1; }
footer .divider:last-child { display: none; }
.note { min-height: 3em; }
.faces .grid-wrap { min-height: 0; height: auto; max-height: none; }
.pages { align-items: center; flex-wrap: nowrap; }
.sheet img { width: 100%; object-fit: contain; }
.chart svg { width: 100%; max-width: 420px; height: auto; background: #fff; border-radius: 6px; }
"""


def build_page(offer: Offer, folder: Path, stop: threading.Event) -> gr.Blocks:
    """Build the page of an offer: a tab of photos, and those of the teacher and of data sets where they are given."""
    with gr.Blocks(
        title="distill", analytics_enabled=False, delete_cache=(LOOK_EVERY, KEPT), fill_width=True
    ) as page:
        gr.Markdown("# distill")
        with gr.Tab("Photo"):
            photo_tab(offer, folder)
        if offer.teacher:
            with gr.Tab("Teacher") as tab:
                teacher_tab(offer.teacher, folder, tab)
        if offer.data:
            with gr.Tab("Data") as tab:
                data_tab(offer, tab, stop)
    page.state_session_capacity = VISITS
    page.queue(max_size=WAITING, default_concurrency_limit=1)
    return page


def page_theme() -> gr.themes.Base:
    """Return gradio's own theme in fonts that the visitor has: none is loaded."""
    return gr.themes.Default(font=[_font(name) for name in SANS], font_mono=[_font(name) for name in MONO])


def _font(name: str) -> gr.themes.Font:
    return gr.themes.Font(name)
