"""What the task region-swap comes to: which part, where it is, and where the shares of the channels come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill.errors import DistillError
from distill.faces.regions.open import open_regions, regions_sha256
from distill.faces.regions.parts import PARTS, check_parts
from distill.files import path_text, user_path
from distill.generation.edits.region_swap import WAY, RegionSwap, SharesOfFile, SharesOfPair
from distill.generation.recipe import TaskRecipe
from distill.networks.perceptual import perceptual_sha256
from distill.stylegan2.generator import Generator
from distill.stylegan2.interpolation.settings import settings_for
from distill.stylegan2.interpolation.shares_file import read_shares
from distill.stylegan2.load import load_generator
from distill.weights.checkpoint import file_sha256

if TYPE_CHECKING:
    from distill.generation.request import TaskChoices

GIVEN_SHARD_SIZE = 256  # where nothing is looked for, a triplet costs three images


@dataclass(frozen=True, kw_only=True)
class PartBounds:
    """What is asked of a pair by default: changes of pixels, 0 to 1, and dlib's distance.

    None: of a part that is who one is.
    """

    min_inside: float
    max_outside: float
    max_identity: float | None


# Of 33 candidates a part of `portraits` at 64 px, psi 0.7, 20 steps, these keep 82 to 91 %: those fall out whose part
# changed least, and those that changed most beside it. Hair is looser: of 1,149 at psi 1 its bounds drop 15. Of 16
# of `people` they keep 16 of hair, 10 of eyes: there eyes change less.
BOUNDS: Mapping[str, PartBounds] = {
    "eyes": PartBounds(min_inside=0.0314, max_outside=0.0098, max_identity=0.6),
    "nose": PartBounds(min_inside=0.0569, max_outside=0.0098, max_identity=0.6),
    "mouth": PartBounds(min_inside=0.0431, max_outside=0.0098, max_identity=0.6),
    "face": PartBounds(min_inside=0.0549, max_outside=0.0133, max_identity=None),
    "hair": PartBounds(min_inside=0.0392, max_outside=0.0235, max_identity=0.6),
    "background": PartBounds(min_inside=0.0353, max_outside=0.0196, max_identity=0.6),
    "clothes": PartBounds(min_inside=0.0706, max_outside=0.0118, max_identity=0.6),
}


def with_region(base: TaskRecipe, choices: TaskChoices, generator: str) -> TaskRecipe:
    """Put part, regions, shares and bounds into the recipe of region-swap; other tasks come back as they are.

    Raises DistillError, in one line, for a part that is not there, regions or shares that do not fit the generator or
    the part, and choices of a search where nothing is looked for.
    """
    edit = base.edit
    if not isinstance(edit, RegionSwap):
        return base
    part = choices.part
    if part is None:
        raise DistillError(f"the task {base.task} needs --part: {', '.join(PARTS)}")
    drawer = load_generator(generator, device="cpu", precision="fp32")
    path = user_path(choices.regions) if choices.regions else None
    source = open_regions(drawer, path)
    check_parts(source, [part])
    if choices.shares is not None:
        base = base.revised(shard_size=GIVEN_SHARD_SIZE)
    fields = {
        "part": part,
        "by_landmarks": part in source.face_parts,
        "regions_sha256": regions_sha256(drawer, path),
        "shares": _shares(edit, part, choices, drawer).model_dump(),
    }
    return _bounded(base.revised(**fields), BOUNDS[part])


def _bounded(base: TaskRecipe, bounds: PartBounds) -> TaskRecipe:
    base = base.refiltered("region", min_inside=bounds.min_inside, max_outside=bounds.max_outside)
    if bounds.max_identity is None:
        return base
    return base.refiltered("identity", max_distance=bounds.max_identity)


def _shares(
    edit: RegionSwap, part: str, choices: TaskChoices, generator: Generator
) -> SharesOfPair | SharesOfFile:
    if choices.shares is None:
        own = edit.shares if isinstance(edit.shares, SharesOfPair) else SharesOfPair()
        steps = own.steps if choices.steps is None else choices.steps
        return SharesOfPair(
            settings=settings_for(part, steps=steps, rate=WAY / steps),
            features=own.features,
            features_sha256=perceptual_sha256(own.features),
        )
    if choices.steps is not None:
        raise DistillError(
            f"--steps {choices.steps} has no meaning with --shares, where nothing is looked for: leave one out"
        )
    path = user_path(choices.shares)
    _, how = read_shares(path, generator)
    if how.part != part:
        raise DistillError(
            f"{path_text(path)}: shares of the part {how.part!r}, and --part is {part!r}: name another file or part"
        )
    return SharesOfFile(sha256=file_sha256(path))
