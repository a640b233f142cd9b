"""One projected photo: how near it came, its files, and whether they are there already.

L w+ layers, H = W image side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.editing.embedding import EmbeddedFace, Embedder, Space
from distill.editing.folder_settings import FolderSettings
from distill.editing.pictures import tiles_of
from distill.editing.projections import FORMAT, array_bytes, facts_bytes, has_w, read_facts
from distill.errors import os_error
from distill.faces.alignment import Pixels
from distill.faces.decode import PhotoError, read_photo
from distill.faces.identity import describe
from distill.faces.outputs import COMPARE, OutputFolder
from distill.faces.photo_results import json_paths, place_json
from distill.faces.photos import FaceCut, face_in_cut
from distill.files import file_sha256
from distill.pixels import to_float
from distill.stylegan2.delta import SUFFIX, write_delta

TOLD = {"l1", "identity", "from_mean", "far_layers", "seconds"}  # what reports need of a projection's JSON

MADE_BY = "project"
PROJECTED = FolderSettings(file=".distill-project.json", made_by=MADE_BY, holds="projections")


@dataclass(frozen=True, kw_only=True, eq=False)
class ProjectedPhoto:
    """The largest face of a photo in each space: facts as in its JSON, by space, and its pictures, the photo first.

    `before`: an earlier run did it.
    """

    photo: Path
    name: str
    spaces: Mapping[Space, Mapping[str, Any]]
    tiles: Sequence[Pixels]
    comparison: Path
    before: bool
    searched: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            **json_paths(photo=self.photo, comparison=self.comparison),
            "name": self.name,
            "before": self.before,
            "spaces": {space: dict(facts) for space, facts in self.spaces.items()},
        }


def finished(
    out: Path, photo: Path, stem: str, folders: Mapping[Space, str], settings: Mapping[str, Any]
) -> ProjectedPhoto | None:
    """Return what an earlier run made of this photo; None where something is missing, or the photo has changed."""
    spaces: dict[Space, Mapping[str, Any]] = {}
    for space, below in folders.items():
        facts = read_facts(out / below / f"{stem}.json")
        suffixes = (".png", *([SUFFIX] if space == "pti" else []))
        there = all((out / below / f"{stem}{suffix}").is_file() for suffix in suffixes)
        there = there and has_w(out / below / f"{stem}.npz")
        if (
            facts is None
            or not there
            or not facts.keys() >= TOLD
            or facts.get("generator_sha256") != settings["generator_sha256"]
        ):
            return None
        spaces[space] = facts
    try:
        digest = file_sha256(photo)
        row = read_photo(comparison := out / COMPARE / f"{stem}.png")
    except (OSError, PhotoError):
        return None
    if any(facts.get("photo_sha256") != digest for facts in spaces.values()):
        return None
    tiles = tiles_of(row, 1 + len(spaces))
    return ProjectedPhoto(
        photo=photo, name=stem, spaces=spaces, tiles=tiles, comparison=comparison, before=True
    )


def write_photo(
    cut: FaceCut,
    faces: Mapping[Space, EmbeddedFace],
    pictures: Mapping[Space, Pixels],
    *,
    row: Pixels,
    folders: Mapping[Space, str],
    embedder: Embedder,
    outputs: OutputFolder,
    settings: Mapping[str, Any],
) -> ProjectedPhoto:
    """Measure a face in each space and write its files, the JSON that completes them last."""
    common = _common_facts(cut, embedder, settings)
    spaces: dict[Space, Mapping[str, Any]] = {}
    for space, face in faces.items():
        outputs.write(pictures[space], cut.name, below=folders[space])
        outputs.write_file(array_bytes(face.ws), f"{cut.name}.npz", below=folders[space])
        if face.changes is not None:
            _write_changes(outputs.folder / folders[space] / f"{cut.name}{SUFFIX}", face, embedder)
        spaces[space] = {
            **common,
            "space": space,
            "procedure": embedder.procedure(space),
            **_nearness(cut, face, pictures[space], embedder),
        }
    comparison = outputs.write(row, cut.name, below=COMPARE)
    PROJECTED.write(outputs, settings)
    for space, facts in spaces.items():
        outputs.write_file(facts_bytes(facts), f"{cut.name}.json", below=folders[space])
    tiles = [cut.pixels, *pictures.values()]
    return ProjectedPhoto(
        photo=cut.photo, name=cut.name, spaces=spaces, tiles=tiles, comparison=comparison, before=False
    )


def _common_facts(cut: FaceCut, embedder: Embedder, settings: Mapping[str, Any]) -> dict[str, Any]:
    try:
        digest = file_sha256(cut.photo)
    except OSError as error:
        raise os_error(error) from error
    return {
        "format": FORMAT,
        **json_paths(photo=cut.photo),
        "photo_sha256": digest,
        **place_json(cut.face, cut.quad),
        "generator_sha256": embedder.generator.sha256,
        "resolution": embedder.generator.resolution,
        "distance": embedder.distance.name,
        "lpips_sha256": settings["lpips_sha256"],
    }


@torch.no_grad()
def _nearness(cut: FaceCut, face: EmbeddedFace, picture: Pixels, embedder: Embedder) -> dict[str, Any]:
    """Measure the picture against the photo, and w+ against the mean of w.

    `l1`: mean absolute difference on the 0..1 scale; `identity`: distance of the faces' descriptors, that lies
    below 0.6 for sharp pictures of one person; `from_mean`: in deviations of w, by layer.
    """
    both = torch.from_numpy(np.stack([picture, cut.pixels]))
    drawn, photo = to_float(both).to(embedder.generator.device)[:, None]
    measure, landmarks = embedder.distance, face_in_cut(cut, len(picture)).landmarks
    seen = measure.distance(measure.features(drawn), measure.features(photo))
    identity = np.linalg.norm(describe(picture, landmarks) - describe(cut.pixels, landmarks))
    from_mean = embedder.spread.distances(face.ws[None])[0].tolist()
    return {
        "l1": float((drawn - photo).abs().mean()) / 2,
        measure.name: float(seen),
        "identity": float(identity),
        "from_mean": [round(distance, 3) for distance in from_mean],
        "far_layers": [layer for layer, distance in enumerate(from_mean) if distance > embedder.spread.far],
        "steps": list(face.steps),
        "seconds": round(face.seconds, 2),
    }


def _write_changes(path: Path, face: EmbeddedFace, embedder: Embedder) -> None:
    try:
        write_delta(path, face.changes or {}, embedder.generator)
    except OSError as error:
        raise os_error(error) from error
