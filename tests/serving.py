"""The app as a user starts it: a process of its own, asked by scripts or looked at by a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
import requests

ANSWER = 300  # seconds: a slow machine with other work


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """A running app: its address, with the token where there is one, and its process."""

    address: str
    link: str
    process: psutil.Process

    @property
    def memory(self) -> float:
        """MB that the process holds."""
        return float(self.process.memory_info().rss / 2**20)

    def upload(self, data: bytes, name: str = "photo.png") -> requests.Response:
        return requests.post(
            f"{self.address}gradio_api/upload", files={"files": (name, data)}, timeout=ANSWER
        )

    def call(self, function: str, *values: Any) -> tuple[str, Any]:
        """Call a function of the API; how it ended ("complete" or "error"), and what it said."""
        where = f"{self.address}gradio_api/call/{function}"
        event = requests.post(where, json={"data": list(values)}, timeout=ANSWER).json()["event_id"]
        text = requests.get(f"{where}/{event}", timeout=ANSWER).text
        ends = re.findall(r"event: (complete|error)\ndata: (.*)", text)
        assert ends, text
        return ends[-1][0], json.loads(ends[-1][1])

    def translate(self, path: str | None, student: str = "ageing", edit: str = "") -> tuple[str, Any]:
        return self.call("translate", picture(path), student, None, edit, "largest")


def picture(path: str | None) -> dict[str, Any] | None:
    """An uploaded file as the API takes it."""
    return None if path is None else {"path": path, "meta": {"_type": "gradio.FileData"}}


@contextmanager
def serving(*words: str) -> Iterator[Served]:
    """Start the app on a free port. Skips the test where gradio is not installed."""
    pytest.importorskip("gradio", reason="needs the extra web: pip install 'distill[web]'")
    command = [sys.executable, "-m", "distill", "serve", "--port", "0", "--device", "cpu", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        reader = threading.Thread(target=lambda: process.stdout and process.stdout.read())
        try:
            yield _opened(process, reader)
        finally:
            process.terminate()
            if reader.ident:
                reader.join(60)


def _opened(process: subprocess.Popen[str], reader: threading.Thread) -> Served:
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if found := re.match(r"open (http://\S+)", line):
            reader.start()  # so that the app never waits for a reader
            link = found[1]
            address = link.partition("?")[0].replace("0.0.0.0", "127.0.0.1")
            return Served(address=address, link=link, process=psutil.Process(process.pid))
    raise AssertionError("".join(said))
