"""What `distill project` tells of its results: a row a photo and space, means, and latents that are far out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from distill.editing.embedding import TITLES
from distill.editing.folder_settings import NAMES
from distill.editing.project import ProjectionJob
from distill.editing.projected_photos import ProjectedPhoto
from distill.faces.outputs import SHEET
from distill.faces.photo_results import PhotoResults, json_paths
from distill.files import path_text

NAME = 28  # letters of a photo's name


def projection_json(job: ProjectionJob, found: PhotoResults[ProjectedPhoto]) -> dict[str, Any]:
    """Return what was done and what came of it, as plain values."""
    return {
        **json_paths(out=job.request.out, sheet=job.request.out / f"{SHEET}.png" if found.done else None),
        "generator": job.request.generator,
        **{name: value for name, value in job.settings.items() if name != NAMES},
        "from_mean_drawn": job.embedder.spread.drawn,
        "from_mean_far": job.embedder.spread.far,
        "device": job.embedder.generator.device.type,
        **found.to_json("projected"),
    }


def table(photos: Sequence[ProjectedPhoto], distance: str) -> list[str]:
    """Return the rows of all photos, and the mean of each space where there are several photos."""
    rows = [
        (photo.name, space, *_numbers(facts, distance))
        for photo in photos
        for space, facts in photo.spaces.items()
    ]
    if len(photos) > 1:
        for space in photos[0].spaces:
            columns = zip(*(row[2:] for row in rows if row[1] == space), strict=True)
            rows.append(("mean", space, *map(mean, columns)))
    width = max([len("photo"), *(min(NAME, len(path_text(row[0]))) for row in rows)])
    head = f"{'photo':<{width}}  space     L1  {distance}  identity  from mean w  seconds"
    lines = [
        f"{path_text(name)[:NAME]:<{width}}  {TITLES[space]:<5}  {l1:.3f}  {seen:>{len(distance)}.4f}  {who:>8.3f}"
        f"  {away:>11.2f}  {seconds:>7.1f}"
        for name, space, l1, seen, who, away, seconds in rows
    ]
    return [head, *lines]


def warnings(photos: Sequence[ProjectedPhoto], drawn: float) -> Iterator[str]:
    """Say of which latents directions may not mean what they say."""
    for photo in photos:
        for space, facts in photo.spaces.items():
            if layers := facts["far_layers"]:
                where, most = _layers(layers, len(facts["from_mean"])), max(facts["from_mean"])
                yield (
                    f"{path_text(photo.name)}: {TITLES[space]} is up to {most:.2f} deviations from the mean w in"
                    f" {where} (999 of 1,000 drawn w lie within {drawn:.2f}): edits may not do there what they say"
                )


def _numbers(facts: Mapping[str, Any], distance: str) -> tuple[float, float, float, float, float]:
    names = ("l1", distance, "identity")
    l1, seen, identity = (float(facts[name]) for name in names)
    return l1, seen, identity, max(facts["from_mean"]), float(facts["seconds"])


def _layers(layers: Sequence[int], count: int) -> str:
    return (
        "all layers"
        if len(layers) == count
        else f"layer{'s' * (len(layers) > 1)} {', '.join(map(str, layers))}"
    )
