"""The stages of the pipeline, one function each, in its order.

Shapes: N candidates of a batch, P parents, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distill.errors import DistillError
from distill.generation.advice import Tally
from distill.generation.align import framed
from distill.generation.batch import Batch
from distill.generation.edits.base import Edit, Numbers
from distill.generation.edits.region_swap import PERSON, REFERENCE, RegionSwap
from distill.generation.edits.rings import of_neighbours
from distill.generation.embed import LatentSearch
from distill.generation.move_region import RegionMover
from distill.generation.recipe import Recipe
from distill.generation.shard_builder import ShardBuilder
from distill.pixels import to_device
from distill.stylegan2.generator import Generator
from distill.stylegan2.sampling import sample_z
from distill.timing import StageClock

if TYPE_CHECKING:
    from distill.attributes.protocol import AttributeScorer
    from distill.faces.detection import FaceDetector

OnProgress = Callable[[Tally], None]  # of this shard so far


@dataclass(frozen=True, kw_only=True)
class ShardRun:
    """What the stages of one shard work with; `edit` is the recipe's, ready to be applied.

    `second` is the second generator of an edit that has one; `search` finds its latents where they are not known.
    `mover` moves a part of a face onto another.
    """

    recipe: Recipe
    edit: Edit
    teacher: Generator
    second: Generator | None
    search: LatentSearch | None
    mover: RegionMover | None
    builder: ShardBuilder
    scorer: AttributeScorer | None
    detector: FaceDetector | None
    on_progress: OnProgress | None
    batch_size: int  # candidates drawn at once
    threads: int
    clock: StageClock


def sample(run: ShardRun, ids: Sequence[int]) -> tuple[Tensor, dict[str, Numbers]]:
    """Draw z [N, P, Z] of the candidates' parents (P = 1 in rings), and what else the edit needs, by name."""
    seed, index, streams = run.recipe.seed, run.builder.index, list(run.edit.parents.values())
    if run.edit.ring:  # the second parent is the first of another candidate
        del streams[1]
    z_NPZ = torch.from_numpy(sample_z(seed, index, ids, streams, run.teacher.z_dim))
    return to_device(z_NPZ, run.teacher.device), run.edit.sample(seed, index, ids)


def map_parents(run: ShardRun, z_NPZ: Tensor) -> Tensor:
    """Map every parent's z to truncated w+ [N, P, L, D], one at a time; in rings the second is a neighbour's."""
    psi, cutoff = run.recipe.truncation_psi, run.recipe.truncation_cutoff
    parents = z_NPZ.unbind(dim=1)
    mapped = [run.teacher.map(z_NZ, truncation_psi=psi, truncation_cutoff=cutoff) for z_NZ in parents]
    if run.edit.ring:
        mapped.append(of_neighbours(mapped[0], run.edit.ring))
    return torch.stack(mapped, dim=1)


def synthesize(run: ShardRun, ws_by_picture: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Draw every picture, float [N, 3, H, W]; in rings the second parent's is the neighbour's first."""
    ring, size = run.edit.ring, run.batch_size
    if ring is None:
        return draw(run, ws_by_picture)
    first, second = run.edit.parents
    own = {name: ws_NLD for name, ws_NLD in ws_by_picture.items() if name != second}
    parts = [
        draw(run, {name: ws_NLD[start : start + size] for name, ws_NLD in own.items()})
        for start in range(0, len(own[first]), size)
    ]
    images = {name: torch.cat([part[name] for part in parts]) for name in own}
    images[second] = of_neighbours(images[first], ring)
    return {name: images[name] for name in ws_by_picture}


def draw(run: ShardRun, ws_by_picture: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Draw pictures, float [N, 3, H, W]; layers that several of them share run once for all of them."""
    teacher, edit, noise = run.teacher, run.edit, run.recipe.noise
    images: dict[str, Tensor] = {}
    if edit.together:
        ws = [ws_by_picture[name] for name in edit.together]
        drawn = teacher.synthesize_branches(ws, shared_layers=edit.shared_layers, noise=noise)
        images |= zip(edit.together, drawn, strict=True)
    for name, ws_NLD in ws_by_picture.items():
        if name not in images:
            images[name] = drawer_of(run, name).synthesize(ws_NLD, noise=noise)
    return {name: images[name] for name in ws_by_picture}


def drawer_of(run: ShardRun, picture: str) -> Generator:
    """The generator that draws a picture."""
    if picture != run.edit.second_role:
        return run.teacher
    if run.second is None:
        raise DistillError(f"the role {picture!r} needs a second generator")
    return run.second


def embed(
    run: ShardRun, ids: Sequence[int], ws_by_picture: dict[str, Tensor], images: dict[str, Tensor]
) -> dict[str, Numbers]:
    """Look for the face in the second generator, where it is not drawn from a w that is known.

    Adds its w+ and picture to what was drawn; returns the steps that it took.
    """
    role, drawn = run.edit.second_role, list(images.values())
    if run.edit.embedding is None or role is None:
        return {}
    if run.search is None:
        raise DistillError(f"the role {role!r} is to be embedded, and nobody looks for it")
    with run.clock.stage("embed"):
        found = run.search(ids, drawn[0])
        ws_by_picture[role] = found.ws
        images[role] = drawer_of(run, role).synthesize(found.ws, noise=run.recipe.noise)
    return {"steps": found.steps}


def move(run: ShardRun, batch: Batch) -> None:
    """Move the part of the reference onto the person, where the edit is about one: the result joins the batch."""
    if not isinstance(run.edit, RegionSwap):
        return
    if run.mover is None:
        raise DistillError("a part is to be moved, and nobody knows where it is")
    with run.clock.stage("move"):
        if run.edit.find_faces and run.detector:
            batch.find_faces((PERSON, REFERENCE), run.detector, threads=run.threads)
        run.mover(batch, noise=run.recipe.noise, at_once=run.batch_size)


def wait_until_drawn(run: ShardRun, batch: Batch) -> None:
    """Wait for the GPU, and count its seconds."""
    if batch.timer:
        run.clock.add({"synthesis": batch.timer.seconds()})


def select(run: ShardRun, batch: Batch) -> None:
    """Score what an edit along directions draws: choose source and target of it, or drop the candidate."""
    selection = run.recipe.select
    if selection is None or run.scorer is None:
        return
    with run.clock.stage("select"):
        if selection.find_faces and run.detector:
            batch.find_faces(list(batch.images), run.detector, threads=run.threads)
        selection.judge(batch, run.scorer)


def keep_or_drop(run: ShardRun, batch: Batch) -> None:
    """Ask the filters one after the other."""
    with run.clock.stage("filter"):
        for item in run.recipe.filters:
            if item.needs_faces and run.detector:
                batch.find_faces(run.recipe.face_roles, run.detector, threads=run.threads)
            item.judge(batch, run.recipe)


def align(run: ShardRun, batch: Batch) -> None:
    """Frame the images of the accepted candidates that still fit into the shard."""
    with run.clock.stage("align"):
        batch.wanted = run.builder.wanted(batch)
        batch.framed = framed(batch, batch.wanted, run.recipe)


def collect(run: ShardRun, batch: Batch) -> None:
    """Put the accepted candidates into the shard, and what became of the others into its ledger."""
    with run.clock.stage("encode"):
        run.builder.add(batch)
    if run.on_progress:
        run.on_progress(Tally.of(run.builder))
