"""The pipeline: sample, map, edit, synthesize, embed, move, select, filter, align, collect, write. Read it first.

Each stage is a function of `stages`. Shapes: N candidates of a canonical batch, P parents, L w+ layers, D latent
width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from distill.errors import TooStrict
from distill.generation.advice import too_strict
from distill.generation.background import BackgroundThread
from distill.generation.batch import Batch
from distill.generation.edits.rings import lent_picture, ring_batch
from distill.generation.embed import LatentSearch
from distill.generation.move_region import RegionMover
from distill.generation.recipe import Recipe
from distill.generation.selections.base import check_scorer
from distill.generation.shard_builder import ShardBuilder
from distill.generation.stages import (
    OnProgress,
    ShardRun,
    align,
    collect,
    embed,
    keep_or_drop,
    map_parents,
    move,
    sample,
    select,
    synthesize,
    wait_until_drawn,
)
from distill.shards.layout import ShardContent
from distill.stylegan2.generator import Generator
from distill.timing import DeviceTimer, StageClock

if TYPE_CHECKING:
    from distill.attributes.protocol import AttributeScorer
    from distill.directions.file import Direction

CANDIDATES_PER_ROW = 20  # tried before a shard is given up, unless the caller names a number
AHEAD = 2  # batches that may be drawn before the oldest of them is judged


def generate_shard(
    recipe: Recipe,
    index: int,
    rows: int,
    *,
    teacher: Generator,
    second: Generator | None = None,
    search: LatentSearch | None = None,
    mover: RegionMover | None = None,
    batch_size: int,
    directions: Sequence[Direction] = (),
    scorer: AttributeScorer | None = None,
    max_candidates: int | None = None,
    on_progress: OnProgress | None = None,
    threads: int = 1,
    clock: StageClock | None = None,
) -> ShardContent:
    """Draw candidates of shard `index` until `rows` of them are accepted.

    Candidates come in canonical batches (ids 0 to B-1, B to 2B-1, ...), always whole, so that a candidate's pixels
    do not depend on how many rows are wanted; B is `batch_size`, or as many as whole rings take. With two or more
    `threads`, the next batch is drawn while one is judged, and `threads` faces are looked for at a time; the content
    is the same. `second`, `directions` and `scorer` are those that the recipe names; where the edit asks for it,
    `search` finds latents of `second` and `mover` moves a part of a face.
    Raises `TooStrict` when `max_candidates` (default 20 a row) were tried and the shard is not full.
    """
    for item in recipe.filters:
        item.prepare()
    run = ShardRun(
        recipe=recipe,
        edit=recipe.edit.ready(directions),
        teacher=teacher,
        second=second,
        search=search,
        mover=mover,
        builder=ShardBuilder(recipe, index, rows, threads=threads),
        scorer=check_scorer(recipe.select, scorer) if recipe.select else None,
        detector=recipe.faces.detector() if recipe.faces else None,
        on_progress=on_progress,
        batch_size=batch_size,
        threads=threads,
        clock=clock or StageClock(),
    )
    fill_shard(run, cap=max_candidates or CANDIDATES_PER_ROW * rows)
    return run.builder.content()  # which the worker writes


def fill_shard(run: ShardRun, *, cap: int) -> None:
    """Take batches of candidates through the stages until the shard is full; at most `cap` candidates."""
    size = ring_batch(run.batch_size, run.edit.ring) if run.edit.ring else run.batch_size
    with BackgroundThread(beside=run.threads > 1, device=run.teacher.device) as background:
        for ids in canonical_batches(size):
            with DeviceTimer(run.teacher.device) as timer:
                z_NPZ, params = sample(run, ids)
                parents_NPLD = map_parents(run, z_NPZ)
                ws_by_picture = run.edit.apply(parents_NPLD, params)
                images_by_picture = synthesize(run, ws_by_picture)
            params |= embed(run, ids, ws_by_picture, images_by_picture)
            batch = Batch.of(
                ids, images_by_picture, ws_by_picture, params, timer, lent=lent_picture(run.edit)
            )
            move(run, batch)
            background.do((wait_until_drawn, select, keep_or_drop, align, collect), run, batch)
            # Go on before the verdicts only where another batch is needed whatever they are.
            while (ahead := background.waiting) and (
                ahead > AHEAD or run.builder.may_end_within(ahead * size, cap)
            ):
                background.wait()
            if run.builder.full:
                return
            if run.builder.tried >= cap:
                raise TooStrict(too_strict(run.builder, cap))


def canonical_batches(size: int) -> Iterator[range]:
    """Yield 0..size-1, size..2*size-1, and so on without end."""
    start = 0
    while True:
        yield range(start, start + size)
        start += size
