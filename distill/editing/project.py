"""Put a person's own photos into the latent space of a generator: photo → aligned face → w, w+ or a tuned generator.

cut_photos ─► groups of `batch` faces ─► Embedder ─► NAME.png, .npz, .json (of PTI .delta.safetensors), compare, sheet
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from distill.editing.embedding import SPACES, TITLES, EmbeddedFace, Embedder, Space, usual_space
from distill.editing.folder_settings import MARKS, NAMES
from distill.editing.pictures import ContactSheet, labelled
from distill.editing.projected_photos import MADE_BY, PROJECTED, ProjectedPhoto, finished, write_photo
from distill.errors import DistillError
from distill.faces.find import FoundPhotos, check_outputs, find_photos
from distill.faces.identity import descriptor_sha256
from distill.faces.outputs import COMPARE, SHEET, OutputFolder
from distill.faces.photo_results import PhotoResults, SkippedPhoto
from distill.faces.photos import FaceCut, cut_photos, photo_detector
from distill.files import path_text, sweep
from distill.networks.encoder_files import Encoder, load_encoder
from distill.networks.image_distance import open_distance
from distill.pixels import Mark, to_float, to_numpy, to_uint8
from distill.progress import command_text, plural
from distill.stylegan2 import tuning
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.weights.by_name import credit, encoder_of
from distill.weights.checkpoint import file_sha256

BATCH = 4  # faces at a time; on a CPU eight take twice as long as four

Slot = ProjectedPhoto | FaceCut | SkippedPhoto


@dataclass(frozen=True, kw_only=True)
class ProjectRequest:
    """Which photos (files and folders) go into which spaces of which generator.

    `lpips`: a file of VGG16 with the weights of LPIPS. `encoder`: of the space of this name; None is the one that
    comes with distill for the generator. `steps` None is the default of each space, `batch` None that of the folder,
    else BATCH, or as many as there are photos. `spaces` as `chosen_spaces` gives them; none: `usual_space`. `mark`:
    whether pictures say what drew them.
    """

    photos: tuple[Path, ...]
    out: Path
    generator: str = "portraits"
    spaces: tuple[Space, ...] = ("w+",)
    lpips: Path | None = None
    encoder: Path | None = None
    steps: int | None = None
    tuning_steps: int = tuning.STEPS
    batch: int | None = None
    device: str = "auto"
    mark: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class ProjectionJob:
    """A request that can be done: the photos, what embeds them, and what every result of the folder depends on."""

    request: ProjectRequest
    found: FoundPhotos
    embedder: Embedder
    settings: Mapping[str, Any]

    @property
    def spaces(self) -> tuple[Space, ...]:
        return self.request.spaces

    @property
    def steps_of_a_face(self) -> int:
        return self.embedder.steps_of(self.spaces)

    def folders(self) -> dict[Space, str]:
        """The folder of each space below the output: of a single one, that itself."""
        return {space: space if len(self.spaces) > 1 else "" for space in self.spaces}


def chosen_spaces(text: str) -> tuple[Space, ...]:
    """Read "w,w+" as spaces, each once, in the order of SPACES. Raises DistillError for another word."""
    words = [word.strip() for word in text.lower().split(",")]
    if unknown := [word for word in words if word not in SPACES]:
        raise DistillError(f"unknown space {unknown[0]!r}: choose of {', '.join(SPACES)}")
    return tuple(space for space in SPACES if space in words)


def open_projection(request: ProjectRequest) -> ProjectionJob:
    """Find the photos, load the generator and the distance, and compare what is asked for with what the folder holds.

    Raises DistillError for bad input and for a folder of something else, before anything is written.
    """
    found = find_photos(request.photos, request.out)
    before = PROJECTED.kept(request.out)
    generator = load_generator(request.generator, device=request.device, precision="fp32")
    request = replace(request, spaces=request.spaces or (usual_space(generator),))
    request = replace(request, encoder=_encoder_file(request, generator))
    distance = open_distance(request.lpips, generator.device)
    embedder = Embedder(
        generator=generator,
        distance=distance,
        steps=request.steps,
        tuning_steps=request.tuning_steps,
        encoder=_open_encoder(request.encoder, generator) if request.encoder else None,
    )
    kept = before.get("batch") if before else None
    batch = request.batch or (kept if isinstance(kept, int) else min(BATCH, len(found.files)))
    files = {"lpips_sha256": request.lpips, "encoder_sha256": request.encoder}
    settings = {
        "generator_sha256": generator.sha256,
        "spaces": list(request.spaces),
        "procedures": [embedder.procedure(space) for space in request.spaces],
        "distance": distance.name,
        **{key: file_sha256(file) if file else None for key, file in files.items()},
        "steps": [embedder.search_steps(space) for space in request.spaces],
        "tuning_steps": request.tuning_steps if "pti" in request.spaces else None,
        "batch": batch,
        "landmarks_sha256": photo_detector().landmarks_sha256,
        "descriptor_sha256": descriptor_sha256(),
        "mark": MARKS[request.mark],
        NAMES: {
            "generator_sha256": path_text(request.generator),
            **{key: path_text(file.name) for key, file in files.items() if file},
        },
    }
    if before is not None:
        PROJECTED.check(request.out, before, settings)
    return ProjectionJob(request=request, found=found, embedder=embedder, settings=settings)


class OfGenerator(Protocol):
    """A request for pictures of a generator by name; `mark`: whether they shall say so."""

    @property
    def generator(self) -> str: ...
    @property
    def mark(self) -> bool: ...


def generator_mark(request: OfGenerator, generator: Generator) -> Mark | None:
    """Return the mark of the pictures that a generator draws for a request."""
    return Mark(by=f"the generator {credit(request.generator, generator.sha256)}") if request.mark else None


def plan_lines(job: ProjectionJob) -> list[str]:
    """Say what would be done, and what is done already."""
    request, generator = job.request, job.embedder.generator
    stems = OutputFolder(request.out, MADE_BY).stems(job.found.files, sheet=True)
    pairs = zip(job.found.files, stems, strict=True)
    done = sum(finished(request.out, *pair, job.folders(), job.settings) is not None for pair in pairs)
    searches = (
        f"{TITLES[space]}: {job.embedder.procedure(space)}, at most {job.embedder.steps_of([space])} steps a face"
        for space in job.spaces
    )
    return [
        f"{plural(len(job.found.files), 'photo')} → {path_text(request.out)}, {done} done already",
        f"generator {request.generator}, {generator.resolution} px, sha256 {generator.sha256[:12]}…",
        *([f"encoder {path_text(request.encoder)}"] if request.encoder else []),
        *searches,
        f"compared by {job.embedder.distance.name}, {job.settings['batch']} at a time on {generator.device.type}",
    ]


def _encoder_file(request: ProjectRequest, generator: Generator) -> Path | None:
    """Choose the encoder's file, None where none is needed. Raises DistillError where it is missing or needless."""
    if "encoder" not in request.spaces:
        if request.encoder is not None:
            raise DistillError(
                "an encoder is given, but its space is not asked for: add encoder to the spaces, or leave it out"
            )
        return None
    if file := request.encoder or encoder_of(generator.sha256):
        return file
    command = command_text("distill", "train-encoder", "--generator", request.generator)
    raise DistillError(
        f"no encoder of {path_text(request.generator)} comes with distill: train one with '{command}' and name it"
        " with --encoder"
    )


