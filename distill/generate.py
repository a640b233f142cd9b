"""The pipeline: sample, map, edit, synthesize, filter, align, collect. Read this file first.

Shapes: N candidates of a canonical batch, P parents, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from distill.collect import Collector, Drawn
from distill.edits import StyleMix
from distill.errors import TooStrict
from distill.faces.registered import store_images
from distill.filters import Batch, Filter, build_filters
from distill.lane import Lane
from distill.pixels import to_uint8
from distill.recipe import Recipe
from distill.sampling import sample_integers, sample_z
from distill.shards.layout import ShardContent
from distill.stages import DeviceTimer, StageClock
from distill.stylegan2.generator import Generator

CANDIDATES_PER_ROW = 20  # tried before a shard is given up, unless the caller names a number
AHEAD = 2  # batches that may be drawn before the oldest of them is judged
Progress = Callable[[int, int], None]  # (accepted so far, tried so far) in this shard


def generate_shard(
    recipe: Recipe,
    index: int,
    rows: int,
    *,
    teacher: Generator,
    max_candidates: int | None = None,
    on_progress: Progress | None = None,
    threads: int = 1,
    clock: StageClock | None = None,
) -> ShardContent:
    """Draw candidates of shard `index` until `rows` of them are accepted.

    Candidates come in canonical batches (ids 0 to B-1, B to 2B-1, ...), always whole, so that a candidate's pixels
    do not depend on how many rows are wanted. With two or more `threads`, the next batch is drawn while one is
    judged, and `threads` faces are looked for at a time; the content is the same. Raises `TooStrict` when
    `max_candidates` (default 20 a row) were tried and the shard is not full.
    """
    cap, batch = max_candidates or CANDIDATES_PER_ROW * rows, recipe.batch_size
    clock = clock or StageClock()
    filters = build_filters(recipe, threads=threads)
    collector = Collector(recipe, index, rows, threads=threads, filters=filters)

    def take(drawn: Drawn, timer: DeviceTimer) -> None:
        clock.add({"synthesis": timer.seconds()})
        judge_and_collect(drawn, filters, collector, clock)
        if on_progress:
            on_progress(collector.accepted, collector.tried)

    with Lane(beside=threads > 1) as lane:
        for ids in canonical_batches(batch):
            with DeviceTimer(teacher.device) as timer:
                drawn = draw(teacher, recipe, index, ids)
            lane.do(take, drawn, timer)
            # Go on before the judgement only where another batch is needed whatever it says.
            lane.settle_while(
                lambda waiting: waiting > AHEAD or collector.may_end_within(waiting * batch, cap)
            )
            if collector.full:
                return collector.content()
            if collector.tried >= cap:
                raise TooStrict(too_strict(collector, cap))
    raise AssertionError("the stream of candidates is endless")


def draw(teacher: Generator, recipe: Recipe, index: int, ids: range) -> Drawn:
    """Make one canonical batch of candidates, up to their images; on a GPU, the work may still be under way."""
    edit = recipe.edit
    # sample
    z_NPZ = torch.from_numpy(sample_z(recipe.seed, index, ids, edit.parents, teacher.z_dim))
    crossover_N = torch.from_numpy(sample_integers(recipe.seed, "crossover", index, ids, edit.low, edit.high))
    # map
    parents_NPLD = map_parents(teacher, z_NPZ, recipe)
    # edit
    ws_by_role = edit.apply(parents_NPLD, crossover_N)
    # synthesize
    images_by_role = draw_roles(teacher, ws_by_role, edit, recipe)
    batch = Batch.of({role: to_uint8(images) for role, images in images_by_role.items()})
    return Drawn(
        ids=ids,
        images=images_by_role,
        batch=batch,
        latents={parent: parents_NPLD[:, p] for p, parent in enumerate(edit.parents)},
        params={"crossover": crossover_N},
    )


def judge_and_collect(
    drawn: Drawn, filters: Sequence[Filter], collector: Collector, clock: StageClock
) -> None:
    """Filter a batch, frame what is wanted of it, and put that into the shard."""
    batch = drawn.batch
    # filter
    with clock.stage("filter"):
        for keep_or_drop in filters:
            keep_or_drop(batch)
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


def draw_roles(
    teacher: Generator, ws_by_role: dict[str, Tensor], edit: StyleMix, recipe: Recipe
) -> dict[str, Tensor]:
    """Draw every role, float [N, 3, H, W]; layers below the lowest crossover run once for content and mixed."""
    content, mixed = teacher.synthesize_branches(
        [ws_by_role["content"], ws_by_role["mixed"]], shared_layers=edit.shared_layers, noise=recipe.noise
    )
    style = teacher.synthesize(ws_by_role["style"], noise=recipe.noise)
    return {"content": content, "style": style, "mixed": mixed}


def too_strict(collector: Collector, cap: int) -> str:
    """Say which filter starves the shard, how much it lets through, and what to loosen."""
    reason, count = max(collector.dropped.items(), key=lambda item: item[1])
    rate = collector.accepted / collector.tried
    return (
        f"shard {collector.index}: {collector.accepted} of {collector.tried} candidates accepted ({rate:.1%}),"
        f" {collector.rows} needed within {cap}; the filter {reason.split('.')[0]!r} dropped most"
        f" ({reason}: {count}): {loosen(reason)}, or raise --max-candidates"
    )


def loosen(reason: str) -> str:
    """What to change when a reason drops too much."""
    advice: dict[str, str] = {
        "change.nothing": "take an earlier --crossover",
        "change.everything": "take a later --crossover, or a smaller --truncation-psi",
        "face.none": "take a smaller --truncation-psi, or --align none for a teacher that draws no faces",
        "face.several": "take a smaller --truncation-psi",
        "face.framing": "use a teacher trained on FFHQ-aligned faces, or --align none",
    }
    return advice.get(reason, "loosen that filter")
