"""Find the clusters of a generator's activations and name them, by the faces in its own samples.

N samples, L w+ layers, D latent width, C channels of both layers, K clusters, P places, s side of the finer layer,
M pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import DistillError
from distill.faces.alignment import Floats, Pixels
from distill.faces.detection import FILLED_SIDE, Face, FaceDetector
from distill.faces.regions.clusters import (
    ClusterFacts,
    RegionClusters,
    cosines_of,
    layer_sides,
    memberships,
    share_of,
    vectors_of,
)
from distill.faces.regions.kmeans import spherical_kmeans
from distill.faces.regions.landmarks import LandmarkRegions, part_mask, scaled_landmarks
from distill.faces.regions.parts import FACE, FEATURES, RegionPictures, overlap
from distill.faces.regions.places import PLACES, places, usual_region
from distill.pixels import to_numpy, to_uint8
from distill.stylegan2.activations import activations
from distill.stylegan2.generator import Generator
from distill.stylegan2.sampling import REGION_PIXELS, REGION_SAMPLES, normal, uniform

SAMPLES, LEAST = 256, 32  # that are drawn; of them, those that must show a face
PSI = 0.7  # truncation
CLUSTERS = 20
PIXELS = 160  # of each sample that clusters are fitted to
MOSTLY = 0.5  # of a cluster's pixels within the mask of a feature: then it is named by that
SHOWN = 16  # samples that are kept as pictures
BATCH = 16
EPS = 1e-6

FindFaces = Callable[[Pixels], Sequence[Face]]
Advance = Callable[[int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedRegions:
    """The clusters, and the first samples that show a face."""

    clusters: RegionClusters
    shown: RegionPictures


@dataclass(frozen=True, kw_only=True, eq=False)
class _Faces:
    """The samples that show a face: w+ [N, L, D], landmarks [68, 2] in px of the samples, the first as pictures."""

    ws: Tensor
    landmarks: Sequence[Floats]
    shown: RegionPictures


def fit_regions(
    generator: Generator,
    name: str,
    *,
    seed: int = 0,
    samples: int = SAMPLES,
    find: FindFaces | None = None,
    advance: Advance = lambda count: None,
) -> FittedRegions:
    """Cluster the activations of samples of a generator of faces, called `name`, and name the clusters.

    `advance` is told of samples that were drawn. Raises DistillError where fewer than LEAST show a face.
    """
    seen = _look(generator, seed, samples, find or FaceDetector(max_side=FILLED_SIDE), advance)
    side = layer_sides(generator)[-1]
    factor = side / generator.resolution
    landmarks = [scaled_landmarks(each, factor) for each in seen.landmarks]
    mean_C, deviation_C, vectors_MD = _pixels(generator, seen.ws, seed)
    centres_KD = torch.from_numpy(spherical_kmeans(vectors_MD, CLUSTERS, seed=seed))
    cosines_NKss = torch.cat(
        [cosines_of(vectors_of(x, mean_C, deviation_C), centres_KD) for x in _activations(generator, seen.ws)]
    )
    nearest_Nss = cosines_NKss.argmax(dim=1).numpy()
    names = name_clusters(nearest_Nss, landmarks, CLUSTERS)
    facts = ClusterFacts(
        generator=name,
        generator_sha256=generator.sha256,
        names=names,
        shares=tuple(np.bincount(nearest_Nss.ravel(), minlength=CLUSTERS) / nearest_Nss.size),
        overlaps=_overlaps(cosines_NKss, names, landmarks),
        samples=len(seen.ws),
        seed=seed,
        truncation_psi=PSI,
    )
    clusters = RegionClusters(centres=centres_KD, mean=mean_C, deviation=deviation_C, facts=facts)
    return FittedRegions(clusters=clusters, shown=seen.shown)


def name_clusters(nearest_Nss: NDArray[np.int64], landmarks: Sequence[Floats], count: int) -> tuple[str, ...]:
    """Name each cluster: by the feature that most of its pixels lie in, else by the region usual in its places.

    `nearest_Nss`: the cluster of every pixel; `landmarks` [68, 2] of each sample, in px of the same layer.
    """
    side = nearest_Nss.shape[-1]
    features_NFss = np.stack([[part_mask(each, part, side, side) for part in FEATURES] for each in landmarks])
    places_Nss = np.stack([places(each, side, side) for each in landmarks])
    areas_P = np.bincount(places_Nss.ravel(), minlength=len(PLACES)) / places_Nss.size
    names: list[str] = []
    for cluster in range(count):
        here_Nss = nearest_Nss == cluster
        size = max(1, int(here_Nss.sum()))
        shares_F = (features_NFss * here_Nss[:, None]).sum(axis=(0, 2, 3)) / size
        shares_P = np.bincount(places_Nss[here_Nss], minlength=len(PLACES)) / size
        best = int(shares_F.argmax())
        names.append(FEATURES[best] if shares_F[best] >= MOSTLY else usual_region(shares_P, areas_P))
    return tuple(names)


def _look(generator: Generator, seed: int, samples: int, find: FindFaces, advance: Advance) -> _Faces:
    """Draw samples and find the largest face of each."""
    kept_ws: list[Tensor] = []
    images: list[Pixels] = []
    landmarks: list[Floats] = []
    for first in range(0, samples, BATCH):
        numbers = range(first, min(first + BATCH, samples))
        z = np.stack([normal(seed, REGION_SAMPLES, 0, number, generator.z_dim) for number in numbers])
        ws = generator.map(torch.from_numpy(z), truncation_psi=PSI)
        for w, image in zip(ws, to_numpy(to_uint8(generator.synthesize(ws))), strict=True):
            if face := max(find(image), key=lambda face: face.area, default=None):
                kept_ws.append(w)
                landmarks.append(face.landmarks)
                images += [image] if len(images) < SHOWN else []
        advance(len(numbers))
    if len(landmarks) < LEAST:
        raise DistillError(
            f"{len(landmarks)} of {samples} samples show a face, {LEAST} are needed to name regions: take a generator"
            " of faces, or give regions as a mask or by a face parser"
        )
    all_ws = torch.stack(kept_ws)
    shown = RegionPictures(images=np.stack(images), faces=landmarks[: len(images)], ws=all_ws[: len(images)])
    return _Faces(ws=all_ws, landmarks=landmarks, shown=shown)


def _activations(generator: Generator, ws: Tensor) -> Iterator[list[Tensor]]:
    """Yield what a batch of samples activates: [n, C', s', s'] of each layer."""
    for part in torch.split(ws, BATCH):
        yield [layer.cpu() for layer in activations(generator, part, layer_sides(generator))]


def _pixels(generator: Generator, ws: Tensor, seed: int) -> tuple[Tensor, Tensor, NDArray[np.float32]]:
    """Return mean and deviation [C] of the channels, and vectors [M, C + 2] of pixels drawn from each sample."""
    moments = [
        torch.cat([torch.stack([x.mean(dim=(2, 3)), x.square().mean(dim=(2, 3))]) for x in layers], dim=2)
        for layers in _activations(generator, ws)
    ]
    mean_C, square_C = torch.cat(moments, dim=1).double().mean(dim=1)
    deviation_C = (square_C - mean_C.square()).clamp(min=EPS**2).sqrt()
    mean, deviation = mean_C.float(), deviation_C.float()
    drawn: list[Tensor] = []
    for layers in _activations(generator, ws):
        for vectors in vectors_of(layers, mean, deviation).flatten(2):
            chosen = uniform(seed, REGION_PIXELS, 0, len(drawn), PIXELS) * vectors.shape[1]
            drawn.append(vectors[:, torch.from_numpy(chosen.astype(np.int64))].T)
    return mean, deviation, torch.cat(drawn).numpy()


def _overlaps(cosines_NKss: Tensor, names: Sequence[str], landmarks: Sequence[Floats]) -> dict[str, float]:
    """Measure how far the clusters of each part of the face agree with the landmarks."""
    side = cosines_NKss.shape[-1]
    shares = memberships(cosines_NKss, names, side, side)
    found: dict[str, float] = {}
    for part in LandmarkRegions.parts:
        if part in names or (part == FACE and set(FEATURES) & set(names)):
            marked_Nss = np.stack([part_mask(each, part, side, side) for each in landmarks])
            found[part] = overlap(share_of(part, shares).numpy(), marked_Nss)
    return found
