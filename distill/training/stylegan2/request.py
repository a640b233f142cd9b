"""What `distill train-stylegan2` is asked to train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distill.devices import Precision


@dataclass(frozen=True, kw_only=True)
class TrainStyleGAN2Request:
    """A generator to train on the images of `data`, with checkpoints and grids in `out`.

    None leaves a choice to the preset, whose record says what each of them means (`presets.StyleGAN2Preset`).
    `*_kimg`: thousands of images.
    """

    data: Path
    out: Path
    preset: str = "small"
    kimg: float = 1000.0
    seed: int = 0
    resume: bool = False
    minutes: float | None = None
    # the data
    resolution: int | None = None
    mirror: bool = False
    held_out: int | None = None
    # the networks and their updates
    critic: str = "stylegan2"
    init: str | None = None
    batch: int | None = None
    lr: float | None = None
    gamma: float | None = None
    path_weight: float | None = None
    noise: bool | None = None
    augment: str | None = None
    ada_kimg: float | None = None
    head_start_kimg: float | None = None
    average_kimg: float | None = None
    # what happens on the way
    features: str = "auto"
    score_images: int = 1000
    tick_kimg: float | None = None
    snapshot_kimg: float | None = None
    score_kimg: float | None = None
    float16: bool = False
    # the machine
    precision: Precision = "auto"
