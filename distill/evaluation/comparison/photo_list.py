"""The frozen list of a comparison: which photographs, cut how, each with the sha256 of its file and of its pixels.

It lies in photos.json beside the aligned pictures; every method and every later run gets these pixels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.decode import PhotoError, read_photo
from distill.faces.detection import Face
from distill.files import path_text, read_regular
from distill.progress import plural
from distill.schema import canonical_json, parse_json

LIST = "photos.json"
FORMAT = "distill-comparison-1"
ALIGNED, REALS, TRUTHS = "aligned", "real", "truth"  # folders of pictures
LISTS = ("photos", "real")  # keys of `asked` that hold files


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenFace:
    """One face to edit: its aligned picture, the landmarks in it, the wanted `way` of the score, the true edit."""

    name: str
    path: Path
    face: Face
    way: int
    truth: Path | None = None

    def pixels(self) -> Pixels:
        return read_photo(self.path)

    def true_pixels(self) -> Pixels | None:
        return read_photo(self.truth) if self.truth else None


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenPhotos:
    """The faces to edit and the real pictures of what they should become; `key` is the sha256 of the list."""

    key: str
    size: int
    faces: Sequence[FrozenFace]
    real: Sequence[Path]
    left_out: Mapping[str, int]

    @property
    def names(self) -> list[str]:
        return [face.name for face in self.faces]


def pixels_sha256(pixels: Pixels) -> str:
    """Return the sha256 of an image [H, W, 3]: of its bytes, row by row."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def face_json(face: Face) -> dict[str, Any]:
    """Write a face to the hundredth of a pixel."""
    return {
        "box": [round(float(x), 2) for x in face.box],
        "confidence": round(float(face.confidence), 4),
        "landmarks": np.round(face.landmarks, 2).tolist(),
    }


def read_list(out: Path) -> dict[str, Any] | None:
    """Return what photos.json says, None where there is none. Raises DistillError for one that is broken."""
    path = out / LIST
    if not path.is_file():
        return None
    try:
        facts = parse_json(read_regular(path))
    except (OSError, ValueError) as error:
        raise DistillError(f"{path_text(path)}: cannot be read ({error}): choose another --out") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise DistillError(f"{path_text(path)}: no list of distill compare: choose another --out")
    return facts


def check_same(out: Path, kept: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise DistillError where the folder's list was made for other photographs, or asked for otherwise."""
    before = kept["asked"]
    for key in asked:
        if before.get(key) == asked[key]:
            continue
        if key in LISTS:
            old, new = ({each["file"]: each["sha256"] for each in side[key]} for side in (before, asked))
            other = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
            what = f"another list of {key}: {plural(len(other), 'file')} changed, first {other[0]}"
        else:
            what = f"{key} {before.get(key)}, not {asked[key]}"
        raise DistillError(f"{path_text(out / LIST)} was made for {what}: choose another --out")


def frozen_of(out: Path, facts: Mapping[str, Any]) -> FrozenPhotos:
    """Return the list as `facts`, of photos.json, have it."""
    faces = [
        FrozenFace(
            name=each["name"],
            path=out / ALIGNED / f"{each['name']}.png",
            face=Face(
                box=tuple(each["face"]["box"]),
                confidence=each["face"]["confidence"],
                landmarks=np.array(each["face"]["landmarks"], np.float64),
            ),
            way=each["way"],
            truth=out / TRUTHS / f"{each['name']}.png" if each.get("truth") else None,
        )
        for each in facts["faces"]
    ]
    real = [out / each["folder"] / f"{each['name']}.png" for each in facts["real"]]
    key = hashlib.sha256(canonical_json(facts).encode()).hexdigest()
    return FrozenPhotos(
        key=key, size=facts["asked"]["size"], faces=faces, real=real, left_out=facts["left_out"]
    )


def is_whole(out: Path, facts: Mapping[str, Any]) -> bool:
    """Tell whether all pictures of a list are there as they were cut."""
    wanted = [(out / ALIGNED / f"{each['name']}.png", each["pixels_sha256"]) for each in facts["faces"]]
    wanted += [
        (out / TRUTHS / f"{each['name']}.png", each["truth"]["pixels_sha256"])
        for each in facts["faces"]
        if each.get("truth")
    ]
    wanted += [
        (out / each["folder"] / f"{each['name']}.png", each["pixels_sha256"]) for each in facts["real"]
    ]
    return all(is_picture(path, sha256) for path, sha256 in wanted)


def is_picture(path: Path, sha256: str) -> bool:
    """Tell whether a picture is there and has these pixels."""
    try:
        return pixels_sha256(read_photo(path)) == sha256
    except PhotoError:
        return False


def list_bytes(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode()
