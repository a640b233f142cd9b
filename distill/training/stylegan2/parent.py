"""What holds a child to its parent, and how alike their pictures of one w stay.

N samples, L layers of w+, D latent width, H = W image side.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from distill.faces.alignment import Floats, Pixels
from distill.faces.detection import FaceDetector
from distill.metrics.ssim import RADIUS, ssim
from distill.pixels import area_downsample
from distill.stylegan2.networks import GeneratorNetwork, SynthesisNetwork
from distill.training.stylegan2.export import as_images, pictures

STRUCTURE_LAYERS = 3  # coarsest resolutions that are compared, as in DualStyleGAN and Cartoon-StyleGAN
COLOUR_SIDE = 16  # px
COMPARED = 64  # pictures
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # of the 68 landmarks, left in the image


def structure_distance(
    child: SynthesisNetwork, parent: SynthesisNetwork, ws_NLD: Tensor, noise: str
) -> Tensor:
    """Sum the mean squared distances of what both networks have drawn by 4, 8 and 16 px, of the same w+."""
    with torch.no_grad():
        wanted = list(coarse_pictures(parent, ws_NLD, noise))
    drawn = coarse_pictures(child, ws_NLD, noise)
    return torch.stack([F.mse_loss(a, b) for a, b in zip(drawn, wanted, strict=True)]).sum()


def colour_distance(images_NCHW: Tensor, parent: SynthesisNetwork, ws_NLD: Tensor, noise: str) -> Tensor:
    """Return the mean squared distance of finished pictures and the parent's of the same w+, averaged to 16 px.

    The coarse layers alone do not hold the colours: what finer ones add can repaint all of them.
    """
    with torch.no_grad():
        wanted = parent(ws_NLD, noise)
    side = min(COLOUR_SIDE, images_NCHW.shape[-1])
    return F.mse_loss(area_downsample(images_NCHW.float(), side), area_downsample(wanted, side))


def coarse_pictures(network: SynthesisNetwork, ws_NLD: Tensor, noise: str) -> Iterator[Tensor]:
    """Yield the RGB sums [N, 3, h, w] of the coarsest resolutions, of fewer where the network has fewer."""
    state = network.begin(len(ws_NLD))
    for first in range(0, min(2 * STRUCTURE_LAYERS, network.num_ws), 2):
        state = network.run(state, ws_NLD, first, first + 2, noise)
        yield network.finish(state)


class ParentLikeness:
    """Compares pictures of a child with those of its parent, of the same w: both map the same z alike.

    `psi`: the truncation that all are drawn with.
    """

    def __init__(self, parent: GeneratorNetwork, *, seed: int, psi: float) -> None:
        self.seed, self.psi = seed, psi
        self.images = self._draw(parent)
        self._detector = FaceDetector()
        self._marks: list[Floats | None] | None = None  # of the parent; found when they are asked for

    def pairs(self, child: GeneratorNetwork, rows: int, columns: int) -> NDArray[np.uint8]:
        """Return 2 · rows · columns pictures for a grid: a row of the parent, below it the child's of the same w."""
        both = np.stack([self.images, self._draw(child)])[:, : rows * columns]
        apart = both.reshape(2, rows, columns, *both.shape[2:])
        return apart.swapaxes(0, 1).reshape(-1, *both.shape[2:])

    def of(self, child: GeneratorNetwork) -> dict[str, float]:
        """Measure how alike the pictures are, as means: SSIM, and how far landmarks lie apart.

        `landmark_drift` is in shares of the distance between the parent's eyes, over the pairs in which both have a
        face, left out where there are none; the pictures without a face are counted. SSIM needs 11 px.
        """
        if self._marks is None:
            self._marks = self._landmarks(self.images)
        images = self._draw(child)
        marks = self._landmarks(images)
        pairs = zip(self._marks, marks, strict=True)
        drifts = [landmark_drift(a, b) for a, b in pairs if a is not None and b is not None]
        found = {"landmark_drift": float(np.mean(drifts))} if drifts else {}
        if images.shape[1] > 2 * RADIUS:
            a, b = (torch.from_numpy(x).permute(0, 3, 1, 2) for x in (self.images, images))
            found["parent_ssim"] = float(ssim(a, b, data_range=255.0).mean())
        return found | {
            "without_face": float(sum(mark is None for mark in marks)),
            "parent_without_face": float(sum(mark is None for mark in self._marks)),
        }

    def _draw(self, network: GeneratorNetwork) -> Pixels:
        return as_images(pictures(network, COMPARED, seed=self.seed, psi=self.psi))

    def _landmarks(self, images: Pixels) -> list[Floats | None]:
        """The 68 landmarks of the surest face of each picture; None where there is none."""
        found = [self._detector(image) for image in images]
        return [faces[0].landmarks if faces else None for faces in found]


def landmark_drift(marks: Floats, moved: Floats) -> float:
    """The mean distance of landmarks [68, 2] in shares of the distance between the eyes of the first."""
    eyes = np.linalg.norm(marks[LEFT_EYE].mean(axis=0) - marks[RIGHT_EYE].mean(axis=0))
    return float(np.linalg.norm(marks - moved, axis=1).mean() / eyes)
