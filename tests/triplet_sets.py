"""Data sets of triplets that a small network can learn: a bright shape of one image in the colour of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from data_sets import recipe_of

from distill.shards.codec import encode_images
from distill.shards.digest import digest_of
from distill.shards.folder import write_manifest
from distill.shards.layout import ShardContent
from distill.shards.write import commit_shard

SIDE = 16


def triplets(numbers: np.ndarray, side: int = SIDE) -> dict[str, np.ndarray]:
    """Draw uint8 [N, H, W, 3] for each role; a number always gives the same triplet, and latents of two layers."""
    random = [np.random.default_rng(int(n)) for n in numbers]
    y, x = np.mgrid[:side, :side] / (side - 1) * 2 - 1
    centres = np.asarray([r.uniform(-0.4, 0.4, 2) for r in random])
    colours = np.asarray([[r.uniform(0, 1, 3), r.uniform(0, 1, 3)] for r in random])
    distance = (x - centres[:, 0, None, None]) ** 2 + (y - centres[:, 1, None, None]) ** 2
    shape = np.exp(-3 * distance)[..., None]
    plain = np.broadcast_to((0.2 + 0.6 * x)[None, :, :, None], shape.shape)

    def paint(form: np.ndarray, colour: np.ndarray) -> np.ndarray:
        return (255 * (0.1 + 0.8 * form * colour[:, None, None, :]).clip(0, 1)).astype(np.uint8)

    return {
        "content": paint(shape, colours[:, 0]),
        "style": paint(plain, colours[:, 1]),
        "mixed": paint(shape, colours[:, 1]),
        "latents/content": np.concatenate([centres, colours[:, 0]], axis=1)[:, None].astype(np.float32),
        "latents/style": colours[:, 1, None].astype(np.float32),
    }


def encoded(images: np.ndarray, codec: str) -> np.ndarray | list[bytes]:
    return images if codec == "raw" else encode_images(images, codec)


def make_triplets(
    folder: Path,
    *,
    rows: int = 48,
    per_shard: int = 16,
    faces: int | None = None,
    latents: bool = True,
    **changes: Any,  # of the recipe
) -> Path:
    """Write a data set; of `faces` different contents where that is given, else each row has its own."""
    recipe = recipe_of(resolution=SIDE, **changes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(recipe))
    reports = []
    roles = [*recipe["inputs"], recipe["target"]]
    names = ("content", "style", "mixed") if len(roles) == 3 else ("content", "mixed")
    for shard, first in enumerate(range(0, rows, per_shard)):
        numbers = np.arange(first, min(first + per_shard, rows))
        made = triplets(numbers)
        if faces:
            same = triplets(numbers % faces)
            made |= {name: same[name] for name in ("content", "latents/content")}
        columns = {name: made[name] for name in made if latents and name.startswith("latents/")}
        content = ShardContent(
            index=shard,
            digest=digest_of(recipe),
            recipe_json=json.dumps(recipe),
            codec=recipe["codec"],
            resolution=SIDE,
            images={
                role: encoded(made[name], recipe["codec"]) for role, name in zip(roles, names, strict=True)
            },
            columns={"candidate": np.arange(len(numbers)), **columns},
            tried={"candidate": np.arange(len(numbers)), "reason": np.zeros(len(numbers), np.uint8)},
            reasons=("accepted",),
        )
        reports.append(commit_shard(folder, content))
    write_manifest(folder, recipe=recipe, digest=digest_of(recipe), n=rows, reports=reports)
    return folder
