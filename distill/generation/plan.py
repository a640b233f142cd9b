"""What a run has to do: which shards, which are there already, how much disk they take."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from distill.errors import DiskFull, DistillError, Incomplete
from distill.files import atomic_write
from distill.generation.conditions import Conditions, read_conditions
from distill.generation.recipe import Recipe
from distill.progress import plural, size_text
from distill.schema import canonical_json
from distill.shards.folder import (
    CONDITIONS_FILE,
    RECIPE_FILE,
    ShardReport,
    read_json,
    read_report,
    shard_indices,
    shard_is_valid,
)
from distill.shards.layout import MAX_ROWS, MAX_SHARDS
from distill.shards.place import check_place, refiltered

# Bytes on disk as a share of the raw pixels, measured on photographs of 256 and 512 px (rounded up).
SHARE_OF_RAW = {"raw": 1.0, "jpeg": 0.25, "webp": 0.6}
OVERHEAD = 16 * 1024  # bytes a shard beside its rows
LEDGER = 512  # bytes a row: its scores, and those of the candidates that were dropped before it
SEEN_S = (
    90.0  # until what another machine wrote is seen on a network file system: NFS caches a folder for 60 s
)
SAFETY = 1.1  # free space asked for, over the estimate


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """The shards of a data set of `n` rows, and which of them are on disk already; `begun`: a recipe is there.

    `part`: the indices of those to make, where others are made elsewhere.
    """

    recipe: Recipe
    n: int
    folder: Path
    rows: tuple[int, ...]  # per shard
    done: dict[int, ShardReport]
    begun: bool = False
    part: range | None = None

    @property
    def todo(self) -> list[int]:
        return [index for index in self.part or range(len(self.rows)) if index not in self.done]

    @property
    def at_end(self) -> list[int]:
        """The shards that are there when this run ends well."""
        return sorted({*(self.part or range(len(self.rows))), *self.done})

    @property
    def is_part(self) -> bool:
        """Whether shards are missing then, which this run does not make."""
        return len(self.at_end) < len(self.rows)

    @property
    def rows_done(self) -> int:
        return sum(report.rows for report in self.done.values())

    @property
    def bytes_needed(self) -> int:
        """Estimated bytes of the shards that are not there yet."""
        return sum(estimate_bytes(self.recipe, self.rows[index]) for index in self.todo)

    @property
    def bytes_free(self) -> int:
        return shutil.disk_usage(nearest_folder(self.folder)).free


def plan_job(recipe: Recipe, n: int, folder: Path, shards: tuple[int, int] | None = None) -> ShardPlan:
    """Lay `n` rows out in shards and look for those that are valid already. Changes nothing on disk.

    `shards` (first, last): make these alone.

    Raises `DistillError` when the folder cannot be used: a file, foreign content, another recipe, more rows than
    `n`, no permission.
    """
    check_size(n, recipe.shard_size)
    there = check_folder(folder, recipe)
    recipe = there or recipe  # a data set keeps the name, licence and origin that its generator had at first
    rows = shard_rows(n, recipe.shard_size)
    part = part_of(shards, len(rows))
    done: dict[int, ShardReport] = {}
    for index, count in enumerate(rows):
        report = read_report(folder, index)
        if report and report.rows > count and report.digest == recipe.digest:
            raise DistillError(holds_more(folder, n))
        if report and shard_is_valid(folder, index, digest=recipe.digest, rows=count):
            done[index] = report
    if folder.is_dir() and max(shard_indices(folder), default=-1) >= len(rows):
        raise DistillError(holds_more(folder, n))
    begun = there is not None
    return ShardPlan(recipe=recipe, n=n, folder=folder, rows=tuple(rows), done=done, begun=begun, part=part)


def part_of(shards: tuple[int, int] | None, count: int) -> range | None:
    """Return the indices of the shards to make. Raises DistillError for what is no part of `count` shards."""
    if shards is None:
        return None
    first, last = shards
    if not first <= last < count:
        raise DistillError(f"--shards {first}-{last}: a data set of this --n has the shards 0-{count - 1}")
    return range(first, last + 1)


def reports_of(plan: ShardPlan, patience_s: float) -> list[ShardReport]:
    """Return the reports of the shards of a run that has ended well.

    What another machine wrote may be seen here later, on a network file system: it is waited for. Raises Incomplete
    where a shard is not there after `patience_s`.
    """
    deadline = time.monotonic() + patience_s
    reports: list[ShardReport] = []
    for index in plan.at_end:
        while not (shard_is_valid(plan.folder, index, digest=plan.recipe.digest, rows=plan.rows[index])
                   and (report := read_report(plan.folder, index))):  # fmt: skip
            if time.monotonic() >= deadline:
                raise Incomplete(
                    f"{plan.folder}: shard {index} was made but cannot be seen here; all workers must write to"
                    " this folder. Run the same command again"
                )
            time.sleep(0.5)
            shard_indices(plan.folder)  # to list a folder renews what is known of it
        reports.append(report)
    return reports


def check_size(n: int, shard_size: int) -> None:
    """Refuse a number of rows that no data set has."""
    if n < 1:
        raise DistillError(f"--n is {n}: ask for at least 1 triplet")
    if n > MAX_ROWS:
        raise DistillError(f"--n is {n}: a data set has at most {MAX_ROWS:,} triplets")
    if n > MAX_SHARDS * shard_size:
        raise DistillError(
            f"--n is {n}, which makes more than {MAX_SHARDS:,} shards of {shard_size}: take a larger --shard-size"
        )


def shard_rows(n: int, shard_size: int) -> list[int]:
    """Rows per shard: full ones, then the rest."""
    full, rest = divmod(n, shard_size)
    return [shard_size] * full + ([rest] if rest else [])


def recipe_there(folder: Path) -> Recipe | None:
    """Return the recipe of the data set that was begun in a folder; None where there is none.

    Raises `DistillError` where none can be made (see `check_place`), and for one that `distill refilter` made.
    """
    if not check_place(folder):
        return None
    fields = read_json(folder / RECIPE_FILE)
    if step := refiltered(fields):
        raise DistillError(
            f"{folder} was made by distill refilter from {step['from']} by {step['where']!r}: distill generate"
            " cannot add to it; choose another --out"
        )
    return Recipe.from_json(canonical_json(fields))


def check_folder(folder: Path, recipe: Recipe) -> Recipe | None:
    """Refuse an output folder that is not empty and not this recipe's; return the recipe that its data set has."""
    there = recipe_there(folder)
    if there and (difference := recipe.difference(there)):
        raise DistillError(f"{folder} holds a data set of another recipe: {difference}; choose another --out")
    return there


