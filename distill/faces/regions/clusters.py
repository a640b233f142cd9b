"""Parts of a picture by the clusters of what a generator computes while it draws: hair, clothes and background too.

The idea is that of Editing in Style (Collins et al. 2020): spherical k-means on activations. Here they are those of
two layers, every channel is brought to mean 0 and deviation 1 first, and the place in the picture is two more numbers
of each vector, so that what has one colour in two places (hair and a jacket) falls apart.

N pictures, L w+ layers, D latent width, C channels of both layers, K clusters, s side of the finer layer, H W px.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from distill.errors import DistillError
from distill.faces.regions.parts import FACE, FEATURES, PARTS, Mask, PartName, RegionPictures
from distill.schema import Frozen
from distill.stylegan2.activations import activations
from distill.stylegan2.generator import Generator

FINER_SIDE = 32  # px, or the whole picture where that is smaller; the coarser layer has half of it
PLACE_WEIGHT = 1.0  # of x and y in -1..1, beside a unit vector for each layer
SOFTNESS = 0.05  # difference of two cosines at which one membership is e times the other
BATCH = 8
MOST = 200  # clusters of a file
EPS = 1e-6

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class ClusterFacts(Frozen):
    """What is known of clusters: whose they are, the region of each of K, and how they were found.

    `shares`: of all pixels that lie nearest to each cluster. `overlaps`: of regions
    with those of the landmarks, intersection over union, by part.
    """

    generator: str
    generator_sha256: Sha256
    names: Annotated[tuple[PartName, ...], Field(min_length=1, max_length=MOST)]
    shares: tuple[Share, ...]
    overlaps: dict[PartName, Share]
    samples: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    truncation_psi: Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionClusters:
    """Clusters of one generator's activations, each with the region that it belongs to.

    `centres` [K, C + 2] of unit length; `mean` and `deviation` [C] of the channels. All float32.
    """

    centres: Tensor
    mean: Tensor
    deviation: Tensor
    facts: ClusterFacts


class ClusterRegions:
    """Regions of the pictures that one generator draws; the face holds its eyes, nose and mouth.

    Raises DistillError for the clusters of another generator.
    """

    face_parts: Sequence[str] = ()

    def __init__(self, clusters: RegionClusters, generator: Generator) -> None:
        if clusters.facts.generator_sha256 != generator.sha256:
            raise DistillError(
                f"regions of the generator with sha256 {clusters.facts.generator_sha256[:12]}…, this one has"
                f" {generator.sha256[:12]}…: make its own with `distill regions`"
            )
        self.clusters, self.generator = clusters, generator

    @property
    def parts(self) -> Sequence[str]:
        """The parts that some cluster is named by."""
        known: set[str] = set(self.clusters.facts.names)
        if known & set(FEATURES):
            known.add(FACE)
        return [part for part in PARTS if part in known]

    @torch.inference_mode()
    def masks(self, pictures: RegionPictures, parts: Sequence[str], /) -> dict[str, Mask]:
        """Return masks [N, H, W] by part. Raises DistillError where the pictures come without their w+."""
        if pictures.ws is None:
            raise DistillError(
                "regions of a generator need the w+ of each picture; project photographs with `distill project`"
            )
        facts, (count, height, width, _) = self.clusters.facts, pictures.images.shape
        found = {part: np.empty((count, height, width), dtype=np.float32) for part in parts}
        for first in range(0, count, BATCH):
            ws = pictures.ws[first : first + BATCH].to(self.generator.device)
            seen = activations(self.generator, ws, layer_sides(self.generator))
            vectors = vectors_of(seen, self.clusters.mean, self.clusters.deviation)
            cosines_NKss = cosines_of(vectors, self.clusters.centres)
            for n, cosines in enumerate(torch.split(cosines_NKss, 1), start=first):
                shares = memberships(cosines, facts.names, height, width)
                for part in parts:
                    found[part][n] = share_of(part, shares)[0].cpu().numpy()
        return found


def layer_sides(generator: Generator) -> tuple[int, int]:
    """Return the sides of the layers that are clustered: 16 and 32 px, or the nearest that the generator has."""
    finer = min(FINER_SIDE, generator.resolution)
    return finer // 2, finer


def vectors_of(layers: Sequence[Tensor], mean_C: Tensor, deviation_C: Tensor) -> Tensor:
    """Turn activations, [N, C', s', s'] of each layer, into unit vectors [N, C + 2, s, s].

    Each layer's channels are standardised, brought to length 1 and enlarged to the finest; x and y come last.
    """
    side, widths = layers[-1].shape[-1], [layer.shape[1] for layer in layers]
    means, deviations = (torch.split(x.to(layers[0]), widths) for x in (mean_C, deviation_C))
    parts = [
        _enlarged(_unit((layer - mean[:, None, None]) / deviation[:, None, None]), side)
        for layer, mean, deviation in zip(layers, means, deviations, strict=True)
    ]
    along = (torch.arange(side, device=layers[0].device) + 0.5) / side * 2 - 1
    place = torch.stack([along.expand(side, side), along[:, None].expand(side, side)])
    placed = PLACE_WEIGHT * place.expand(len(layers[0]), -1, -1, -1)
    return _unit(torch.cat([*parts, placed], dim=1))


def cosines_of(vectors_NDss: Tensor, centres_KD: Tensor) -> Tensor:
    """Return how near each pixel lies to each centre, [N, K, s, s]."""
    return torch.einsum("ndyx,kd->nkyx", vectors_NDss, centres_KD.to(vectors_NDss))


def memberships(cosines_NKss: Tensor, names: Sequence[str], height: int, width: int) -> dict[str, Tensor]:
    """Return the share of each name in each pixel, [N, H, W]; those of a pixel make 1.

    The cosines are enlarged, not the shares: so edges stay as sharp as the clusters are apart.
    """
    enlarged = F.interpolate(cosines_NKss, size=(height, width), mode="bilinear", align_corners=False)
    shares_NKHW = torch.softmax(enlarged / SOFTNESS, dim=1)
    return {
        name: shares_NKHW[:, [each == name for each in names]].sum(dim=1) for name in dict.fromkeys(names)
    }


def share_of(part: str, shares: Mapping[str, Tensor]) -> Tensor:
    """Return the share of a part: of its own name, and for the face of the features in it too."""
    names = (FACE, *FEATURES) if part == FACE else (part,)
    return torch.stack([shares[name] for name in names if name in shares]).sum(dim=0).clamp(max=1)


def _unit(x: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / length.clamp(min=EPS)


def _enlarged(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