def _open_encoder(file: Path, generator: Generator) -> Encoder:
    """Load an encoder. Raises DistillError for that of another generator."""
    encoder = load_encoder(file, device=generator.device)
    encoder.check_fits(file, generator.sha256)
    return encoder


def project_photos(
    job: ProjectionJob,
    *,
    advance: Callable[[int], object] = lambda steps: None,
    passed: Callable[[int], object] = lambda steps: None,
) -> PhotoResults[ProjectedPhoto]:
    """Embed the largest face of each photo that is not done yet; at most `steps_of_a_face` for each.

    `advance` hears of steps taken, `passed` of those that are not needed. A face's result does not depend on the
    faces beside it, nor on interruptions. Raises DiskFull, and DistillError where `out` cannot be written, a photo
    would be replaced, or memory ends.
    """
    request = job.request
    for below in {"", COMPARE, *job.folders().values()}:
        check_outputs(job.found.files, request.out / below)
        if (request.out / below).is_dir():
            sweep(request.out / below)
    job.embedder.advance = advance
    sheet = ContactSheet(["photo", *(TITLES[space] for space in job.spaces)])
    results: list[ProjectedPhoto | SkippedPhoto] = [*job.found.left_out]
    with OutputFolder(request.out, MADE_BY, generator_mark(request, job.embedder.generator)) as outputs:
        stems = outputs.stems(job.found.files, sheet=True)
        for group in _groups(job, stems):
            passed(sum(not isinstance(slot, FaceCut) for slot in group) * job.steps_of_a_face)
            done = _finish(job, group, outputs)
            for photo in done:
                if isinstance(photo, ProjectedPhoto):
                    sheet.add(photo.name, photo.tiles)
            results += done
        if sheet.count and (outputs.written or not (request.out / f"{SHEET}.png").exists()):
            outputs.write(sheet.draw(), SHEET)
    return PhotoResults(
        photos=len(job.found.files),
        results=results,
        landmarks_sha256=str(job.settings["landmarks_sha256"]),
        replaced=outputs.replaced,
    )


