"""Make the regions of a generator: fit, save, draw, and say what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.regions.clusters import ClusterFacts, ClusterRegions
from distill.faces.regions.file import SUFFIX, write_clusters
from distill.faces.regions.fit import SAMPLES, FittedRegions, fit_regions
from distill.faces.regions.landmarks import LandmarkRegions
from distill.faces.regions.parts import PARTS, JoinedRegions
from distill.faces.regions.picture import regions_picture
from distill.files import check_file, file_sha256, path_text, write_result
from distill.pixels import encode_png
from distill.progress import Progress, plural
from distill.stylegan2.facts import teacher_facts
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator


@dataclass(frozen=True, kw_only=True)
class RegionsRequest:
    """Which generator, and where the file goes; its picture lies beside it, with the ending .png."""

    generator: str
    out: Path
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False

    @property
    def picture(self) -> Path:
        return self.out.with_suffix(".png")


@dataclass(frozen=True, kw_only=True)
class RegionsReport:
    """What was made."""

    request: RegionsRequest
    facts: ClusterFacts
    sha256: str

    def lines(self) -> list[str]:
        """Say of each region which clusters it is, its share of the pixels, and how far the landmarks agree."""
        found = [f"{part:<12}{self._line(part)}" for part in PARTS]
        where = path_text(self.request.out)
        of = f"{len(self.facts.names)} clusters of {plural(self.facts.samples, 'sample')}"
        return [*found, f"{where}: {of}; look at {path_text(self.request.picture)}"]

    def _line(self, part: str) -> str:
        numbers = [n for n, name in enumerate(self.facts.names) if name == part]
        if not numbers:
            return "no cluster" + (": by the landmarks" if part in LandmarkRegions.parts else "")
        share = sum(self.facts.shares[n] for n in numbers)
        which = f"cluster{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        agrees = self.facts.overlaps.get(part)
        told = "" if agrees is None else f"; overlap with the landmarks {agrees:.2f}"
        return f"{share:6.1%} of the pixels, {which}{told}"

    def to_json(self) -> dict[str, Any]:
        return {
            "path": path_text(self.request.out, line=False),
            "picture": path_text(self.request.picture, line=False),
            "sha256": self.sha256,
            **self.facts.model_dump(mode="json"),
        }


def make_regions(
    request: RegionsRequest,
    progress: Callable[[int], Progress] = lambda samples: Progress(samples, quiet=True),
) -> RegionsReport:
    """Fit the regions of a generator, and write them and their picture; `progress` shows the samples that are drawn.

    Raises DistillError for a file that is there already, one that cannot be written, and as `fit_regions`.
    """
    if request.out.suffix != SUFFIX:
        raise DistillError(f"--out {path_text(request.out)}: the name must end in {SUFFIX}")
    for path in (request.out, request.picture):
        check_file(path, overwrite=request.overwrite)
    name = teacher_facts(request.generator).name
    generator = load_generator(request.generator, device=request.device, precision="fp32")
    with progress(SAMPLES) as bar:
        fitted = fit_regions(generator, name, seed=request.seed, samples=SAMPLES, advance=bar.advance)
    write_result(request.picture, encode_png(_picture(fitted, generator)))
    write_clusters(request.out, fitted.clusters)
    return RegionsReport(request=request, facts=fitted.clusters.facts, sha256=file_sha256(request.out))


def _picture(fitted: FittedRegions, generator: Generator) -> Pixels:
    marks, clusters = LandmarkRegions(), ClusterRegions(fitted.clusters, generator)
    both, facts = JoinedRegions(marks, clusters), fitted.clusters.facts
    notes = {part: f"overlap {value:.2f}" for part, value in facts.overlaps.items()}
    return regions_picture(
        f"{facts.generator}: regions",
        fitted.shown.images,
        marked=marks.masks(fitted.shown, marks.parts),
        clustered=clusters.masks(fitted.shown, clusters.parts),
        shown=both.masks(fitted.shown, both.parts),
        notes=notes,
    )
