"""What the tabs share: uploads that stay what they are, errors as sentences, one queue."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr

from distill.editing.pictures import scaled
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.serve.sentences import sentence

QUEUE: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": 1}  # one piece of work at a time
QUIET: dict[
    str, Any
] = {  # what the page itself calls: not for scripts, and of many moves the last one counts
    **QUEUE,
    "api_visibility": "private",
    "trigger_mode": "always_last",
}

_WORKER = ThreadPoolExecutor(1, thread_name_prefix="work")


def upload(label: str, **more: Any) -> gr.Image:
    """A place for a picture, whose file reaches the handler as it was sent: `uploads` looks at it, not gradio.

    Gradio would open the file, and fetch one that is named by an address.
    """
    image = gr.Image(
        label=label, type="filepath", image_mode=None, sources=["upload", "webcam", "clipboard"], **more
    )
    image.preprocess = lambda payload: payload.path if payload else None
    image.async_move_resource_to_block_cache = _stays
    return image


async def _stays(path: str | Path | None) -> str | None:
    """Keep a file where it is; one of another server is not fetched."""
    text = None if path is None else str(path)
    if text and text.startswith(("http:", "https:")):
        raise gr.Error("Upload the picture itself: addresses are not opened.", print_exception=False)
    return text


def worked(call: Callable[..., Any]) -> Callable[..., Any]:
    """Do the work in one thread, the same for all: a detector of faces and its memory belong to a thread."""

    @wraps(call)
    def answer(*given: Any) -> Any:
        return _WORKER.submit(copy_context().run, call, *given).result()

    return answer


def told(call: Callable[..., Any]) -> Callable[..., Any]:
    """As `worked`, and what goes wrong reaches a script as one sentence."""
    work = worked(call)

    @wraps(call)
    def answer(*given: Any) -> Any:
        try:
            return work(*given)
        except DistillError as error:
            raise gr.Error(sentence(error), print_exception=False) from error

    return answer


def warning(error: DistillError) -> str:
    """Write what went wrong for the note of a page."""
    return f"⚠️ **{plain(sentence(error))}**"


def plain(text: str) -> str:
    """Let Markdown show a text as it is."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>#|~$" else letter for letter in text)


def written(folder: Path, png: bytes) -> str:
    """Write a PNG for a visitor, in a folder of its own in `folder`; return its path."""
    place = folder / secrets.token_hex(8)
    place.mkdir()
    path = place / "distill.png"
    path.write_bytes(png)
    return str(path)


def enlarged(picture: Pixels, least: int = 320) -> Pixels:
    """Scale a small square up to `least` px, smoothly, so that browsers do not show its pixels."""
    side = max(picture.shape[:2])
    return scaled(picture, least) if side < least else picture
