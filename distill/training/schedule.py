"""What changes over a run: the losses at its start, and the learning rate. Pure functions of the samples seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """`constant` samples at the rate `lr`, then `decay` samples of linear decay (the public Pix2PixHD, CycleGAN).

    On the first `warm_up` of all these the generator learns from the distance of pixels alone: no discriminator, no
    perceptual features, so each takes a fraction of the time.

    Nothing is stored: a run that goes on has the rate of its position, and one that is extended that of the longer
    schedule at this position.
    """

    lr: float
    constant: int
    decay: int
    warm_up: int = 0

    @property
    def samples(self) -> int:
        """Samples of the whole run."""
        return self.constant + self.decay

    def at(self, samples: int) -> float:
        """The learning rate of an update that comes after this many samples."""
        falling = samples - self.constant
        if falling < 0 or not self.decay:
            return self.lr
        return self.lr * max(0.0, 1.0 - falling / self.decay)

    def warms_up(self, samples: int) -> bool:
        """Tell whether an update that comes after this many samples is one of pixels alone."""
        return samples < self.warm_up
