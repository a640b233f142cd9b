"""Progress without a terminal: plain lines with rate, time left and the latest facts."""

from __future__ import annotations

import io

import pytest

from distill import progress as module
from distill.progress import Progress


def test_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with Progress(100, noun="triplet", done=20, stream=stream) as progress:
        for _ in range(4):
            now[0] += 10
            progress.beside("50% of candidates accepted")
            progress.advance(10)
    lines = stream.getvalue().splitlines()
    assert lines == ["50 of 100 triplets (50%), 1.0/s, 50 s left, 50% of candidates accepted"]


def test_a_last_batch_larger_than_what_is_missing_ends_at_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINE_EVERY", 0.0)
    stream = io.StringIO()
    with Progress(20, noun="image", done=4, stream=stream) as progress:
        for _ in range(3):
            progress.advance(8)
    assert stream.getvalue().splitlines()[-1].startswith("20 of 20 images (100%), ")
    assert progress.bar.n <= 20


def test_what_is_there_already_moves_the_bar_but_not_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with Progress(1000, stream=io.StringIO()) as progress:
        progress.skip(900)
        now[0] += 10
        progress.advance(10)
        assert progress.line() == "910 of 1000 rows (91%), 1.0/s, 1 min 30 s left"


def test_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    with Progress(1000, stream=stream) as progress:
        progress.skip(900)
        progress.advance(10)
        assert (progress.bar.n, progress.bar.initial) == (910, 900)
    assert " 91%" in stream.getvalue()
