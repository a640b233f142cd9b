"""Progress without a terminal: plain lines with rate, acceptance and time left."""

from __future__ import annotations

import io

import pytest

from distill import progress as module
from distill.progress import AcceptanceProgress


def test_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with AcceptanceProgress(100, done=20, stream=stream) as progress:
        for _ in range(4):
            now[0] += 10
            progress.update(10, 20)
    lines = stream.getvalue().splitlines()
    assert lines == ["50/100 triplets (50%), 1.0/s, 50% of candidates accepted, 50 s left"]