def _groups(job: ProjectionJob, stems: Sequence[str]) -> Iterator[list[Slot]]:
    """Yield the photos in groups of `batch` faces; those that are done keep their places in them."""
    files, batch, faces = job.found.files, int(job.settings["batch"]), 0
    detector, side = photo_detector(), job.embedder.generator.resolution
    group: list[Slot] = []
    for photo, stem in zip(files, stems, strict=True):
        slot: Slot | None = finished(job.request.out, photo, stem, job.folders(), job.settings)
        if slot is None:
            ((slot,),) = cut_photos([photo], detector, size=side, stems=[stem])
        group.append(slot)
        faces += not isinstance(slot, SkippedPhoto)
        if faces == batch:
            yield group
            group, faces = [], 0
    if group:
        yield group


def _finish(
    job: ProjectionJob, group: Sequence[Slot], outputs: OutputFolder
) -> list[ProjectedPhoto | SkippedPhoto]:
    """Embed the faces of a group that are not done, and write them."""
    faces = [slot for slot in group if not isinstance(slot, SkippedPhoto)]
    wanted = [isinstance(slot, FaceCut) for slot in faces]
    if not any(wanted):
        return [slot for slot in group if not isinstance(slot, FaceCut)]
    generator, batch = job.embedder.generator, int(job.settings["batch"])
    pixels = np.zeros((batch, generator.resolution, generator.resolution, 3), np.uint8)
    for place, face in enumerate(faces):
        if isinstance(face, FaceCut):
            pixels[place] = face.pixels
    wanted += [False] * (batch - len(wanted))
    images = to_float(torch.from_numpy(pixels)).to(generator.device)
    embedded = job.embedder(job.spaces, images, wanted)
    done: list[ProjectedPhoto | SkippedPhoto] = []
    for slot in group:
        found = {} if isinstance(slot, SkippedPhoto) else next(embedded)
        done.append(_written(job, slot, found, outputs) if isinstance(slot, FaceCut) else slot)
    return done


def _written(
    job: ProjectionJob, cut: FaceCut, faces: Mapping[Space, EmbeddedFace], outputs: OutputFolder
) -> ProjectedPhoto:
    pictures = {space: to_numpy(to_uint8(face.image[None]))[0] for space, face in faces.items()}
    row = labelled([cut.pixels, *pictures.values()], ["photo", *(TITLES[space] for space in faces)])
    return write_photo(
        cut,
        faces,
        pictures,
        row=row,
        folders=job.folders(),
        embedder=job.embedder,
        outputs=outputs,
        settings=job.settings,
    )
