"""`distill` and `python -m distill`: from the start on, a signal to stop ends it in one line and exit code 130."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command of this process, and exit."""
    _answer_signals(interrupt)
    try:
        from distill.cli.main import main as run_command  # takes a while

        run_command()
    except KeyboardInterrupt:  # while an error was being printed
        _leave()
    finally:
        _answer_signals(signal.SIG_IGN)  # the exit code is known


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; leave at once where modules are being imported, which may swallow it."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _leave()
        frame = frame.f_back
    raise KeyboardInterrupt


def _answer_signals(handler: signal._HANDLER) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells leave it for what shall go on
            signal.signal(number, handler)


def _leave() -> NoReturn:
    os.write(2, b"distill: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
