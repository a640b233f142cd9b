"""What a task with a second generator comes to: which generator that is, and how the two are paired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from distill.errors import DistillError
from distill.generation.edits.second_generator import Embedded, SecondGenerator, SharedW
from distill.generation.recipe import TaskRecipe
from distill.networks.perceptual import perceptual_sha256
from distill.stylegan2.facts import teacher_facts
from distill.weights.registry import cached_checkpoint, resolve

if TYPE_CHECKING:
    from distill.generation.request import TaskChoices

PAIRINGS = ("shared", "embed")
# Where both generators draw the same w, a pair costs two images and no search: shards of the usual size, and every
# pair is kept; its SSIM is stored all the same.
SHARED_SHARD_SIZE, SHARED_MIN_SSIM = 256, -1.0


def second_name(base: TaskRecipe, choices: TaskChoices) -> str:
    """The registry name, file or address of the second generator that is asked for; "" for a task without one."""
    if not isinstance(base.edit, SecondGenerator):
        return ""
    own = base.edit.second_generator
    return choices.second_generator or (own if isinstance(own, str) else own.name)


def with_second_generator(base: TaskRecipe, choices: TaskChoices, *, first: str, second: str) -> TaskRecipe:
    """Put the second generator and the pairing into the recipe of a task.

    Without a choice the pairing is `shared` where both generators map z to w by the same network, else `embed`.
    Raises DistillError for a generator that is not there, and for choices that the pairing has no use for.
    """
    edit = base.edit
    assert isinstance(edit, SecondGenerator)
    pairing = choices.pairing or ("shared" if share_mapping(first, second) else "embed")
    changes = {"second_generator": teacher_facts(second).model_dump()}
    if pairing == "shared":
        refuse_search(choices)
        base = base.revised(shard_size=SHARED_SHARD_SIZE).refiltered("likeness", min_ssim=SHARED_MIN_SSIM)
        found: SharedW | Embedded = SharedW()
    else:
        own = edit.pairing if isinstance(edit.pairing, Embedded) else Embedded()
        given = {"space": choices.space, "steps": choices.steps}
        kept = {key: value for key, value in given.items() if value is not None}
        found = own.model_copy(update={**kept, "features_sha256": perceptual_sha256(own.features)})
    base = base.revised(**changes, pairing=found.model_dump())
    return base.refiltered("likeness", min_ssim=choices.min_ssim)


def refuse_search(choices: TaskChoices) -> None:
    """Refuse choices of the search for a latent where none is looked for."""
    for flag, value in {"--space": choices.space, "--steps": choices.steps}.items():
        if value is not None:
            raise DistillError(
                f"{flag} {value} has no meaning where both generators draw the same w: leave it out, or use"
                " --pairing embed"
            )


def share_mapping(first: str, second: str) -> bool:
    """Tell whether two generators map z to w by the same numbers, as one does that was fine-tuned from the other."""
    mine, theirs = (
        {
            name: tensor
            for name, tensor in cached_checkpoint(resolve(source)).state.items()
            if name.startswith("mapping.fc")
        }
        for source in (first, second)
    )
    return mine.keys() == theirs.keys() and all(
        mine[name].shape == theirs[name].shape and torch.equal(mine[name].float(), theirs[name].float())
        for name in mine
    )
