"""A set of avatars: drawn batch by batch, their attributes as labels."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.parallel import default_workers, ordered
from distill.progress import plural
from distill.schema import canonical_json
from distill.shards.collect import Collection, Entry, check_recipe, collect
from distill.shards.folder import RECIPE_FILE, read_json
from distill.shards.images.avatars import (
    LOOKS,
    NEUTRAL,
    PACKAGES,
    AvatarLook,
    Licence,
    attributes_of,
    draw,
    licence_of,
)
from distill.shards.images.image_set import (
    LabelColumn,
    WrittenImages,
    check_resolution,
    check_room,
    image_entry,
    image_recipe,
)
from distill.shards.place import check_place
from distill.timing import clock

BATCH = 32  # avatars a task
SAMPLE = 16  # avatars that are drawn to estimate the time
ABSENT = "none"  # the label of an attribute that an avatar does not have
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class RenderAvatarsRequest:
    """`n` avatars of a style to draw into the data set `out`; `workers` None: one a core for many avatars."""

    style: str
    n: int
    out: Path
    resolution: int = 64
    seed: int = 0
    codec: str = "raw"
    workers: int | None = None


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
        took = f"about {clock(seconds)} with {plural(self.workers, 'worker')}"
        return [f"{self.title()} → {where}: {took}", self.credit()]

    def result_lines(self, written: WrittenImages, seconds: float) -> list[str]:
        """Say what was done."""
        rate = self.request.n / max(seconds, 0.1)
        shards = plural(len(written.reports), "shard")
        size = f"({shards}, {written.bytes / 1e6:.1f} MB, {rate:.0f} a second)"
        return [f"{self.title()} → {written.folder} {size}", f"digest {written.digest}", self.credit()]

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

    @property
    def seeds(self) -> list[str]:
        return [f"{self.seed}-{self.first + index}" for index in range(self.count)]


def plan_avatars(request: RenderAvatarsRequest) -> AvatarPlan:
    """Check style, size and place. Raises DistillError, and DiskFull where the set does not fit."""
    check_resolution(request.resolution)
    licence = licence_of(request.style)
    if check_place(request.out):
        check_same(request, licence)
    check_room(request.out, images=request.n, resolution=request.resolution, codec=request.codec)
    return AvatarPlan(
        request=request, licence=licence, workers=request.workers or default_workers(request.n, 500)
    )


def check_same(request: RenderAvatarsRequest, licence: Licence) -> None:
    """Refuse a place that holds another data set, as far as that shows before the attributes are known."""
    there, known = read_json(request.out / RECIPE_FILE), source_of(request, licence)
    source = there.get("source")
    if isinstance(source, dict):
        there["source"] = {name: value for name, value in source.items() if name in known}
    here = image_recipe(resolution=request.resolution, codec=request.codec, source=known)
    check_recipe(request.out, there, here)


def estimate(plan: AvatarPlan) -> float:
    """Return about how many seconds a plan takes, by drawing a few avatars; attributes are found once before."""
    request = plan.request
    draw(request.style, "warm-up", request.resolution)
    started = time.perf_counter()
    for index in range(SAMPLE):
        attributes_of(request.style, f"sample-{index}")
        draw(request.style, f"sample-{index}", request.resolution)
    return round((time.perf_counter() - started) / SAMPLE * request.n / plan.workers, 1)


def render(
    plan: AvatarPlan,
    *,
    stop: threading.Event,
    progress: Callable[[int], object] = lambda pictures: None,
    skip: Callable[[int], object] = lambda pictures: None,
) -> WrittenImages:
    """Draw avatars 0 to n - 1 of a style, each by the seed "SEED-INDEX", and write them as a data set.

    `progress` hears of avatars drawn, `skip` of those that are there.

    Labels are the attributes that differ among them, which are all known before the first is drawn. The bytes depend
    on style, n, resolution, seed, codec and the versions of the packages, which stand in the recipe. Raises
    Interrupted and DiskFull, after which the same call goes on.
    """
    request = plan.request
    labels, source = survey(plan, stop=stop)
    collection = Collection(
        folder=request.out,
        recipe=image_recipe(resolution=request.resolution, codec=request.codec, source=source),
        candidates=request.n,
        entries=partial(_entries, plan, labels, stop),
    )
    reports = collect(collection, stop=stop, advance=progress, skip=skip)
    return WrittenImages(folder=request.out, digest=collection.digest, reports=reports)


def survey(plan: AvatarPlan, *, stop: threading.Event) -> tuple[dict[str, LabelColumn], dict[str, Any]]:
    """Return the labels [n] of all avatars, and what the recipe says of them; nothing is drawn."""
    request, attributes, hashed = plan.request, AvatarAttributes(), hashlib.sha256()
    for options in ordered(batch_attributes, _tasks(request), workers=plan.workers, stop=stop):
        for resolved in options:
            attributes.add(resolved)
            hashed.update(canonical_json(resolved).encode())
    labels, same = attributes.labels()
    found = {"same": same, "labels": sorted(labels), "sha256": hashed.hexdigest()}
    return labels, {**source_of(request, plan.licence), **found}


def source_of(request: RenderAvatarsRequest, licence: Licence) -> dict[str, Any]:
    """Return what the recipe says of the avatars before their attributes are known."""
    return {
        "kind": "avatars",
        "style": request.style,
        "seed": request.seed,
        "n": request.n,
        "frame": list(LOOKS.get(request.style, AvatarLook()).frame or ()),
        "licence": licence.__dict__,
        "packages": {name: metadata.version(name) for name in PACKAGES.values()},
    }


def _entries(
    plan: AvatarPlan, labels: Mapping[str, LabelColumn], stop: threading.Event, first: int
) -> Iterator[Entry]:
    """Yield all avatars from `first` on, drawn."""
    number = first
    for images in ordered(render_batch, _tasks(plan.request, first), workers=plan.workers, stop=stop):
        for image in images:
            yield image_entry(number, image, f"{plan.request.seed}-{number}", labels)
            number += 1


def _tasks(request: RenderAvatarsRequest, first: int = 0) -> list[AvatarBatch]:
    return batches(request.style, request.n, resolution=request.resolution, seed=request.seed, begin=first)


def batches(style: str, n: int, *, resolution: int, seed: int, begin: int = 0) -> list[AvatarBatch]:
    """Divide avatars `begin` to n - 1 into tasks."""
    return [
        AvatarBatch(style=style, seed=seed, first=first, count=min(BATCH, n - first), resolution=resolution)
        for first in range(begin, n, BATCH)
    ]


def render_batch(batch: AvatarBatch) -> Pixels:
    """Return the images [count, H, W, 3] of a task."""
    return np.stack([draw(batch.style, seed, batch.resolution)[0] for seed in batch.seeds])


def batch_attributes(batch: AvatarBatch) -> list[dict[str, Any]]:
    """Return the resolved attributes of each avatar of a task."""
    return [attributes_of(batch.style, seed) for seed in batch.seeds]


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

    def labels(self) -> tuple[dict[str, LabelColumn], dict[str, Any]]:
        """Return the attributes that differ as columns [N], and those that are the same wherever they occur.

        Numbers are float32, NaN where an avatar lacks the attribute; all else is text, there "none".
        """
        labels: dict[str, LabelColumn] = {}
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
