"""What is measured of a teacher's samples: variety, faces, likeness to the pictures it was trained on.

N samples, M training pictures, H W their size, K numbers of a vector, D = 128 numbers of a face descriptor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from torch import Tensor

from distill.errors import DistillError
from distill.evaluation.training_pictures import averaged
from distill.faces.detection import FaceDetector
from distill.faces.identity import NUMBERS, SAME_PERSON, describe, descriptor_distances
from distill.networks.perceptual import PerceptualFeatures, default_perceptual, load_perceptual
from distill.pixels import to_float
from distill.progress import Progress

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

BLOCK = 16  # pictures that are worked on at once
COMPARED_SIDE = 64  # px: larger pictures are averaged down before they are compared
DETECT_SIDE = 192  # px: dlib sees faces of 80 px and more, so smaller pictures are enlarged for it
NEAREST = 8  # pairs that are named
EPS = 1e-10


Blocks = Callable[[str, NDArray[Any]], Iterable[NDArray[Any]]]


def in_blocks(stage: str, rows: NDArray[Any], *, quiet: bool = True) -> Iterator[NDArray[Any]]:
    """Go through the rows of an array in blocks, with a bar for the stage unless `quiet`."""
    with Progress(len(rows), noun="picture", quiet=quiet, keep=False) as progress:
        progress.beside(stage)
        for first in range(0, len(rows), BLOCK):
            yield rows[first : first + BLOCK]
            progress.advance(min(BLOCK, len(rows) - first))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How distances are spread; `close` is the share below `limit`."""

    count: int
    least: float
    percent_5: float
    median: float
    percent_95: float
    limit: float
    close: float


def spread(distances: NDArray[np.floating], limit: float) -> Spread:
    """Describe distances [n], n > 0."""
    x = distances.astype(np.float64).ravel()
    least, low, median, high = np.quantile(x, [0, 0.05, 0.5, 0.95]).tolist()
    close = float((x < limit).mean())
    return Spread(
        count=x.size, least=least, percent_5=low, median=median, percent_95=high, limit=limit, close=close
    )


# ---- Variety


class PictureDistance:
    """How pictures are compared: as vectors whose squared distance says how differently they look.

    With the perceptual features this distance is `distill.networks.losses.perceptual_distance`; without them the
    mean square difference of the pixels, in [-1, 1].
    """

    def __init__(self, features: PerceptualFeatures, device: str | torch.device = "cpu") -> None:
        self.features, self.device = features, torch.device(device)
        self.name = f"perceptual_{features.name}" if features.weights else "pixels_square"

    @torch.inference_mode()
    def vectors(self, images_NHWC: Pixels) -> Tensor:
        """Turn uint8 pictures into float32 [N, K] on the CPU."""
        x = to_float(torch.from_numpy(images_NHWC).to(self.device))
        layers = [
            layer / (layer.square().sum(dim=1, keepdim=True) + EPS).sqrt() for layer in self.features(x)
        ]
        parts = [layer.flatten(1) / (layer[0, 0].numel() * len(layers)) ** 0.5 for layer in layers]
        return (torch.cat(parts, dim=1) if parts else x.flatten(1) / x[0].numel() ** 0.5).cpu()


def default_distance(device: str | torch.device = "cpu") -> PictureDistance:
    """Take the perceptual features where they are installed; else pixels are compared."""
    return PictureDistance(load_perceptual(default_perceptual(), device=device), device)


def pair_distances(vectors_NK: Tensor) -> NDArray[np.float32]:
    """Return the squared distances of all pairs, [N (N - 1) / 2], not below 0."""
    squares = vectors_NK.square().sum(dim=1)
    first, second = torch.triu_indices(len(vectors_NK), len(vectors_NK), offset=1)
    products = vectors_NK @ vectors_NK.T
    distances = (squares[first] + squares[second] - 2 * products[first, second]).clamp(min=0)
    array: NDArray[np.float32] = distances.numpy()
    return array


def moved_by_one_pixel(images_NHWC: Pixels) -> Pixels:
    """Move pictures one pixel to the right; the left column stands twice."""
    return np.concatenate([images_NHWC[:, :, :1], images_NHWC[:, :, :-1]], axis=2)


def pair_spread(distance: PictureDistance, images_NHWC: Pixels, blocks: Blocks, stage: str) -> Spread:
    """Return how the distances of all pairs are spread. `close` is the share of near duplicates.

    A near duplicate is closer than a picture is to itself moved by one pixel (the median of the pictures). Larger
    pictures are averaged down to COMPARED_SIDE first.
    """
    vectors, moves = [], []
    small = averaged(images_NHWC, min(COMPARED_SIDE, images_NHWC.shape[1]))
    for block in blocks(stage, small):
        vectors.append(distance.vectors(block))
        moves.append((vectors[-1] - distance.vectors(moved_by_one_pixel(block))).square().sum(dim=1))
    return spread(pair_distances(torch.cat(vectors)), limit=float(torch.cat(moves).median()))


# ---- Faces


