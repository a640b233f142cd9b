"""Small shards of noise images, and folders of them, for the tests of the format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill.shards.digest import digest_of
from distill.shards.folder import write_manifest
from distill.shards.layout import ShardContent
from distill.shards.write import commit_shard

RECIPE: dict[str, Any] = {
    "task": "style-mix",
    "inputs": ["content", "style"],
    "target": "mixed",
    "shard_size": 3,
    "generator": {"name": "noise", "sha256": "f" * 64, "licence": "none"},
}

MakeContent = Callable[..., ShardContent]
MakeDataSet = Callable[..., Path]


@pytest.fixture(scope="session")
def make_content() -> MakeContent:
    """Build the content of a shard: every second candidate accepted, smooth random images, random columns."""

    def build(
        index: int = 0,
        *,
        rows: int = 3,
        side: int = 16,
        codec: str = "raw",
        recipe: dict[str, Any] = RECIPE,
        **changes: Any,
    ) -> ShardContent:
        generator = np.random.default_rng([index, rows, side])
        candidates = np.arange(2 * rows)
        reason = np.where(candidates % 2 == 0, 0, 1).astype(np.uint8)
        images = {role: smooth_images(generator, rows, side) for role in ("content", "style", "mixed")}
        fields: dict[str, Any] = {
            "index": index,
            "digest": digest_of(recipe),
            "recipe_json": json.dumps(recipe, sort_keys=True),
            "codec": codec,
            "resolution": side,
            "images": images,
            "columns": {
                "candidate": candidates[reason == 0],
                "latents/content": generator.normal(size=(rows, 4, 6)).astype(np.float16),
                "latents/style": generator.normal(size=(rows, 4, 6)).astype(np.float32),
                "params/crossover": np.full(rows, 2, np.int16),
                "scores/ssim": generator.random(rows),
                "scores/face.confidence": generator.random((rows, 3)).astype(np.float32),
                "landmarks/content": (generator.random((rows, 68, 2)) * side).astype(np.float32),
                "quads/content": (generator.random((rows, 4, 2)) * side).astype(np.float32),
            },
            "tried": {
                "candidate": candidates,
                "reason": reason,
                "scores/ssim": generator.random(2 * rows).astype(np.float32),
            },
            "reasons": ["accepted", "ssim.nothing-changed"],
        }
        return ShardContent(**{**fields, **changes})

    return build


@pytest.fixture
def make_data_set(tmp_path: Path, make_content: MakeContent) -> MakeDataSet:
    """Write a complete data set of some shards (the last one shorter by a row) and return its folder."""

    def build(*, shards: int = 3, rows: int = 3, name: str = "data", **options: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        recipe = options.get("recipe", RECIPE)
        (folder / "recipe.json").write_text(json.dumps(recipe))
        lengths = [rows] * (shards - 1) + [max(1, rows - 1)]
        reports = [
            commit_shard(folder, make_content(i, rows=length, **options)) for i, length in enumerate(lengths)
        ]
        write_manifest(folder, recipe=recipe, digest=digest_of(recipe), n=sum(lengths), reports=reports)
        return folder

    return build


def smooth_images(generator: np.random.Generator, rows: int, side: int) -> np.ndarray:
    """Uint8 [rows, side, side, 3] of gradients with a little noise: what an image codec is made for."""
    ramp = np.linspace(0, 1, side)
    slopes = generator.uniform(0, 120, size=(rows, 2, 3))
    image = slopes[:, 0, None, None] * ramp[:, None, None] + slopes[:, 1, None, None] * ramp[None, :, None]
    return (image + generator.integers(0, 4, size=image.shape)).astype(np.uint8)
