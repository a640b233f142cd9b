"""A folder of pictures → a set of images: each picture is prepared, every skip is counted with its reason."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from distill.errors import DistillError
from distill.parallel import ordered
from distill.shards.collect import Collection, Entry, check_collection, collect
from distill.shards.folder import read_report
from distill.shards.images.image_set import WrittenImages, image_entry
from distill.shards.images.picture import PreparedPicture, prepare_picture
from distill.shards.images.prepare_plan import PreparationPlan
from distill.shards.summary import dropped_by_reason

SAMPLE = 8  # pictures that are prepared to estimate the time
GREY = "grey"  # the reason of pictures that --drop-grey leaves out; --max-skips is about the others


@dataclass(kw_only=True)
class PreparationTally:
    """Counts over the pictures of this run; `before`: of an earlier one, kept (None) or by reason."""

    found: int
    most_skips: int
    before: Counter[str | None] = field(default_factory=Counter)
    done: int = 0
    kept: int = 0
    grey: int = 0
    enlarged: int = 0
    several_faces: int = 0
    skips: list[PreparedPicture] = field(default_factory=list)

    def skip(self, picture: PreparedPicture) -> None:
        """Count a picture of which no image comes. DistillError when too many were skipped."""
        self.skips.append(picture)
        earlier = {key: count for key, count in self.before.items() if key not in (None, GREY)}
        reasons = Counter(skip.reason for skip in self.skips) + Counter(earlier)
        if reasons.total() > self.most_skips:
            named = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
            raise DistillError(
                f"skipped {reasons.total()} of {self.found} pictures, only {self.most_skips} allowed "
                f"(--max-skips): {named}; the first is {self.skips[0].name} ({self.skips[0].detail}); "
                "nothing was written"
            )

    def keep(self, picture: PreparedPicture) -> None:
        self.kept += 1
        self.enlarged += picture.enlarged
        self.several_faces += picture.several_faces


@dataclass(frozen=True, kw_only=True)
class PreparationSample:
    """A few prepared pictures: how many, the skips among them, and the seconds they suggest for all."""

    count: int
    skips: Sequence[str]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class PreparedImages:
    """What was written, and the counts of the pictures that this run prepared."""

    written: WrittenImages
    tally: PreparationTally
    seconds: float

    @property
    def dropped(self) -> dict[str, int]:
        """All pictures left out, by reason."""
        return dropped_by_reason(self.written.reports)

    def to_json(self) -> dict[str, Any]:
        tally, dropped = self.tally, self.dropped
        return {
            "found": tally.found,
            "kept": self.written.rows,
            "kept_before": self.written.rows - tally.kept,
            "grey": tally.grey,
            "grey_dropped": dropped.pop(GREY, 0),
            "enlarged": tally.enlarged,
            "several_faces": tally.several_faces,
            "skipped": dropped,
        }


def sample(plan: PreparationPlan) -> PreparationSample:
    """Prepare a few pictures spread over the folder; nothing is written.

    Raises DistillError where `out` holds another data set.
    """
    check_collection(_collection(plan, _tally(plan), threading.Event()))
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
    progress: Callable[[int], object] = lambda pictures: None,
    skip: Callable[[int], object] = lambda pictures: None,
) -> PreparedImages:
    """Write the data set; the same plan gives the same bytes for any number of workers.

    `progress` hears of pictures done, `skip` of those that earlier runs did.

    Raises Interrupted and DiskFull, after which the same call goes on. Raises DistillError when more than
    `most_skips` pictures fail or none is left; then nothing is kept.
    """
    started, tally = time.perf_counter(), _tally(plan)
    collection = _collection(plan, tally, stop)
    reports = collect(collection, stop=stop, advance=progress, skip=skip)
    return PreparedImages(
        written=WrittenImages(folder=plan.out, digest=collection.digest, reports=reports),
        tally=tally,
        seconds=round(time.perf_counter() - started, 1),
    )


def _tally(plan: PreparationPlan) -> PreparationTally:
    return PreparationTally(found=len(plan.pictures), most_skips=plan.most_skips)


def _collection(plan: PreparationPlan, tally: PreparationTally, stop: threading.Event) -> Collection:
    return Collection(
        folder=plan.out,
        recipe=plan.recipe,
        candidates=len(plan.pictures),
        entries=partial(_entries, plan, tally, stop),
    )


def _entries(
    plan: PreparationPlan, tally: PreparationTally, stop: threading.Event, first: int
) -> Iterator[Entry]:
    """Yield all pictures from `first` on, prepared."""
    tally.before = _counts_before(plan, first)
    work = partial(prepare_picture, settings=plan.settings)
    prepared = ordered(work, plan.pictures[first:], workers=plan.workers, stop=stop)
    for number, picture in enumerate(prepared, first):
        yield _entry(plan, number, picture, tally)
    if not tally.kept + tally.before[None]:
        dropped = {
            **Counter(skip.reason for skip in tally.skips),
            **({GREY: tally.grey} if tally.grey else {}),
        }
        raise DistillError(f"none of {tally.found} pictures is left: {dropped}; nothing was written")


def _entry(plan: PreparationPlan, number: int, picture: PreparedPicture, tally: PreparationTally) -> Entry:
    tally.done += 1
    if picture.image is None:
        tally.skip(picture)
        return Entry(candidate=number, reason=picture.reason)
    tally.grey += picture.grey
    if picture.grey and plan.settings.drop_grey:
        return Entry(candidate=number, reason=GREY)
    tally.keep(picture)
    return image_entry(number, picture.image, picture.name, plan.labels, plan.weights)


def _counts_before(plan: PreparationPlan, first: int) -> Counter[str | None]:
    """Count the pictures before `first`, which earlier runs wrote: kept (None), and left out by reason."""
    counts: Counter[str | None] = Counter()
    index = 0
    while counts.total() < first and (report := read_report(plan.out, index)):
        counts[None] += report.rows
        counts.update(report.dropped)
        index += 1
    return counts
