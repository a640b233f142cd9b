"""Write the rows that a decision keeps as a data set of its own: images as they are stored, nothing encoded anew.

The disk is the truth, as in `distill.generation.job`: a new shard that is there and valid is not written again, so
the same command resumes. The source is only read. n rows of a new shard.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from distill.errors import DiskFull, DistillError, Interrupted
from distill.files import atomic_write, made_folder
from distill.lock import FolderLock
from distill.progress import size_text
from distill.schema import canonical_json
from distill.shards.card import write_card
from distill.shards.digest import decisive
from distill.shards.folder import (
    CONDITIONS_FILE,
    GOAL_FILE,
    MANIFEST_FILE,
    RECIPE_FILE,
    ShardReport,
    read_json,
    read_report,
    shard_indices,
    shard_is_valid,
    sweep,
    write_goal,
    write_manifest,
)
from distill.shards.inspect.look import renew_look
from distill.shards.place import check_place, refiltered
from distill.shards.refilter.copy import content_of
from distill.shards.refilter.plan import Refilter
from distill.shards.summary import conditions_of
from distill.shards.write import commit_shard

SAFETY = 1.1  # free space asked for, over the estimate
Advance = Callable[[int], object]  # called with the number of rows written since the last call


def run_refilter(
    plan: Refilter, *, stop: threading.Event, advance: Advance = lambda count: None
) -> list[ShardReport]:
    """Write the new shards that are not there yet, then card and manifest; return the reports of all.

    Raises `Interrupted` when `stop` was set, `DiskFull`, `DistillError` for a folder that holds anything else. In
    each case what is complete stays, and the same call goes on from there.
    """
    check_space(plan)
    with made_folder(plan.out), FolderLock(plan.out, info={"n": plan.kept}):
        check_out(plan)  # again: another driver may have come first
        with claimed(plan):
            missing = todo(plan)
            for index in missing:
                if stop.is_set():
                    done = len(plan.shards) - len(todo(plan))
                    raise Interrupted(
                        f"interrupted: {done} of {len(plan.shards)} shards are done; the same command resumes"
                    )
                advance(commit_shard(plan.out, content_of(plan, index)).rows)
            reports = close_data_set(plan)
            if missing:
                renew_look(plan.out)
            return reports


def todo(plan: Refilter) -> list[int]:
    """Return the new shards that are not on disk as they should be."""
    return [index for index in range(len(plan.shards)) if not _is_done(plan, index)]


def _is_done(plan: Refilter, index: int) -> bool:
    report, (rows, tried, dropped) = read_report(plan.out, index), plan.expected(index)
    if report is None or (report.tried, report.dropped) != (tried, dropped):
        return False
    return shard_is_valid(plan.out, index, digest=plan.digest, rows=rows)


def check_out(plan: Refilter) -> None:
    """Refuse to write into the source, and into a folder that holds anything but a part of this very data set."""
    source, out = plan.source.resolve(), plan.out.resolve()
    if out == source or source in out.parents:
        raise DistillError(
            f"--out {plan.out} lies in the data set {plan.source}, which stays as it is; choose another"
        )
    if not check_place(plan.out):
        return
    found = read_json(plan.out / RECIPE_FILE)
    if decisive(found) != decisive(plan.recipe):
        raise DistillError(f"{plan.out} {_difference(plan, found)}; choose another --out")
    if shard_indices(plan.out)[len(plan.shards) :]:
        raise DistillError(
            f"{plan.out} holds more shards than the {len(plan.shards)} of this data set: {plan.source} has shrunk"
            " since; choose another --out"
        )


def _difference(plan: Refilter, found: Mapping[str, Any]) -> str:
    """Say in words what another data set in the folder is."""
    there, here = refiltered(found), plan.recipe["refiltered"][-1]
    if there is None:
        return (
            f"holds another data set ({found.get('task', 'unknown task')}) that distill refilter did not make"
        )
    if there["from"] != here["from"]:
        return f"was made from the data set {there['from']}, {plan.source} is {here['from']}"
    if there["where"] != here["where"]:
        now = "".join(f"; {quantile}" for quantile in plan.quantiles)
        return f"was made with --where {there['where']!r}, not {here['where']!r}{now}"
    return "was made from the same data set through other steps"


def check_space(plan: Refilter) -> None:
    """Refuse to start what cannot fit."""
    missing = sum(plan.expected(index)[0] for index in todo(plan)) / max(1, plan.kept)
    needed = plan.bytes_needed * missing
    if needed * SAFETY > plan.bytes_free:
        raise DiskFull(
            f"{plan.out}: about {size_text(needed)} are needed and {size_text(plan.bytes_free)} are free;"
            " free some space and run the same command again"
        )


@contextmanager
def claimed(plan: Refilter) -> Iterator[None]:
    """Put the recipe into the folder, and how the source was drawn; leave neither without a shard."""
    if not (plan.out / RECIPE_FILE).exists():
        atomic_write(plan.out / RECIPE_FILE, (canonical_json(plan.recipe) + "\n").encode())
    if conditions := conditions_of(plan.source):
        atomic_write(plan.out / CONDITIONS_FILE, (canonical_json(conditions) + "\n").encode())
    sweep(plan.out)
    if todo(plan):
        write_goal(plan.out, plan.kept)
        (plan.out / MANIFEST_FILE).unlink(missing_ok=True)
    try:
        yield
    finally:
        if plan.out.is_dir() and not shard_indices(plan.out):
            (plan.out / RECIPE_FILE).unlink(missing_ok=True)
            (plan.out / CONDITIONS_FILE).unlink(missing_ok=True)
            (plan.out / GOAL_FILE).unlink(missing_ok=True)


def close_data_set(plan: Refilter) -> list[ShardReport]:
    """Write card and manifest once every shard is on disk."""
    found = [read_report(plan.out, index) for index in range(len(plan.shards))]
    reports = [report for report in found if report is not None]
    facts: dict[str, Any] = {"recipe": plan.recipe, "digest": plan.digest, "n": plan.kept, "reports": reports}
    write_card(plan.out, **facts)
    write_manifest(plan.out, **facts)
    return reports