@dataclass(frozen=True, kw_only=True, eq=False)
class FacesSeen:
    """`counts` [N]: faces found in each picture. Of those with a face, the most confident one's `rows` [n] and
    descriptors [n, D], of the mirror image too where that was asked for."""

    counts: Numbers
    rows: Numbers
    descriptors: Floats
    mirrored: Floats


@dataclass(frozen=True, kw_only=True)
class FaceShares:
    """Shares of pictures with exactly one face, with none, with several."""

    count: int
    one: float
    none: float
    several: float


def find_faces(
    images_NHWC: Pixels, blocks: Blocks, stage: str, *, identity: bool = True, mirrors: bool = False
) -> FacesSeen:
    """Look for faces in pictures enlarged to DETECT_SIDE, and describe who is seen."""
    detector = FaceDetector(detect_size=DETECT_SIDE)
    counts: list[int] = []
    rows: list[int] = []
    descriptors: list[Floats] = []
    mirrored: list[Floats] = []
    for block in blocks(stage, images_NHWC):
        for image in block:
            faces = detector(image)
            if faces and identity:
                rows.append(len(counts))
                descriptors.append(describe(image, faces[0].landmarks))
                if mirrors:
                    mirrored.append(describe(image, faces[0].landmarks, mirrored=True))
            counts.append(len(faces))
    return FacesSeen(
        counts=np.array(counts, dtype=np.int64),
        rows=np.array(rows, dtype=np.int64),
        descriptors=np.array(descriptors, dtype=np.float64).reshape(-1, NUMBERS),
        mirrored=np.array(mirrored, dtype=np.float64).reshape(-1, NUMBERS),
    )


def face_shares(counts: Numbers) -> FaceShares:
    return FaceShares(
        count=len(counts),
        one=float((counts == 1).mean()),
        none=float((counts == 0).mean()),
        several=float((counts > 1).mean()),
    )


# ---- Likeness


@dataclass(frozen=True, kw_only=True)
class NearPair:
    """A sample and the training picture whose face, or whose mirrored face, is nearest to its own."""

    sample: int
    picture: int
    mirrored: bool
    distance: float


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """Descriptor distances. A training picture counts as one person; mirror images are searched as well.

    `copies`: share of samples as close to a training face as 95 % of training faces are to their mirror image.
    """

    samples_to_training: Spread
    held_out_to_training: Spread | None
    training_to_other_training: Spread
    different_people: Spread
    mirror_pairs: Spread
    sample_pairs: Spread
    copies: float
    without_face: int  # training pictures that were left out
    nearest: tuple[NearPair, ...]


def likeness(samples: FacesSeen, pictures: FacesSeen, held_out_M: NDArray[np.bool_]) -> Likeness:
    """Compare the faces of samples with those of training pictures; `pictures` holds mirror images too.

    Held-out pictures are what the teacher has not seen: as near as they come, chance alone comes. Raises
    DistillError for fewer than two faces on either side.
    """
    seen = ~held_out_M[pictures.rows]
    faces, mirrors = pictures.descriptors[seen], pictures.mirrored[seen]
    if min(len(faces), len(samples.descriptors)) < 2:
        raise DistillError(
            f"faces were found in {len(samples.descriptors)} samples and {len(faces)} training pictures; "
            "two of each are needed to compare them"
        )
    near, where = _nearest(samples.descriptors, faces, mirrors)
    others, _ = _nearest(faces, faces, mirrors, leave_own=True)
    unseen = pictures.descriptors[~seen]
    own_mirror = np.linalg.norm(faces - mirrors, axis=1)
    return Likeness(
        samples_to_training=spread(near, SAME_PERSON),
        held_out_to_training=spread(_nearest(unseen, faces, mirrors)[0], SAME_PERSON)
        if len(unseen)
        else None,
        training_to_other_training=spread(others, SAME_PERSON),
        different_people=spread(pdist(faces), SAME_PERSON),
        mirror_pairs=spread(own_mirror, SAME_PERSON),
        sample_pairs=spread(pdist(samples.descriptors), SAME_PERSON),
        copies=float((near < np.quantile(own_mirror, 0.95)).mean()),
        without_face=int((pictures.counts == 0).sum()),
        nearest=tuple(
            NearPair(
                sample=int(samples.rows[i]),
                picture=int(pictures.rows[seen][where[i] % len(faces)]),
                mirrored=bool(where[i] >= len(faces)),
                distance=float(near[i]),
            )
            for i in np.argsort(near, kind="stable")[:NEAREST]
        ),
    )


def _nearest(
    from_ND: Floats, faces_MD: Floats, mirrors_MD: Floats, *, leave_own: bool = False
) -> tuple[Floats, Numbers]:
    """Return the least distance [N] to a face or mirror image, and its place in [faces, mirrors]."""
    distances = np.concatenate(
        [descriptor_distances(from_ND, faces_MD), descriptor_distances(from_ND, mirrors_MD)], axis=1
    )
    if leave_own:
        own = np.arange(len(from_ND))
        distances[own, own] = distances[own, own + len(faces_MD)] = np.inf
    return distances.min(axis=1), distances.argmin(axis=1)
