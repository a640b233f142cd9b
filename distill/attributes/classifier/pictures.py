"""Examples → what a network sees of each, in several processes; what cannot be used is named and counted."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import numpy as np

from distill.attributes.classifier.examples import Example
from distill.attributes.crops import Crop
from distill.attributes.photos import Photo, Seen, see
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.parallel import ordered

AT_ONCE = 32  # pictures that go on together
ONLY = "image"


@dataclass(frozen=True, kw_only=True)
class SkippedExample:
    """A picture that is not used, and why."""

    name: str
    reason: str
    detail: str


@dataclass(kw_only=True)
class ExampleTally:
    """The examples that are used, in order, and those that are not. At most `most_skips` may fail."""

    found: int
    most_skips: int
    used: list[Example] = field(default_factory=list)
    skips: list[SkippedExample] = field(default_factory=list)
    copies: int = 0  # pictures that are there twice with one label
    _seen: dict[str, Example] = field(default_factory=dict)

    def takes(self, example: Example, seen: Seen) -> bool:
        """Count one picture, and tell whether it is used. Raises DistillError when too many were not."""
        if seen.chips is None:
            self._skip(example, seen.outcome.reason, seen.outcome.detail)
            return False
        digest = hashlib.sha256(seen.chips[ONLY].tobytes()).hexdigest()
        twin = self._seen.setdefault(digest, example)
        if twin is not example and twin.label != example.label:
            self._skip(example, "two labels", f"the same picture as {twin.name}, which is {twin.label!r}")
        elif twin is not example:
            self.copies += 1  # in learning and testing at once it would flatter the result
        else:
            self.used.append(example)
        return twin is example

    @property
    def reasons(self) -> dict[str, int]:
        return dict(Counter(skip.reason for skip in self.skips).most_common())

    def _skip(self, example: Example, reason: str, detail: str) -> None:
        self.skips.append(SkippedExample(name=example.name, reason=reason, detail=detail))
        if len(self.skips) > self.most_skips:
            reasons = ", ".join(f"{name} {count}" for name, count in self.reasons.items())
            first = self.skips[0]
            raise DistillError(
                f"skipped {len(self.skips)} of {self.found} pictures, only {self.most_skips} allowed "
                f"(--max-skips): {reasons}; the first is {first.name} ({first.detail}); nothing was written"
            )


def chips_of(
    examples: Sequence[Example], crop: Crop, tally: ExampleTally, *, workers: int, stop: threading.Event
) -> Iterator[tuple[int, Pixels]]:
    """Yield (pictures looked at, chips [n, H, W, 3] of those that are used), some at a time.

    Raises DistillError when too many cannot be used, Interrupted when `stop` is set.
    """
    photos = [Photo(name=item.name, path=item.path, size=0, mtime_ns=0) for item in examples]
    seen = ordered(partial(see, crops={ONLY: crop}), photos, workers=workers, stop=stop)
    pairs = zip(examples, seen, strict=True)
    while part := list(islice(pairs, AT_ONCE)):
        chips = [
            found.chips[ONLY]
            for example, found in part
            if tally.takes(example, found) and found.chips is not None
        ]
        if chips:
            yield len(part), np.stack(chips)
        else:
            yield len(part), np.empty((0, crop.height, crop.width, 3), dtype=np.uint8)
