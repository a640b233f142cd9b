"""Who gives a part and who gets it: samples by their seeds, own photos by their latents, and masks of the part.

L w+ layers, D latent width, H = W image side. Of two: the person first, then the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from distill.editing.own_latents import OpenProgress, OwnPhotos, find_latents
from distill.errors import DistillError, NothingWorked
from distill.faces.alignment import Floats, Pixels
from distill.faces.detection import FaceDetector
from distill.faces.regions.open import open_regions
from distill.faces.regions.parts import RegionPictures, RegionSource, check_parts, region_masks
from distill.pixels import to_numpy, to_uint8
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.stylegan2.sampling import CONTENT, MAX_SEED, sample_z

PSI = 0.7  # truncation of samples, as recipes have it


@dataclass(frozen=True, kw_only=True)
class TwoPeople:
    """Person and reference, each a seed (digits: the first face that `generate` draws by it) or a photo.

    With `projections` photos are names in that folder; new ones go into `out`, see `OwnPhotos`. `regions`: see
    `open_regions`. `steps`: of looking for the latent of a photo. `mark`: whether pictures say what drew
    them.
    """

    person: str
    reference: str
    out: Path
    generator: str = "portraits"
    projections: Path | None = None
    regions: Path | None = None
    steps: int | None = None
    device: str = "auto"
    mark: bool = True

    @property
    def both(self) -> tuple[str, str]:
        return self.person, self.reference

    def check(self) -> None:
        """Raise DistillError for two that are one, seeds that are too large, and projections of nobody."""
        if self.person == self.reference:
            raise DistillError(f"person and reference are both {self.person[:80]!r}: name two")
        for one in self.both:
            if is_seed(one) and int(one[:40]) > MAX_SEED:
                raise DistillError(f"seed {one[:40]}: seeds are numbers of 0 to {MAX_SEED}")
        if self.projections is not None and all(map(is_seed, self.both)):
            raise DistillError("--from names photos, but person and reference are both seeds")


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundPeople:
    """Two people and their masks of one part: w+ [2, L, D], pictures [2, H, W, 3], masks [2, H, W] in 0..1."""

    generator: Generator
    names: tuple[str, str]
    ws: Tensor
    images: Pixels
    masks: Tensor


def is_seed(text: str) -> bool:
    """Tell a seed, which is digits alone, from a photo."""
    return text.isascii() and text.isdecimal()


def find_people(two: TwoPeople, part: str, progress: OpenProgress) -> FoundPeople:
    """Find the latents of both and the masks of the part in what is drawn of them.

    `progress` opens what shows the steps of projecting. Raises DistillError for an unknown part or one without
    pixels, regions that are not of this generator, and photos without a face.
    """
    two.check()
    sources: list[RegionSource] = []

    def check(generator: Generator) -> None:
        sources.append(open_regions(generator, two.regions))
        check_parts(sources[0], [part])

    generator, names, ws = _latents(two, progress, check)
    pictures = drawn_pictures(generator, ws, names)
    masks = torch.from_numpy(region_masks(sources[0], pictures, [part])[part])
    return FoundPeople(generator=generator, names=names, ws=ws, images=pictures.images, masks=masks)


def drawn_pictures(generator: Generator, ws: Tensor, names: Sequence[str]) -> RegionPictures:
    """Draw w+ [N, L, D] and find the largest face in each picture."""
    images = to_numpy(to_uint8(generator.synthesize(ws)))
    return RegionPictures(images=images, faces=list(map(largest_landmarks, images)), ws=ws, names=names)


def sampled(generator: Generator, seed: int) -> Tensor:
    """Return the w+ [1, L, D] of the first content of a data set of this seed."""
    z_NPZ = sample_z(seed, 0, [0], [CONTENT], generator.z_dim)
    return generator.map(torch.from_numpy(z_NPZ[:, 0]), truncation_psi=PSI)


def _latents(
    two: TwoPeople, progress: OpenProgress, check: Callable[[Generator], object]
) -> tuple[Generator, tuple[str, str], Tensor]:
    photos = tuple(one for one in two.both if not is_seed(one))
    if not photos:
        generator = load_generator(two.generator, device=two.device, precision="fp32")
        check(generator)
        return generator, two.both, torch.cat([sampled(generator, int(one)) for one in two.both])
    own = OwnPhotos(
        photos=photos,
        out=two.out,
        generator=two.generator,
        projections=two.projections,
        steps=two.steps,
        device=two.device,
        mark=two.mark,
    )
    try:
        found = find_latents(own, progress, check)
    except NothingWorked as error:
        raise DistillError(str(error)) from error
    for skip in found.skipped:
        raise DistillError(f"{skip.photo}: {skip.reason} ({skip.detail}): a photo of one face is needed")
    if len(found.names) != len(photos):
        raise DistillError(
            f"{' and '.join(photos)}: one photo each is needed, not {len(found.names)} pictures"
        )
    rest = iter(zip(found.names, found.ws, strict=True))
    pairs = [(one, sampled(found.generator, int(one))[0]) if is_seed(one) else next(rest) for one in two.both]
    (person, _), (reference, _) = pairs
    return found.generator, (person, reference), torch.stack([w for _, w in pairs])


def largest_landmarks(image: Pixels) -> Floats | None:
    """The 68 landmarks of the largest face, None where there is none."""
    face = max(FaceDetector()(image), key=lambda face: face.area, default=None)
    return None if face is None else face.landmarks
