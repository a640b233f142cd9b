"""The edit that a student was distilled from, on photos: embed a face into the teacher, and move it there.

N faces, L w+ layers, D latent width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from distill.attributes.face_scores import Scorer
from distill.attributes.moves import MIDDLE
from distill.directions.file import Direction
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.detection import Face
from distill.networks.image_distance import FeatureDistance
from distill.networks.perceptual import PerceptualFeatures
from distill.pixels import to_float, to_numpy, to_uint8
from distill.stylegan2.generator import Generator
from distill.stylegan2.projection import STEPS, project


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentEdit:
    """Project faces and move them by `strength` along a direction of their generator.

    `way`: 1 or -1, the same for all; None sends each face to the other class of the direction's attribute, as
    `scorer` sees it. A face without a score moves up. `on_step` hears of the steps of embedding: (done, of all).
    """

    generator: Generator
    direction: Direction
    strength: float
    features: PerceptualFeatures
    way: int | None
    scorer: Scorer | None = None
    steps: int = STEPS
    on_step: Callable[[int, int], object] = lambda step, steps: None

    def __post_init__(self) -> None:
        """Raise DistillError where the direction is of another generator, or nothing says which way to go."""
        generator = self.generator
        self.direction.check_fits(
            num_ws=generator.num_ws, w_dim=generator.w_dim, generator_sha256=generator.sha256
        )
        if self.way is None and (self.scorer is None or self.direction.attribute not in self.scorer.kinds):
            raise DistillError(
                f"a scorer of {self.direction.attribute!r} is needed to say which way to move a face along"
                f" {self.direction.name!r}: name one"
            )

    def __call__(self, images: Sequence[Pixels], faces: Sequence[Face]) -> list[Pixels]:
        """Edit aligned faces [H, W, 3]; the landmarks of `faces` are in their pixels. Same sizes come back."""
        side = self.generator.resolution
        small = np.stack([resized(image, side, side) for image in images])
        ws_NLD = project(
            self.generator,
            to_float(torch.from_numpy(small)),
            distance=FeatureDistance(self.features),
            steps=self.steps,
            advance=lambda step: self.on_step(step, self.steps),
        ).ws
        steps_N = self.strength * self.ways(images, faces).to(ws_NLD)
        moved_NLD = ws_NLD + steps_N[:, None, None] * self.direction.vector.to(ws_NLD)
        drawn = to_numpy(to_uint8(self.generator.synthesize(moved_NLD)))
        return [resized(edited, *image.shape[:2]) for edited, image in zip(drawn, images, strict=True)]

    def ways(self, images: Sequence[Pixels], faces: Sequence[Face]) -> Tensor:
        """1 or -1 for each face, [N]."""
        if self.way is not None or self.scorer is None:
            return torch.full((len(images),), float(self.way or 1))
        scores = self.scorer(np.stack(list(images)), list(faces))[self.direction.attribute]
        return torch.tensor([-1.0 if score > MIDDLE else 1.0 for score in scores])


def resized(image: Pixels, height: int, width: int) -> Pixels:
    """Scale an image [H, W, 3] (Lanczos); the same where it has that size."""
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
