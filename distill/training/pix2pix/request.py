"""What `distill train-pix2pix` is asked to train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distill.devices import Precision
from distill.networks.pix2pixhd import Norm


@dataclass(frozen=True, kw_only=True)
class TrainPix2PixRequest:
    """A student to train on the triplets of `data`, with checkpoints and pictures in `out`.

    None leaves a choice to the preset, whose record says what each of them means (`presets.Pix2PixPreset`).
    `*_kimg`: thousands of triplets. `inputs`, `target`: roles, those of the recipe unless named.
    """

    data: Path
    out: Path
    preset: str | None = None
    seed: int = 0
    resume: bool = False
    minutes: float | None = None
    # the data
    resolution: int | None = None
    inputs: str | None = None
    target: str | None = None
    augment: str | None = None
    val_fraction: float = 0.05
    cache_gib: float = 4.0
    # the networks
    init: Path | None = None
    ngf: int | None = None
    downsamplings: int | None = None
    blocks: int | None = None
    enhancers: int | None = None
    norm: Norm | None = None
    ndf: int | None = None
    # the updates
    batch: int | None = None
    accumulate: int = 1
    lean: bool = False
    lr: float | None = None
    constant_epochs: float | None = None
    decay_epochs: float | None = None
    warm_up_epochs: float | None = None
    feature_matching: float | None = None
    perceptual: str | None = None
    perceptual_weight: float | None = None
    vgg19: Path | None = None
    l1_weight: float | None = None
    # what happens on the way
    score_images: int = 1000
    features: str = "auto"
    tick_kimg: float | None = None
    snapshot_kimg: float | None = None
    save_kimg: float | None = None
    # the machine
    precision: Precision = "auto"
    compiled: bool = False
