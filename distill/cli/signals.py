"""Ctrl-C and SIGTERM: the first asks to stop, a second Ctrl-C stops at once, a third one does not even tidy up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from distill.__main__ import INTERRUPTED


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGINT, SIGTERM and SIGUSR1 (a batch system's warning) set."""
    stop, at_once = threading.Event(), threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if at_once.is_set() and number == signal.SIGINT:
            # Raised again it would break what ends workers and files.
            os.write(2, b"distill: interrupted\n")
            os._exit(INTERRUPTED)
        if stop.is_set() and number == signal.SIGINT:
            at_once.set()
            raise KeyboardInterrupt
        stop.set()
        again = "; again to stop at once" if number == signal.SIGINT else ""
        click.echo(f"\nstopping after the work in hand{again}", err=True)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