def claim_folder(plan: ShardPlan, conditions: Conditions) -> None:
    """Write recipe and conditions into the folder, where they are not there yet.

    Raises DistillError where another driver has begun another data set there since the plan was made, or this one
    under other conditions.
    """
    if not (plan.begun or check_folder(plan.folder, plan.recipe)):
        atomic_write(plan.folder / RECIPE_FILE, f"{plan.recipe.to_json()}\n".encode())
    if not (plan.folder / CONDITIONS_FILE).exists():
        conditions.write(plan.folder)
    elif not plan.begun and read_conditions(plan.folder) != conditions:
        raise DistillError(f"{plan.folder} was begun by another run just now: run the same command again")


def check_space(plan: ShardPlan) -> None:
    """Refuse to start what cannot fit."""
    if plan.bytes_needed * SAFETY > plan.bytes_free:
        raise DiskFull(
            f"{plan.folder}: about {size_text(plan.bytes_needed)} are needed and {size_text(plan.bytes_free)}"
            " are free; free some space, or store less with --codec jpeg or a smaller --resolution"
        )


def estimate_bytes(recipe: Recipe, rows: int) -> int:
    """Estimate the size of one shard on disk, in bytes."""
    pixels = len(recipe.roles) * recipe.resolution**2 * 3 * SHARE_OF_RAW[recipe.codec]
    width = {"float16": 2, "float32": 4}[recipe.latents]
    drawers = [recipe.drawn_by(role) for role in recipe.edit.latents]
    latents = sum(drawer.num_ws * drawer.w_dim * width for drawer in drawers)
    landmarks = len(recipe.face_roles) * (68 + 4) * 2 * 4
    return OVERHEAD + rows * int(pixels + latents + landmarks + LEDGER)


def nearest_folder(path: Path) -> Path:
    """The folder itself, or its nearest ancestor that exists."""
    return next(ancestor for ancestor in (path, *path.absolute().parents) if ancestor.is_dir())


def holds_more(folder: Path, n: int) -> str:
    return (
        f"{folder} holds more than the {plural(n, 'triplet')} asked for; raise --n, or choose another --out"
    )
