"""What a measurement must read: off which rows, by whom, and where. Nothing is written here.

choose readers ─► plan sources ─► `run.py`: the missing parts ─► `results.py`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.evaluation.assessment_folder import MEASURES, check_place, folder_of
from distill.evaluation.generator_metrics.names import FID, KID, LEAST_PICTURES, LS, PR, WITH_PICTURES
from distill.evaluation.generator_metrics.parts import (
    PartTask,
    Wanted,
    damaged_parts,
    missing_tasks,
    read_rows,
)
from distill.evaluation.generator_metrics.readers import Floats, Reader
from distill.evaluation.generator_metrics.request import (
    MetricReaders,
    MetricsRequest,
    check_measures,
    choose_readers,
)
from distill.evaluation.generator_metrics.sources import (
    Drawing,
    DrawnSamples,
    LatentSteps,
    Output,
    RealPictures,
    open_pictures,
)
from distill.evaluation.teacher import open_generator
from distill.generation.conditions import default_batch_size, kind_of
from distill.generation.placement import Placement, place_on_devices
from distill.generation.request import located
from distill.metrics.path_length import KINDS as PATHS
from distill.stylegan2.generator import Generator
from distill.weights.registry import entry_of

CACHE = "features"  # the folder of what was read


@dataclass(frozen=True, kw_only=True, eq=False)
class MetricsRun:
    """A request that has been checked: what is read off which rows, and where that is done.

    `generator` is on the CPU, for its latents. `samples` has the wanted rows at each ψ. `picture_side`: that of the
    pictures themselves, px; 0 without any.
    """

    request: MetricsRequest
    generator: Generator
    about: Mapping[str, Any]
    readers: MetricReaders
    samples: Mapping[float, Wanted]
    pictures: Wanted | None
    total_pictures: int
    picture_side: int
    steps: Wanted | None
    device: str

    @property
    def out(self) -> Path:
        return folder_of(self.request.out, self.about)

    @property
    def folder(self) -> Path:
        """Where the numbers lie, from the root: a worker may run elsewhere."""
        return (self.out / CACHE).absolute()

    @property
    def wanted(self) -> list[Wanted]:
        return [w for w in (self.pictures, *self.samples.values(), self.steps) if w is not None and w.outputs]

    @cached_property
    def placement(self) -> Placement:
        request, tasks = self.request, missing_tasks(self.wanted, self.folder, self.device)
        return place_on_devices(
            cluster=request.cluster, workers=request.workers, device=request.device, tasks=len(tasks)
        )

    def tasks(self) -> list[PartTask]:
        """What is not there yet."""
        return missing_tasks(self.wanted, self.folder, self.placement.device)

    def rows(self, wanted: Wanted | None, reader: Reader | None, count: int, measure: str = "") -> Floats:
        """Return what a reader has read off the first rows, [count, D]."""
        if wanted is None or reader is None:
            raise ValueError("nothing of that kind was asked for")
        return read_rows(self.folder, wanted.source, Output(reader=reader, rows=count, measure=measure))


def prepare(request: MetricsRequest, *, skipped: Callable[[str], None] = lambda line: None) -> MetricsRun:
    """Check a request against generator, pictures, networks and devices; write nothing. Raises DistillError."""
    check_measures(request.metrics, request.data)
    readers = choose_readers(request)
    generator, about = open_generator(request.source, "cpu")
    check_place(folder_of(request.out, about), MEASURES)
    check_separability(request.count(LS), max(generator.z_dim, generator.w_dim))
    device = place_on_devices(
        cluster=request.cluster, workers=request.workers, device=request.device, tasks=1
    ).device
    batch = default_batch_size(kind_of(device), generator.resolution)
    source = request.source if entry_of(request.source) else located(request.source)
    drawing = Drawing(generator=source, sha256=generator.sha256, seed=request.seed, batch=batch)
    pictures, total, side = wanted_pictures(request, generator, batch, readers, skipped)
    run = MetricsRun(
        request=request,
        generator=generator,
        about=about,
        readers=readers,
        samples=wanted_samples(request, drawing, readers),
        pictures=pictures,
        total_pictures=total,
        picture_side=side,
        steps=wanted_steps(request, drawing, readers),
        device=device,
    )
    if damaged := damaged_parts(missing_tasks(run.wanted, run.folder, device)):
        skipped(f"damaged parts are read again: {len(damaged)}, such as {damaged[0]}")
    return run


def check_separability(count: int, width: int) -> None:
    """Raise DistillError where a plane would separate the kept half of the samples whatever they show.

    Of twice as many points as dimensions it does so half of the time (Cover 1965).
    """
    if 0 < count < 4 * width:
        raise DistillError(
            f"ls needs at least {4 * width} samples, not {count}: half are kept, and in {width} dimensions a plane"
            f" separates {2 * width} points by chance; raise --samples"
        )


def wanted_samples(request: MetricsRequest, drawing: Drawing, readers: MetricReaders) -> dict[float, Wanted]:
    """Features at every ψ, scores at ψ 1."""
    features = feature_outputs(readers, request.count(FID, KID), request.count(PR))
    scores = tuple(Output(reader=reader, rows=request.count(LS)) for reader in readers.scores)
    found = dict.fromkeys(request.psi, features) if features else {}
    if scores:
        found[1.0] = (*found.get(1.0, ()), *scores)
    return {
        psi: Wanted(source=DrawnSamples(drawing=drawing, psi=psi), outputs=outputs)
        for psi, outputs in sorted(found.items())
    }


def feature_outputs(readers: MetricReaders, frechet: int, manifold: int) -> tuple[Output, ...]:
    """Return which features are read, and off how many rows; one network may do both."""
    rows: dict[Reader, int] = {}
    for reader, count in ((readers.frechet, frechet), (readers.manifold, manifold)):
        if reader is not None:
            rows[reader] = max(rows.get(reader, 0), count)
    return tuple(Output(reader=reader, rows=count) for reader, count in rows.items())


def wanted_pictures(
    request: MetricsRequest,
    generator: Generator,
    batch: int,
    readers: MetricReaders,
    skipped: Callable[[str], None],
) -> tuple[Wanted | None, int, int]:
    """Return all pictures, or as many as there are samples where no measure takes all; their number, and their side.

    Raises DistillError for a side that is no multiple of the generator's, and for too few.
    """
    if request.data is None or not request.count(*WITH_PICTURES):
        return None, 0, 0
    side = generator.resolution
    advice = f"make a data set of them with distill prepare-images --resolution {side}"
    images = open_pictures(request.data, skipped=skipped, otherwise=advice)
    height, width = images.sides
    if height % side or height != width:
        raise DistillError(
            f"{request.data}: its pictures have {width}×{height} px, the generator draws {side}: enlarging them"
            f" would change every score; give pictures of {side} px, or of a multiple"
        )
    whole = any(metric.full for metric in request.metrics)
    limits = (len(images), request.pictures, None if whole else request.count(*WITH_PICTURES))
    most = min(limit for limit in limits if limit is not None)
    for measure, least in LEAST_PICTURES.items():
        if request.count(measure) and most < least:
            raise DistillError(
                f"{request.data}: {most} pictures are too few for {measure}; {least} are needed"
            )
    source = RealPictures(
        path=str(request.data.absolute()),
        digest=images.digest,
        total=len(images),
        side=side,
        most=most,
        seed=request.seed,
        batch=batch,
    )
    return (
        Wanted(source=source, outputs=feature_outputs(readers, most, most)),
        len(images),
        height,
    )


def wanted_steps(request: MetricsRequest, drawing: Drawing, readers: MetricReaders) -> Wanted | None:
    if readers.steps is None:
        return None
    outputs = tuple(
        Output(reader=readers.steps, rows=request.count(measure), measure=measure)
        for measure in PATHS
        if request.count(measure)
    )
    return Wanted(source=LatentSteps(drawing=drawing, crop_form=request.crop_form), outputs=outputs)
