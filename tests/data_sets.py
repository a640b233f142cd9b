"""Small data set folders with synthetic images, for tests of what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from distill.shards.digest import digest_of
from distill.shards.folder import ShardReport, write_manifest
from distill.shards.layout import ShardContent
from distill.shards.write import commit_shard

REASONS = ("accepted", "ssim.nothing-changed", "face.none")
TRIED = 5  # candidates a shard: 0, 2 and 3 are accepted
ACCEPTED = (0, 2, 3)


def recipe_of(**changes: Any) -> dict[str, Any]:
    """A style-mix recipe of 16 px; keyword arguments replace fields."""
    generator = {
        "name": "tiny",
        "sha256": "ab" * 32,
        "resolution": 16,
        "licence": "CC0-1.0",
        "origin": "a test",
    }
    filters = [
        {"name": "ssim", "min_ssim": 0.25, "max_ssim": 0.9},
        {"name": "face", "max_framing_error": 0.15},
    ]
    base = {"task": "style-mix", "inputs": ["content", "style"], "target": "mixed", "generator": generator}
    choices = {
        "faces": {"min_confidence": 0.2},
        "filters": filters,
        "edit": {"name": "style-mix", "crossover": {"lo": 2, "hi": 3}},
        "resolution": 16,
        "codec": "raw",
        "seed": 0,
    }
    return {**base, **choices, "truncation_psi": 0.7, "align": "gate", **changes}


def images_of(shard: int, role: int, side: int) -> np.ndarray:
    """Smooth images [3, side, side, 3] that differ for every shard, role and row."""
    ramp = np.linspace(0, 1, side)
    plane = (ramp[:, None] + ramp[None, :]) * 60
    rows = [np.stack([plane + 30 * role, plane + 20 * shard, plane + 25 * row], axis=-1) for row in range(3)]
    return np.stack(rows).astype(np.uint8)


def content_of(shard: int, recipe: dict[str, Any]) -> ShardContent:
    """Three accepted rows of five candidates, one dropped by each reason."""
    roles = [*recipe["inputs"], recipe["target"]]
    change = np.asarray([0.5, 0.95, 0.6, 0.7, 0.4], np.float32)
    face = np.linspace(0.5, 1.5, TRIED * len(roles), dtype=np.float32).reshape(TRIED, -1)
    face[[1, 4]] = np.nan
    rows = list(ACCEPTED)
    return ShardContent(
        index=shard,
        digest=digest_of(recipe),
        recipe_json=json.dumps(recipe),
        codec=recipe["codec"],
        resolution=recipe["resolution"],
        images={role: images_of(shard, k, recipe["resolution"]) for k, role in enumerate(roles)},
        columns={
            "candidate": np.asarray(ACCEPTED, np.int64),
            "params/crossover": np.asarray([2, 3, 2], np.int16),
            "scores/ssim": change[rows],
            "scores/face_confidence": face[rows],
        },
        tried={
            "candidate": np.arange(TRIED, dtype=np.int64),
            "reason": np.asarray([0, 1, 0, 0, 2], np.uint8),
            "scores/ssim": change,
            "scores/face_confidence": face,
        },
        reasons=REASONS,
    )


def make_data_set(
    folder: Path, *, shards: int = 2, complete: bool = True, **changes: Any
) -> list[ShardReport]:
    """Write a data set of three rows a shard; without a manifest where it is not complete."""
    recipe = recipe_of(**changes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(recipe))
    reports = [commit_shard(folder, content_of(shard, recipe)) for shard in range(shards)]
    if complete:
        write_manifest(folder, recipe=recipe, digest=digest_of(recipe), n=3 * shards, reports=reports)
    return reports


DIGEST = digest_of(recipe_of())
