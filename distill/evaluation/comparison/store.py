"""What one method made and what was measured of it, in a folder of its own; it outlives interruptions.

methods/NAME-KEY/PHOTO.png, and method.json with the sha256 of each picture's pixels, seconds and measures.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.evaluation.comparison.photo_list import FrozenFace, is_picture, pixels_sha256
from distill.faces.alignment import Pixels
from distill.faces.decode import read_photo
from distill.faces.outputs import OutputFolder
from distill.files import read_regular
from distill.schema import parse_json
from distill.timing import ImageTime

FACTS = "method.json"
METHODS = "methods"
KEY_LETTERS = 12
SAVE_EVERY = 5.0  # seconds


class MethodStore:
    """The pictures and measures of one method; `depends_on`: what the measures depend on. Written by `save`."""

    def __init__(self, outputs: OutputFolder, name: str, key: str, depends_on: Mapping[str, Any]) -> None:
        self.outputs, self.key, self.depends_on = outputs, key, dict(depends_on)
        self.below = store_folder(outputs.folder, name, key)
        facts = _read(outputs.folder / self.below / FACTS, key)
        self.made: dict[str, dict[str, Any]] = facts.get("pictures", {})
        same = facts.get("depends_on") == self.depends_on
        self.rows: dict[str, dict[str, Any]] = facts.get("measures", {}) if same else {}
        self.time: dict[str, Any] | None = facts.get("time")
        self._saved = time.monotonic()

    def path(self, face: FrozenFace) -> Path:
        return self.outputs.folder / self.below / f"{face.name}.png"

    def has(self, face: FrozenFace) -> bool:
        """Tell whether a picture is there, unchanged."""
        made = self.made.get(face.name)
        return made is not None and is_picture(self.path(face), made["sha256"])

    def pixels(self, face: FrozenFace) -> Pixels:
        return read_photo(self.path(face))

    def add(self, face: FrozenFace, picture: Pixels, seconds: float) -> None:
        self.outputs.write(picture, face.name, below=self.below)
        self.made[face.name] = {"sha256": pixels_sha256(picture), "seconds": round(seconds, 4)}
        self.rows.pop(face.name, None)

    def timed(self, found: ImageTime) -> None:
        self.time = {"milliseconds": found.milliseconds, "how": found.how}

    def image_time(self, how: str) -> ImageTime:
        """How long an image takes: as it was measured, else the mean of those made (`how` tells which)."""
        if self.time is not None:
            return ImageTime(self.time["milliseconds"], self.time["how"])
        seconds = [made["seconds"] for made in self.made.values()]
        return (
            ImageTime(1000 * sum(seconds) / len(seconds), how)
            if how and seconds
            else ImageTime(None, "not timed")
        )

    def save(self, *, now: bool = False) -> None:
        """Write method.json, where some seconds have gone by or `now`."""
        if not now and time.monotonic() - self._saved < SAVE_EVERY:
            return
        facts = {
            "key": self.key,
            "depends_on": self.depends_on,
            "time": self.time,
            "pictures": self.made,
            "measures": self.rows,
        }
        self.outputs.write_file(json.dumps(facts).encode(), FACTS, below=self.below)
        self._saved = time.monotonic()


def store_folder(out: Path, name: str, key: str) -> str:
    """Name the folder of a method below `out`: the one that ends in its key, whatever it was called then."""
    short = key[:KEY_LETTERS]
    there = sorted((out / METHODS).glob(f"*-{short}"))
    slug = re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).strip(".-") or "method"
    return f"{METHODS}/{there[0].name if there else f'{slug}-{short}'}"


def _read(path: Path, key: str) -> dict[str, Any]:
    """Return what an earlier run left; {} where nothing of use is there."""
    try:
        facts = parse_json(read_regular(path))
    except (OSError, ValueError):
        return {}
    if not isinstance(facts, dict) or facts.get("key") != key:
        return {}
    return facts if all(isinstance(facts.get(name), dict) for name in ("pictures", "measures")) else {}
