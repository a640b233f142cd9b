"""The file of a generator's regions: the centres of the clusters and what they are, as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.faces.regions.clusters import ClusterFacts, RegionClusters, layer_sides
from distill.files import write_result
from distill.networks.input_settings import settings_of
from distill.schema import parse_json
from distill.stylegan2.delta import check_parent
from distill.stylegan2.generator import Generator
from distill.weights.file_kinds import kind_of, opened
from distill.weights.registry import weights_folder
from distill.weights.safetensors_file import read_tensors, safetensors_chunks

FORMAT, SUFFIX = "distill-regions", ".safetensors"
TENSORS = ("centres", "mean", "deviation")
MAX_BYTES = 16 << 20
MAKE = "make them with `distill regions GENERATOR --out FILE.safetensors`"


def write_clusters(path: Path, clusters: RegionClusters) -> None:
    """Write clusters, the same ones as the same bytes; the file appears when it is complete."""
    tensors = {name: getattr(clusters, name) for name in TENSORS}
    texts = {"format": FORMAT, "facts": clusters.facts.model_dump_json()}
    write_result(path, b"".join(safetensors_chunks(tensors, texts, torch.float32)))


def read_clusters(path: Path, generator: Generator) -> RegionClusters:
    """Read the clusters of a generator.

    Raises DistillError for those of another one, UnsupportedCheckpoint for a file that holds none.
    """
    with opened(path, most=MAX_BYTES) as data:
        if kind_of(data) != "safetensors":
            raise UnsupportedCheckpoint(f"not the regions of a generator; {MAKE}")
        tensors, texts = read_tensors(path)
        if texts.get("format") != FORMAT:
            raise UnsupportedCheckpoint(f"safetensors, but not the regions of a generator; {MAKE}")
        facts = _facts(texts)
        check_parent(path, "regions of", facts.generator_sha256, generator)
        _check_shapes(tensors, facts, generator)
    return RegionClusters(facts=facts, **{name: tensors[name] for name in TENSORS})


def shipped_clusters(generator: Generator) -> Path:
    """Return the file that comes with the package for a generator. Raises DistillError where there is none."""
    for path in sorted((weights_folder() / "regions").glob(f"*{SUFFIX}")):
        _, texts = read_tensors(path, keep=lambda name: False)
        if _facts(texts).generator_sha256 == generator.sha256:
            return path
    raise DistillError(
        f"no regions of the generator with sha256 {generator.sha256[:12]}… come with distill: {MAKE}"
    )


def _facts(texts: Mapping[str, str]) -> ClusterFacts:
    try:
        return settings_of(ClusterFacts, parse_json(texts.get("facts", "")), "its facts")
    except (ValueError, DistillError) as error:
        raise UnsupportedCheckpoint(f"broken regions ({error})") from error


def _check_shapes(tensors: Mapping[str, Tensor], facts: ClusterFacts, generator: Generator) -> None:
    channels = sum(generator.network.shape.channels[side] for side in layer_sides(generator))
    shapes = {"centres": (len(facts.names), channels + 2), "mean": (channels,), "deviation": (channels,)}
    for name, shape in shapes.items():
        tensor = tensors.get(name, torch.empty(0))
        if tuple(tensor.shape) != shape or tensor.dtype != torch.float32 or not torch.isfinite(tensor).all():
            raise UnsupportedCheckpoint(f"broken regions ({name} is not finite float32 {list(shape)})")
    if (tensors["deviation"] <= 0).any():
        raise UnsupportedCheckpoint("broken regions (a deviation is not above 0)")
