"""The one thread of this process that draws.

Loading a teacher, its images, their filters: whoever wants a shard has all of it done there, and waits. Thus a shard
can be written while the next is drawn, and there is never more than one on the device. It is always the same thread
because the CUDA graphs of torch.compile belong to the thread that first used them, and torch.set_num_threads to the
thread that called it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")


class DrawingThread:
    """Does what it is given one after the other, while the givers wait."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="drawing")
        self._guard = threading.Lock()
        self._at_work: int | None = None  # the thread's number, while it is at work

    def do(self, work: Callable[[], T]) -> T:
        """Do `work` when its turn comes; return what it returns, raise what it raises.

        Where the wait itself is interrupted (Ctrl-C), work that has not begun is dropped, and other work interrupted.
        """
        piece = Future[T]()
        try:
            self._thread.submit(self._do, work, piece)
            return piece.result()
        except BaseException:
            if not piece.cancel() and not piece.done():
                self.interrupt()
                wait([piece])
            raise
        finally:
            del piece  # and with it an error, whose frames hold images

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in what is at work, as Ctrl-C would do on the main thread."""
        with self._guard:
            if self._at_work is not None:
                raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
                raise_in(ctypes.c_ulong(self._at_work), ctypes.py_object(KeyboardInterrupt))

    def _do(self, work: Callable[[], T], piece: Future[T]) -> None:
        try:
            if piece.set_running_or_notify_cancel():
                with self._interruptible():
                    result = work()
                piece.set_result(result)
        except BaseException as error:
            piece.set_exception(error)
        finally:
            del piece

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        with self._guard:
            self._at_work = threading.get_ident()
        try:
            yield
        finally:
            with self._guard:
                self._at_work = None


def drawing_thread() -> DrawingThread:
    """Return this process's; it starts with the first work."""
    with _MAKING:
        return _made_once()


_MAKING = threading.Lock()
_made_once = lru_cache(maxsize=1)(DrawingThread)
