"""From what a user names to masks: regions of a generator, a face parser, or a painted mask."""

from __future__ import annotations

from pathlib import Path

from distill.faces.regions.clusters import ClusterRegions
from distill.faces.regions.file import SUFFIX, read_clusters, shipped_clusters
from distill.faces.regions.landmarks import LandmarkRegions
from distill.faces.regions.painted import PaintedRegion
from distill.faces.regions.parser import FaceParser, parser_sha256
from distill.faces.regions.parts import JoinedRegions, RegionSource
from distill.stylegan2.generator import Generator
from distill.weights.checkpoint import file_sha256


def open_regions(generator: Generator, path: Path | None = None) -> RegionSource:
    """Return what gives the regions of pictures that a generator draws.

    `path`: a file of `distill regions` (by default the one that comes with the package), beside which the landmarks
    place eyes, nose, mouth and face; the TOML of a face parser, whose missing parts the landmarks give; or a picture
    of a mask. Raises DistillError in one line.
    """
    kind = path.suffix.lower() if path else SUFFIX
    if path and kind == ".toml":
        return JoinedRegions(FaceParser.read(path), LandmarkRegions())
    if path and kind != SUFFIX:
        return PaintedRegion.read(path)
    clusters = read_clusters(path or shipped_clusters(generator), generator)
    return JoinedRegions(LandmarkRegions(), ClusterRegions(clusters, generator))


def regions_sha256(generator: Generator, path: Path | None = None) -> str:
    """Return the sha256 of what `open_regions` opens; of a face parser that of its TOML and network together."""
    if path and path.suffix.lower() == ".toml":
        return parser_sha256(path)
    return file_sha256(path or shipped_clusters(generator))
