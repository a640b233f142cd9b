"""Progress of work in stages whose steps take unlike times: one bar, one estimate for the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from numpy.typing import NDArray

from distill.progress import Progress

BLOCK = 16  # rows that are worked on at once


class StagedProgress(Progress):
    """`work` maps each stage to its work in all, in a unit that the stages share."""

    def __init__(
        self, work: Mapping[str, float], *, stream: TextIO | None = None, quiet: bool = False
    ) -> None:
        super().__init__(sum(work.values()), noun="work unit", quiet=quiet, stream=stream)
        self.work = work

    def blocks(self, stage: str, rows: NDArray[Any], /) -> Iterator[NDArray[Any]]:
        """Go through the rows of an array in blocks; each counts when the next is asked for."""
        self.beside(stage)
        for first in range(0, len(rows), BLOCK):
            block = rows[first : first + BLOCK]
            yield block
            self.advance(self.work.get(stage, 0.0) * len(block) / len(rows))
