"""A set of avatars: drawn batch by batch, their attributes as labels, written as one image set."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.parallel import default_workers, ordered
from distill.shards.images.avatars import LOOKS, NEUTRAL, PACKAGES, AvatarLook, Licence, draw, licence_of
from distill.shards.images.layout import check_resolution
from distill.shards.images.write import ImageWriter, Label, WrittenImageSet, check_output
from distill.timing import clock

BATCH = 32  # avatars a task
SAMPLE = 16  # avatars that are drawn to estimate the time
ABSENT = "none"  # the label of an attribute that an avatar does not have
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class RenderAvatarsRequest:
    """`n` avatars of a style to draw into the image set `out`; `workers` None: one a core for many avatars."""

    style: str
    n: int
    out: Path
    resolution: int = 64
    seed: int = 0
    workers: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class AvatarPlan:
    """A request that can be carried out, with the licence of its style."""

    request: RenderAvatarsRequest
    licence: Licence
    workers: int

    @property
    def bytes(self) -> int:
        """Bytes of all pixels."""
        return self.request.n * 3 * self.request.resolution**2

    def facts(self) -> dict[str, Any]:
        request = self.request
        chosen = {name: getattr(request, name) for name in ("style", "n", "resolution", "seed")}
        licence = {"licence": self.licence.name, "attribution": self.licence.attribution}
        return {**chosen, "workers": self.workers, "out": str(request.out), **licence}

    def title(self) -> str:
        side = self.request.resolution
        return f"{self.request.n} {self.request.style} avatars, {side}×{side}"

    def lines(self, seconds: float) -> list[str]:
        """Say what would be done, in about how many seconds."""
        where = f"{self.bytes / 1e6:.1f} MB in {self.request.out}"
        took = f"about {clock(seconds)} with {self.workers} workers"
        return [f"{self.title()} → {where}: {took}", self.credit()]

    def result_lines(self, written: WrittenImageSet, seconds: float) -> list[str]:
        """Say what was done."""
        rate = self.request.n / max(seconds, 0.1)
        size = f"({written.bytes / 1e6:.1f} MB, {rate:.0f} a second)"
        return [f"{self.title()} → {written.path} {size}", f"sha256 {written.sha256}", self.credit()]

    def credit(self) -> str:
        return f"licence {self.licence.name}: {self.licence.attribution}"


@dataclass(frozen=True, kw_only=True)
class AvatarBatch:
    """Avatars `first` to `first` + `count` of one set."""

    style: str
    seed: int
    first: int
    count: int
    resolution: int


def plan_avatars(request: RenderAvatarsRequest) -> AvatarPlan:
    """Check style, size and place. Raises DistillError, and DiskFull where the set does not fit."""
    check_resolution(request.resolution)
    licence = licence_of(request.style)
    check_output(request.out, overwrite=request.overwrite, images=request.n, resolution=request.resolution)
    return AvatarPlan(
        request=request, licence=licence, workers=request.workers or default_workers(request.n, 500)
    )


def estimate(plan: AvatarPlan) -> float:
    """Return about how many seconds a plan takes, by drawing a few avatars."""
    request = plan.request
    draw(request.style, "warm-up", request.resolution)
    started = time.perf_counter()
    for index in range(SAMPLE):
        draw(request.style, f"sample-{index}", request.resolution)
    return round((time.perf_counter() - started) / SAMPLE * request.n / plan.workers, 1)


def render(
    plan: AvatarPlan, *, stop: threading.Event, progress: Callable[[int], None] = lambda pictures: None
) -> WrittenImageSet:
    """Draw avatars 0 to n - 1 of a style, each by the seed "SEED-INDEX", and write them as an image set.

    Labels are the attributes that differ among them. The bytes depend on style, n, resolution, seed and the
    versions of the packages, which stand in the file. Raises Interrupted when `stop` is set.
    """
    request, attributes = plan.request, AvatarAttributes()
    style, n, seed = request.style, request.n, request.seed
    tasks = batches(style, n, resolution=request.resolution, seed=seed)
    with ImageWriter(request.out, request.resolution) as writer:
        for images, options in ordered(render_batch, tasks, workers=plan.workers, stop=stop):
            for image in images:
                writer.add(image)
            for resolved in options:
                attributes.add(resolved)
            progress(len(images))
        labels, same = attributes.labels()
        source = {
            "kind": "avatars",
            "style": style,
            "seed": seed,
            "frame": LOOKS.get(style, AvatarLook()).frame,
            "licence": plan.licence.__dict__,
            "same": same,
            "packages": {name: metadata.version(name) for name in PACKAGES.values()},
        }
        names = [f"{seed}-{index}" for index in range(n)]
        return writer.commit(names=names, labels=labels, weight=None, source=source)


def batches(style: str, n: int, *, resolution: int, seed: int) -> list[AvatarBatch]:
    """Divide avatars 0 to n - 1 into tasks."""
    return [
        AvatarBatch(style=style, seed=seed, first=first, count=min(BATCH, n - first), resolution=resolution)
        for first in range(0, n, BATCH)
    ]


def render_batch(batch: AvatarBatch) -> tuple[Pixels, list[dict[str, Any]]]:
    """Return images [count, H, W, 3] and the resolved attributes of each."""
    drawn = [
        draw(batch.style, f"{batch.seed}-{batch.first + index}", batch.resolution)
        for index in range(batch.count)
    ]
    return np.stack([image for image, _ in drawn]), [options for _, options in drawn]


class AvatarAttributes:
    """The resolved attributes of many avatars, by column: `values` maps a key to one value each, or None."""

    def __init__(self) -> None:
        self.count = 0
        self.values: dict[str, list[Any]] = {}

    def add(self, options: Mapping[str, Any]) -> None:
        """Append one avatar's attributes."""
        for key in options.keys() - self.values.keys():
            self.values[key] = [None] * self.count
        for key, column in self.values.items():
            value = options.get(key)
            text = ",".join(map(str, value)) or ABSENT if isinstance(value, list) else value
            column.append(sys.intern(text) if isinstance(text, str) else text)
        self.count += 1

    def labels(self) -> tuple[dict[str, Label], dict[str, Any]]:
        """Return the attributes that differ as columns [N], and those that are the same wherever they occur.

        Numbers are float32, NaN where an avatar lacks the attribute; all else is text, there "none".
        """
        labels: dict[str, Label] = {}
        same: dict[str, Any] = {}
        for key, values in sorted(self.values.items()):
            occurring = set(values) - {None, ABSENT}
            optional = key.endswith("Variant") and None in values
            if len(occurring) < 2 and not (occurring and optional):
                if occurring - NEUTRAL:
                    same[key] = occurring.pop()
            elif all(type(value) in (int, float) for value in occurring):
                labels[key] = np.array([np.nan if value is None else value for value in values], dtype="<f4")
            else:
                labels[key] = [ABSENT if value is None else str(value) for value in values]
        return labels, same
