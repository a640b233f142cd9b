"""Exported pages in a real browser: a folder, a server for it, and Chromium looking at it."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from distill.networks.student import Student
from distill.serve.web_export import export_page, runtime_package

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
WAIT = 120_000  # ms: a slow machine with other work
Pixels = NDArray[np.uint8]


def export(student: Student, folder: Path) -> Path:
    """Export a page. Skips the test where what a page is made of is not here."""
    pytest.importorskip("onnx", reason="needs the extra onnx")
    try:
        runtime_package()
    except Exception as error:
        pytest.skip(f"needs distill weights fetch web-runtime ({error})")
    export_page(student, folder)
    return folder


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium. Skips the test where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *CAMERA])
        yield browser
        browser.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as `python -m http.server` does, on this machine alone; its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class Visit:
    """A page that somebody looks at. `elsewhere` are requests to other servers, `faults` what went wrong unseen."""

    def __init__(self, browser: Any, address: str, **settings: Any) -> None:
        self.context = browser.new_context(permissions=["camera"], **settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.elsewhere: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda request: self._note(request.url, address))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.goto(address)

    def _note(self, url: str, address: str) -> None:
        if not url.startswith((address, f"blob:{address}")):
            self.elsewhere.append(url)

    def drop(self, target: str, name: str, data: bytes, kind: str = "image/png") -> None:
        """Drop a file, as from a file manager."""
        self.page.evaluate(
            """([target, name, text, kind]) => {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                const dataTransfer = new DataTransfer();
                dataTransfer.items.add(new File([bytes], name, { type: kind }));
                const options = { dataTransfer, bubbles: true, cancelable: true };
                document.querySelector(target).dispatchEvent(new DragEvent("drop", options));
            }""",
            [target, name, base64.b64encode(data).decode(), kind],
        )

    def status(self, starts: str) -> str:
        """Wait until the page says something."""
        self.page.wait_for_function(
            "(text) => document.getElementById('status').textContent.startsWith(text)", arg=starts
        )
        return str(self.page.text_content("#status"))

    def complaint(self) -> str:
        """Wait for a message about what went wrong, and return it."""
        self.page.wait_for_selector("#alert", state="visible")
        return str(self.page.text_content("#alert p"))

    def canvas(self, selector: str) -> Pixels:
        """What a canvas shows [H, W, 3]."""
        address = self.page.eval_on_selector(selector, "(canvas) => canvas.toDataURL('image/png')")
        picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        return np.asarray(picture.convert("RGB"))

    def compared(self) -> tuple[Pixels, Pixels]:
        """What is shown as before and as after."""
        before, after = (self.canvas(f"#compare canvas:nth-of-type({place})") for place in (1, 2))
        return before, after

    def call(self, module: str, body: str, *values: Any) -> Any:
        """Run some lines in the page with a module of it, `m`, and the values, `v`."""
        code = f"async (v) => {{ const m = await import('./{module}'); {PICTURES} {body} }}"
        return self.page.evaluate(code, list(values))


# A picture travels as base64 of RGBA.
PICTURES = """
    const fromText = ([text, width, height]) =>
        ({ data: Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0)), width, height });
    const toText = ({ data, width, height }) => {
        let text = "";
        for (let start = 0; start < data.length; start += 8192) {
            text += String.fromCharCode(...data.subarray(start, start + 8192));
        }
        return [btoa(text), width, height];
    };
"""


def to_page(pixels: Pixels) -> tuple[str, int, int]:
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    data = np.concatenate([pixels, opaque], axis=2).tobytes()
    return base64.b64encode(data).decode(), pixels.shape[1], pixels.shape[0]


def from_page(picture: tuple[str, int, int]) -> Pixels:
    text, width, height = picture
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[..., :3]


def png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal to noise ratio of 8-bit pictures, dB."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)
