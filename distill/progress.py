"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import math
import shlex
import sys
import time
from os import PathLike
from typing import Any, Self, TextIO

from tqdm import tqdm

from distill.files import path_text
from distill.timing import clock

LINE_EVERY = 30.0  # seconds between plain lines


class Progress:
    """Counts work towards a total and shows rate and time left; shows nothing where it is `quiet`.

    `done` was finished before the start: it moves the bar, not the rate. `keep` leaves the bar standing at the end.
    Work beyond the total, as of a last batch that is larger than what is missing, is not counted. A total of `inf` is
    one that nobody knows.
    """

    def __init__(
        self,
        total: float,
        *,
        noun: str = "row",
        done: float = 0,
        quiet: bool = False,
        keep: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        self.total, self.noun, self.done, self.quiet = total, noun, min(done, total), quiet
        self.count = 0.0  # since the start
        self.facts = ""
        self.stream = stream or sys.stderr
        self.on_terminal = self.stream.isatty() and not quiet
        self.started = self.last_line = time.monotonic()
        self.bar = tqdm(
            total=total,
            initial=self.done,
            unit=noun,
            file=self.stream,
            disable=not self.on_terminal,
            leave=keep,
            dynamic_ncols=True,
            smoothing=0.1,
        )

    def advance(self, count: float = 1) -> None:
        """Move on by `count`; without a terminal, print a line when it is time for one."""
        count = min(count, self.total - self.done - self.count)
        self.count += count
        if self.on_terminal:
            self.bar.update(count)
        elif time.monotonic() - self.last_line >= LINE_EVERY:
            self.last_line = time.monotonic()
            self.note(self.line())

    def skip(self, count: float) -> None:
        """Pass over what is there already: it moves the bar, not the rate."""
        self.done = min(self.done + count, self.total)
        if self.on_terminal:
            self.bar.n = self.bar.last_print_n = self.bar.initial = self.done
            self.bar.refresh()

    def beside(self, facts: str) -> None:
        """Keep the latest facts beside the bar, or at the end of the line."""
        self.facts = facts
        if self.on_terminal:
            self.bar.set_postfix_str(facts, refresh=False)

    def note(self, message: str) -> None:
        """Print a line without breaking the bar."""
        message = path_text(message)
        if self.on_terminal:
            self.bar.write(message, file=self.stream)
        elif not self.quiet:
            print(message, file=self.stream, flush=True)

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.started, 1e-9)

    @property
    def rate(self) -> float:
        """Work a second since the start."""
        return self.count / self.seconds

    def line(self) -> str:
        at = self.done + self.count
        facts = f", {self.facts}" if self.facts else ""
        if self.total == math.inf:
            return f"{at:.0f} {self.noun}s, {rate_text(self.rate)}{facts}"
        left = f"{clock((self.total - at) / self.rate)} left" if self.count else "no estimate yet"
        share = at / self.total if self.total else 1.0
        return (
            f"{at:.0f} of {self.total:.0f} {self.noun}s ({share:.0%}), {rate_text(self.rate)}, {left}{facts}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: Any) -> None:
        self.bar.close()


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size_text(count: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def command_text(*words: str | PathLike[str]) -> str:
    """Write a command as a shell takes it: what has spaces or other signs of the shell stands in quotes."""
    return shlex.join(path_text(word) for word in words)


def rate_text(rate: float) -> str:
    """Write a rate, 1/s: below 1 as the seconds that each takes."""
    return f"{rate:.1f}/s" if rate >= 1 or not rate else f"{1 / rate:.1f} s each"
