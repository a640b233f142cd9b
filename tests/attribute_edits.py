"""A planted attribute: how red a picture is, a direction that raises it, and a scorer that sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from distill.directions.file import Direction, read_direction, write_direction
from distill.generation.batch import Batch
from distill.generation.pipeline import generate_shard
from distill.generation.recipe import Recipe, TaskRecipe
from distill.pixels import to_float, to_uint8
from distill.shards.layout import ShardContent
from distill.stylegan2.facts import Teacher
from distill.stylegan2.generator import Generator
from pipelines import RECIPES


class Redness:
    """Scores pictures without looking at faces: `gender` is the probability of red, `age` red itself, 0 to 80."""

    names = ("gender", "age")
    kinds = MappingProxyType({"gender": "probability", "age": "value"})
    sha256 = "ee" * 32
    needs_face = False

    def __init__(self, middle: float = 127.5, width: float = 4.0) -> None:
        self.middle, self.width = middle, width

    def __call__(self, images: Sequence[Any], faces: Sequence[Any], /) -> dict[str, Any]:
        assert len(images) == len(faces)
        red = np.array([image[..., 0].mean() for image in images])
        gender = 1 / (1 + np.exp(-(red - self.middle) / self.width))
        return {"gender": gender.astype(np.float32), "age": (red * 80 / 255).astype(np.float32)}


def pictures(*reds: list[int]) -> dict[str, torch.Tensor]:
    """Plain pictures of 4 px, one list of red values a candidate."""
    levels = np.array(reds, dtype=np.uint8).T
    images = np.zeros((*levels.shape, 4, 4, 3), dtype=np.uint8)
    images[..., 0] = levels[:, :, None, None]
    return {f"strength{k}": torch.from_numpy(x) for k, x in enumerate(images)}


def batch_of(images: Mapping[str, torch.Tensor], **params: Any) -> Batch:
    """A batch of drawn pictures, uint8 [N, H, W, 3] each."""
    drawn = {name: to_float(x) for name, x in images.items()}
    count = len(next(iter(drawn.values())))
    return Batch.of(range(count), drawn, latents=drawn, params=params)


def planted(teacher: Generator, channel: int = 0) -> tuple[torch.Tensor, float]:
    """The direction [L, D] along which pictures become redder, of length one standard deviation, and their middle.

    `channel` 1: greener.
    """
    ws = teacher.map(torch.randn(256, teacher.z_dim, generator=torch.Generator().manual_seed(5)))
    red = to_uint8(teacher.synthesize(ws))[..., channel].float().mean(dim=(1, 2))
    w = ws[:, 0] - ws[:, 0].mean(dim=0)
    weights = torch.linalg.lstsq(w, (red - red.mean())[:, None]).solution[:, 0]
    unit = weights / weights.norm()
    vector = unit * (w @ unit).std()
    return vector[None].repeat(teacher.num_ws, 1), float(red.median())


def write_planted(path: Path, teacher: Generator, attribute: str, **changes: Any) -> Direction:
    """Write the direction as a file, and read it back with its sha256."""
    fields = {
        "name": "redder",
        "attribute": attribute,
        "vector": planted(teacher)[0],
        "generator_sha256": teacher.sha256,
    }
    write_direction(path, Direction(**fields | changes))
    return read_direction(path)


def generate_small(*args: Any, **options: Any) -> ShardContent:
    """Draw a shard by four candidates at once."""
    return generate_shard(*args, batch_size=4, **options)


def task_of(name: str, **settings: Any) -> TaskRecipe:
    """A task without faces; `settings` are for what selects the pair."""
    base = RECIPES[name].without_faces().revised(shard_size=4)
    if not base.select:
        return base
    return base.reselected(find_faces=False, **settings)


def bound(base: TaskRecipe, teacher: Generator, *directions: Direction, **models: str) -> Recipe:
    facts = Teacher(
        name="tiny",
        sha256=teacher.sha256,
        resolution=teacher.resolution,
        num_ws=teacher.num_ws,
        z_dim=teacher.z_dim,
        w_dim=teacher.w_dim,
    )
    models = {"scorer_sha256": Redness.sha256, **models}
    return base.bind(facts, directions=directions, **models)
