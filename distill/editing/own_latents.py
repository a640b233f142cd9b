"""The latents of own photos: projected now, or read from a folder of `distill project`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from distill.editing.embedding import Space
from distill.editing.pictures import tiles_of
from distill.editing.project import ProjectRequest, open_projection, project_photos
from distill.editing.projections import StoredProjection, read_projections
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.decode import PhotoError, read_photo
from distill.faces.outputs import COMPARE
from distill.faces.photo_results import SkippedPhoto
from distill.progress import Progress
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator

OpenProgress = Callable[[int], Progress]  # of this many steps
PROJECTIONS = "projections"  # folder below the output


@dataclass(frozen=True, kw_only=True)
class OwnPhotos:
    """Photos (files and folders), or with `projections` the names of some there (none: all).

    New projections go into `out`/projections, in `space` (None: `usual_space`), and the same call finds them there
    again.
    """

    photos: tuple[str, ...]
    out: Path
    generator: str = "portraits"
    projections: Path | None = None
    steps: int | None = None
    space: Space | None = "w+"
    device: str = "auto"
    mark: bool = True  # whether pictures say what drew them

    @property
    def folder(self) -> Path:
        """Where the projections are, or come to be."""
        return self.projections or self.out / PROJECTIONS


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnLatents:
    """N photos by name, with their w+ [N, L, D] on the generator's device, and those that were skipped."""

    generator: Generator
    names: Sequence[str]
    ws: Tensor
    skipped: Sequence[SkippedPhoto] = ()


def quiet(steps: int) -> Progress:
    return Progress(steps, quiet=True)


def find_latents(
    own: OwnPhotos,
    progress: OpenProgress = quiet,
    check: Callable[[Generator], object] = lambda generator: None,
) -> OwnLatents:
    """Read or make the projections; `progress` opens what shows the steps of making them.

    `check` sees the generator before that, and raises DistillError where what is asked for does not fit it.

    Raises DistillError for bad input, projections of another generator and of PTI, which draw each by a generator of
    its own; NothingWorked where no photo shows a face.
    """
    skipped: Sequence[SkippedPhoto] = ()
    if own.projections is not None:
        check(generator := load_generator(own.generator, device=own.device, precision="fp32"))
        found = _named(read_projections(own.projections, generator), own)
    else:
        if not own.photos:
            raise DistillError("no photos: name some, or a folder of projections with --from")
        job = open_projection(
            ProjectRequest(
                photos=tuple(map(Path, own.photos)),
                out=own.folder,
                generator=own.generator,
                spaces=(own.space,) if own.space else (),
                steps=own.steps,
                device=own.device,
                mark=own.mark,
            )
        )
        check(job.embedder.generator)
        with progress(job.steps_of_a_face * len(job.found.files)) as shown:
            done = project_photos(job, advance=shown.advance, passed=shown.skip)
        done.check()
        generator, skipped = job.embedder.generator, done.skipped
        names = [photo.name for photo in done.done]
        stored = {projection.name: projection for projection in read_projections(own.folder, generator)}
        found = [stored[name] for name in names]
    if tuned := [projection.name for projection in found if projection.space == "pti"]:
        raise DistillError(
            f"{own.projections}: {tuned[0]} is a projection of PTI, drawn by a generator of its own: project into w+"
        )
    ws = torch.stack([projection.ws for projection in found]).to(generator.device)
    return OwnLatents(generator=generator, names=[p.name for p in found], ws=ws, skipped=skipped)


def _named(found: Sequence[StoredProjection], own: OwnPhotos) -> list[StoredProjection]:
    """Those asked for, in that order; all where none is named."""
    by_name = {projection.name: projection for projection in found}
    for name in own.photos:
        if name not in by_name:
            raise DistillError(
                f"{own.projections}: no projection {name!r}; the projections are {', '.join(by_name)}"
            )
    return [by_name[name] for name in own.photos] if own.photos else list(found)


def aligned_photo(own: OwnPhotos, name: str, side: int) -> Pixels:
    """Return the aligned face [side, side, 3] that a projection was made of: it stands first in the comparison.

    Raises DistillError where that is not there, or is no such picture.
    """
    places = [folder / COMPARE / f"{name}.png" for folder in (own.folder, own.folder.parent)]
    path = next((place for place in places if place.is_file()), places[0])
    try:
        photo = tiles_of(read_photo(path), 1)[0]
    except PhotoError as error:
        raise DistillError(f"{path}: {error.detail}; run distill project again") from error
    if photo.shape != (side, side, 3):
        raise DistillError(f"{path}: no comparison of {side} px with a photo; run distill project again")
    return photo
