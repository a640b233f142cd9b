"""Photographs for comparisons, whose attribute is how bright they are, and a judge who reads that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from distill.networks.pix2pixhd import Architecture, create
from distill.networks.student import StudentFacts, save_student

ASTRONAUT = Path(__file__).parent / "golden" / "alignment" / "astronaut.png"
SIDE = 64
DARK, BRIGHT = (60, 66, 72, 78), (150, 154, 158, 162, 166, 170, 174, 178)


class BrightnessJudge:
    """Bright faces are of one class, and each level of grey is a year."""

    names: Sequence[str] = ("gender", "age")
    kinds = MappingProxyType({"gender": "probability", "age": "value"})
    sha256, needs_face = "ab" * 32, True

    def __call__(self, images, faces):
        mean = np.asarray(images).mean(axis=(1, 2, 3))
        return {"gender": (mean / 255).astype(np.float32), "age": mean.astype(np.float32)}


def lit_face(level: float, side: int = 128) -> np.ndarray:
    """One face, framed as FFHQ frames it, whose mean is about this level of grey."""
    with Image.open(ASTRONAUT) as image:
        pixels = np.asarray(image.convert("RGB").resize((512, 512)))[:256, 96:352]
    small = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)).astype(float)
    return np.clip(small * level / small.mean(), 0, 255).astype(np.uint8)


def write_faces(folder: Path, levels: Sequence[float] = (*DARK, *BRIGHT), side: int = 128) -> Path:
    """One face a level, as LEVEL.png."""
    folder.mkdir(parents=True, exist_ok=True)
    for level in levels:
        Image.fromarray(lit_face(level, side)).save(folder / f"{level}.png")
    return folder


def write_student(folder: Path, *, seed: int = 0, **facts) -> Path:
    """A run whose student is a tiny random network."""
    folder.mkdir(parents=True)
    network = create(Architecture(inputs=3, ngf=2, downsamplings=1, blocks=1), seed=seed)
    known = {"task": "gender-swap", "inputs": ("source",), "resolution": SIDE, "kimg": 2.0, **facts}
    save_student(folder / "student-best.safetensors", network, StudentFacts(**known))
    return folder


def write_cyclegan(folder: Path, domains: tuple[str, str]) -> Path:
    """A run with two tiny random translators, between domains of these names."""
    folder.mkdir(parents=True)
    for seed, (name, source, target) in enumerate((("a2b", *domains), ("b2a", *domains[::-1]))):
        network = create(Architecture(inputs=3, ngf=2, downsamplings=1, blocks=1), seed=seed)
        facts = StudentFacts(inputs=(source,), target=target, resolution=SIDE, kimg=2.0)
        save_student(folder / f"{name}.safetensors", network, facts)
    return folder
