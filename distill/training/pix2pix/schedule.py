"""The learning rate: constant, then straight down to 0, a pure function of the triplets seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """`constant` triplets at the rate `lr`, then `decay` triplets of linear decay (the public Pix2PixHD).

    Nothing is stored: a run that goes on has the rate of its place, and one that is extended that of the longer
    schedule at this place.
    """

    lr: float
    constant: int
    decay: int

    @property
    def samples(self) -> int:
        """Triplets of the whole run."""
        return self.constant + self.decay

    def at(self, samples: int) -> float:
        """The learning rate of an update that comes after so many triplets."""
        if samples < self.constant or not self.decay:
            return self.lr
        return self.lr * max(0.0, 1.0 - (samples - self.constant) / self.decay)
