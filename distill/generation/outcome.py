"""How a unit of work ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from distill.errors import DistillError


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The value of a task, or the line that says why there is none.

    `fatal`: the error concerns every task (a full disk, a hopeless filter), so the driver stops; `exit_code` is
    then the one to end with. `trace` is a traceback for whoever asks for one.
    """

    key: str
    value: Any | None = None
    error: str | None = None
    fatal: bool = False
    exit_code: int = 3
    trace: str = ""

    @classmethod
    def of_error(cls, key: str, error: DistillError) -> Self:
        return cls(key=key, error=str(error), fatal=error.fatal, exit_code=error.exit_code)
