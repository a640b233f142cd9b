"""Notice every execution, import, unpickling and process start while something runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

_WATCHED = ("exec", "compile", "import", "os.", "subprocess.", "pickle.", "ctypes.", "socket.", "marshal.")
_HARMLESS = ("os.listdir", "os.scandir", "socket.gethostname")
_recorders: list[list[str]] = []


def _note(event: str, args: tuple[object, ...]) -> None:
    if _recorders and event.startswith(_WATCHED) and event not in _HARMLESS:
        _recorders[-1].append(f"{event} {args!r:.80}")


sys.addaudithook(_note)  # there is no way to take a hook out again


@contextlib.contextmanager
def watching(events: list[str]) -> Iterator[None]:
    """Append to `events` whatever the interpreter reports inside the block."""
    _recorders.append(events)
    try:
        yield
    finally:
        _recorders.pop()
