"""What a training is asked for, whatever the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distill.devices import Precision
from distill.errors import DistillError


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """A network to train on `data`, with checkpoints, pictures and a page in `out`.

    `data` None: for a model that can learn without. `preset` None: the model's own choice for the data. `changes`:
    settings of the preset by name, as values or text. `minutes`: save and stop after this long. `*_kimg`:
    thousands of samples between two of them; None: the model's own. `log` "wandb": also there.
    `features` of the Fréchet score by name, `score_images`: how many are scored at most.
    """

    data: Path | None
    out: Path
    preset: str | None = None
    changes: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0
    resume: bool = False
    minutes: float | None = None
    features: str = "auto"
    score_images: int = 1000
    tick_kimg: float | None = None
    snapshot_kimg: float | None = None
    save_kimg: float | None = None
    score_kimg: float | None = None
    log: str | None = None
    precision: Precision = "auto"

    def needed_data(self) -> Path:
        """Return `data`. Raises DistillError where there is none."""
        if self.data is None:
            raise DistillError("no data to train on: name a folder")
        return self.data
