"""The pipeline: sample, map, edit, synthesize, filter, align, collect. Read this file first.

Shapes: N candidates of a canonical batch, P parents, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distill.errors import TooStrict
from distill.generation.advice import too_strict
from distill.generation.align import store_images
from distill.generation.background import Lane
from distill.generation.edit_settings import make_edit
from distill.generation.edits import Edit
from distill.generation.filters import Batch, Filter, build_filters
from distill.generation.recipe import Recipe
from distill.generation.shard_builder import Collector, Drawn
from distill.pixels import to_device, to_uint8
from distill.shards.layout import ShardContent
from distill.stylegan2.generator import Generator
from distill.stylegan2.sampling import sample_z
from distill.timing import DeviceTimer, StageClock

if TYPE_CHECKING:
    from distill.attributes.protocol import AttributeScorer
    from distill.directions.file import Direction

CANDIDATES_PER_ROW = 20  # tried before a shard is given up, unless the caller names a number
AHEAD = 2  # batches that may be drawn before the oldest of them is judged
Progress = Callable[[int, int], None]  # (accepted so far, tried so far) in this shard


def generate_shard(
    recipe: Recipe,
    index: int,
    rows: int,
    *,
    teacher: Generator,
    batch_size: int,
    direction: Direction | None = None,
    scorer: AttributeScorer | None = None,
    max_candidates: int | None = None,
    on_progress: Progress | None = None,
    threads: int = 1,
    clock: StageClock | None = None,
) -> ShardContent:
    """Draw candidates of shard `index` until `rows` of them are accepted.

    Candidates come in canonical batches (ids 0 to B-1, B to 2B-1, ...), always whole, so that a candidate's pixels
    do not depend on how many rows are wanted; B is `batch_size`. With two or more `threads`, the next batch is drawn
    while one is judged, and `threads` faces are looked for at a time; the content is the same. `direction` and
    `scorer` are those that the recipe of an attribute edit names. Raises `TooStrict` when
    `max_candidates` (default 20 a row) were tried and the shard is not full.
    """
    cap = max_candidates or CANDIDATES_PER_ROW * rows
    clock = clock or StageClock()
    edit = make_edit(recipe.edit, direction)
    filters = build_filters(recipe, threads=threads, scorer=scorer)
    collector = Collector(recipe, index, rows, threads=threads, filters=filters)

    def take(drawn: Drawn, timer: DeviceTimer) -> None:
        clock.add({"synthesis": timer.seconds()})
        drawn = judge(drawn, filters, clock)
        collect(drawn, collector, clock)
        if on_progress:
            on_progress(collector.accepted, collector.tried)

    with Lane(beside=threads > 1, device=teacher.device) as lane:
        for ids in canonical_batches(batch_size):
            with DeviceTimer(teacher.device) as timer:
                drawn = draw(teacher, recipe, edit, index, ids)
            lane.do(take, drawn, timer)
            # Go on before the judgement only where another batch is needed whatever it says.
            lane.settle_while(
                lambda waiting: waiting > AHEAD or collector.may_end_within(waiting * batch_size, cap)
            )
            if collector.full:
                return collector.content()
            if collector.tried >= cap:
                raise TooStrict(too_strict(collector, cap))
    raise AssertionError("the stream of candidates is endless")


def draw(teacher: Generator, recipe: Recipe, edit: Edit, index: int, ids: Sequence[int]) -> Drawn:
    """Make some candidates, up to their images; on a GPU, the work may still be under way."""
    # sample
    z_NPZ = torch.from_numpy(sample_z(recipe.seed, index, ids, edit.parents, teacher.z_dim))
    z_NPZ = to_device(z_NPZ, teacher.device)
    params = edit.sample(recipe.seed, index, ids)
    # map
    parents_NPLD = map_parents(teacher, z_NPZ, recipe)
    # edit
    ws_by_picture = edit.apply(parents_NPLD, params)
    # synthesize
    images_by_picture = draw_pictures(teacher, ws_by_picture, edit, recipe)
    batch = Batch.of({name: to_uint8(images) for name, images in images_by_picture.items()}, params=params)
    latents = {name: ws_by_picture[name] for name in edit.latents}
    return Drawn(ids=ids, images=images_by_picture, batch=batch, latents=latents)


def judge(drawn: Drawn, filters: Sequence[Filter], clock: StageClock) -> Drawn:
    """Filter a batch."""
    # filter
    with clock.stage("filter"):
        for keep_or_drop in filters:
            keep_or_drop(drawn.batch)
        return drawn.as_chosen()


def collect(drawn: Drawn, collector: Collector, clock: StageClock) -> None:
    """Frame what is wanted of a judged batch, and put that into the shard."""
    batch = drawn.batch
    wanted = collector.wanted(batch)
    # align
    with clock.stage("align"):
        stored = store_images(batch, drawn.images, wanted, collector.recipe)
    # collect
    with clock.stage("encode"):
        collector.add(drawn, wanted, stored)


def canonical_batches(size: int) -> Iterator[range]:
    """Yield 0..size-1, size..2*size-1, and so on without end."""
    start = 0
    while True:
        yield range(start, start + size)
        start += size


def map_parents(teacher: Generator, z_NPZ: Tensor, recipe: Recipe) -> Tensor:
    """Map every parent's z to truncated w+ [N, P, L, D], one parent at a time."""
    return torch.stack(
        [
            teacher.map(
                z_NPZ[:, p],
                truncation_psi=recipe.truncation_psi,
                truncation_cutoff=recipe.truncation_cutoff,
            )
            for p in range(z_NPZ.shape[1])
        ],
        dim=1,
    )


def draw_pictures(
    teacher: Generator, ws_by_picture: Mapping[str, Tensor], edit: Edit, recipe: Recipe
) -> dict[str, Tensor]:
    """Draw every picture, float [N, 3, H, W]; the layers that a family shares run once for all of it."""
    images: dict[str, Tensor] = {}
    for family in edit.families:
        if len(family) == 1:
            drawn = [teacher.synthesize(ws_by_picture[family[0]], noise=recipe.noise)]
        else:
            drawn = teacher.synthesize_branches(
                [ws_by_picture[name] for name in family], shared_layers=edit.shared_layers, noise=recipe.noise
            )
        images |= zip(family, drawn, strict=True)
    return {name: images[name] for name in ws_by_picture}
