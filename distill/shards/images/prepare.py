"""A folder of pictures → an image set: plan it, prepare each picture, write; every skip is counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.faces.photos import photo_detector
from distill.parallel import default_workers, ordered
from distill.shards.images.labels import (
    ClassShare,
    LabelTable,
    as_column,
    balanced_weights,
    read_labels,
    split_balance,
)
from distill.shards.images.layout import check_resolution
from distill.shards.images.picture import (
    Align,
    PictureSettings,
    PreparedPicture,
    find_pictures,
    prepare_picture,
)
from distill.shards.images.skips import most_skips
from distill.shards.images.write import ImageWriter, WrittenImageSet, check_output

SAMPLE = 8  # pictures that are prepared to estimate the time


@dataclass(frozen=True, kw_only=True)
class PrepareImagesRequest:
    """An image set `out` to make of the pictures below `folder`.

    `labels`: a CSV file; `balance`: "FILE.csv:COLUMN"; `max_skips`: a number, or a share such as "10%".
    """

    folder: Path
    out: Path
    resolution: int
    align: Align = "none"
    labels: Path | None = None
    balance: str | None = None
    drop_grey: bool = False
    max_skips: str = "10%"
    workers: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class PreparationPlan:
    """A request checked against the folder: `pictures` as (name, path), `balance` one of the labels."""

    pictures: Sequence[tuple[str, Path]]
    other_files: int
    out: Path
    settings: PictureSettings
    labels: LabelTable | None
    labelled: int
    balance: str | None
    most_skips: int
    workers: int
    source: dict[str, Any]

    def facts(self) -> dict[str, Any]:
        return {
            "pictures": len(self.pictures),
            "other_files": self.other_files,
            "workers": self.workers,
            "labelled": self.labelled,
        }


@dataclass(kw_only=True)
class PreparationTally:
    """Counts over all pictures; `most_skips` is how many may fail before the whole is given up."""

    found: int
    most_skips: int
    kept: int = 0
    grey: int = 0
    grey_dropped: int = 0
    enlarged: int = 0
    several_faces: int = 0
    skips: list[PreparedPicture] = field(default_factory=list)

    def count(self, picture: PreparedPicture, *, drop_grey: bool) -> bool:
        """Count one picture; return whether it is kept. DistillError when too many were skipped."""
        if picture.image is None:
            self.skips.append(picture)
            if len(self.skips) > self.most_skips:
                raise DistillError(self._too_many())
            return False
        self.grey += picture.grey
        if picture.grey and drop_grey:
            self.grey_dropped += 1
            return False
        self.kept += 1
        self.enlarged += picture.enlarged
        self.several_faces += picture.several_faces
        return True

    @property
    def reasons(self) -> dict[str, int]:
        return dict(Counter(skip.reason for skip in self.skips).most_common())

    def to_json(self) -> dict[str, Any]:
        facts = {key: getattr(self, key) for key in ("found", "kept", "grey", "grey_dropped", "enlarged")}
        return {**facts, "several_faces": self.several_faces, "skipped": self.reasons}

    def _too_many(self) -> str:
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.reasons.items())
        first = self.skips[0]
        return (
            f"skipped {len(self.skips)} of {self.found} pictures, at most {self.most_skips} may be "
            f"(--max-skips): {reasons}; the first is {first.name} ({first.detail}); nothing was written"
        )


@dataclass(frozen=True, kw_only=True)
class PreparationSample:
    """A few prepared pictures: how many, the skips among them, and the seconds they suggest for all."""

    count: int
    skips: Sequence[str]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class PreparedImages:
    """What was written, the counts of all pictures, and the share of each class that was balanced."""

    written: WrittenImageSet
    tally: PreparationTally
    shares: dict[str, ClassShare]
    seconds: float


def plan_preparation(request: PrepareImagesRequest) -> PreparationPlan:
    """Find the pictures and their labels, and check the place. Raises DistillError for what does not fit."""
    settings = PictureSettings(
        resolution=check_resolution(request.resolution), align=request.align, drop_grey=request.drop_grey
    )
    table, column = _labels(request.labels, request.balance)
    pictures, others = find_pictures(request.folder, request.out)
    count, out = len(pictures), request.out
    skips = most_skips(request.max_skips, count)
    check_output(out, overwrite=request.overwrite, images=count, resolution=settings.resolution)
    return PreparationPlan(
        pictures=pictures,
        other_files=len(others),
        out=out,
        settings=settings,
        labels=table,
        labelled=_labelled(table, [name for name, _ in pictures]),
        balance=column,
        most_skips=skips,
        workers=request.workers or default_workers(count, 200),
        source={"kind": "pictures", "folder": request.folder.resolve().name, **_models(settings)},
    )


def sample(plan: PreparationPlan) -> PreparationSample:
    """Prepare a few pictures spread over the folder; nothing is written."""
    step = max(1, len(plan.pictures) // SAMPLE)
    chosen = plan.pictures[::step][:SAMPLE]
    prepare_picture(chosen[0], plan.settings)  # opens the models
    started = time.perf_counter()
    found = [prepare_picture(picture, plan.settings) for picture in chosen]
    seconds = (time.perf_counter() - started) / len(chosen)
    return PreparationSample(
        count=len(chosen),
        skips=[f"{picture.name}: {picture.reason}" for picture in found if picture.image is None],
        seconds=round(seconds * len(plan.pictures) / plan.workers, 1),
    )


def prepare(
    plan: PreparationPlan,
    *,
    stop: threading.Event,
    progress: Callable[[int], None] = lambda pictures: None,
) -> PreparedImages:
    """Write the image set.

    The same plan gives the same bytes for any number of workers. Raises DistillError when more than
    `most_skips` pictures fail or none is left, Interrupted when `stop` is set; then nothing is written.
    """
    started, settings, names = time.perf_counter(), plan.settings, []
    tally = PreparationTally(found=len(plan.pictures), most_skips=plan.most_skips)
    work = partial(prepare_picture, settings=settings)
    with ImageWriter(plan.out, settings.resolution) as writer:
        for picture in ordered(work, plan.pictures, workers=plan.workers, stop=stop):
            progress(1)
            if tally.count(picture, drop_grey=settings.drop_grey) and picture.image is not None:
                writer.add(picture.image)
                names.append(picture.name)
        if not names:
            dropped = {**tally.reasons, **({"grey": tally.grey_dropped} if tally.grey_dropped else {})}
            raise DistillError(f"none of {tally.found} pictures is left: {dropped}; nothing was written")
        texts = plan.labels.labels_of(names) if plan.labels else {}
        weight, shares = balanced_weights(texts[plan.balance]) if plan.balance else (None, {})
        columns = {name: as_column(values) for name, values in texts.items()}
        facts = {**plan.source, **tally.to_json(), "align": settings.align, "balance": plan.balance}
        written = writer.commit(names=names, labels=columns, weight=weight, source=facts)
    seconds = round(time.perf_counter() - started, 1)
    return PreparedImages(written=written, tally=tally, shares=shares, seconds=seconds)


def _labels(labels: Path | None, balance: str | None) -> tuple[LabelTable | None, str | None]:
    path, column = split_balance(balance) if balance else (labels, None)
    if labels and path != labels:
        raise DistillError(f"--labels {labels} and --balance {path} name two files; one is needed")
    table = read_labels(path) if path else None
    if table and column:
        table.require(column)
    return table, column


def _models(settings: PictureSettings) -> dict[str, str]:
    """Name the landmark model; a missing one shows before the first picture."""
    return {"landmarks_sha256": photo_detector().landmarks_sha256} if settings.align == "ffhq" else {}


def _labelled(table: LabelTable | None, names: Sequence[str]) -> int:
    """Count the pictures that the label file knows; DistillError for none."""
    if table is None:
        return 0
    labelled = sum(row is not None and any(row) for row in table.rows_of(names))
    if labelled == 0:
        raise DistillError(
            f"label file {table.path}: none of its {len(table.rows)} names is a picture of the folder, "
            f"whose first is {names[0]}"
        )
    return labelled
