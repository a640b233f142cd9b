"""Folders of small pictures, as people have them, for tests of what imports them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def pixels_of(number: int, role: int, side: int = 16) -> np.ndarray:
    """A smooth image [side, side, 3] that differs for every number and role."""
    ramp = np.linspace(0, 150, side)
    planes = [ramp[:, None] + 0 * ramp + 9 * number, ramp[None, :] + 0 * ramp[:, None] + 30 * role]
    return np.stack([*planes, np.full((side, side), 40.0 * role + number)], axis=-1).astype(np.uint8)


def make_folders(
    folder: Path, names: Sequence[str], *, rows: int = 6, side: int = 16, suffix: str = ".png"
) -> Path:
    """Make one folder a name, each with pictures a0.png, a1.png, …"""
    for role, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(rows):
            save(folder / name / f"a{number}{suffix}", pixels_of(number, role, side))
    return folder


def make_side_by_side(folder: Path, *, rows: int = 6, side: int = 16) -> Path:
    """Make pictures with two images beside each other."""
    folder.mkdir(parents=True)
    for number in range(rows):
        save(folder / f"{number}.png", np.hstack([pixels_of(number, role, side) for role in (0, 1)]))
    return folder


def save(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path)
