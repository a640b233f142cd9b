"""A face moved along a direction by way of any latent space: embed it, move its w+, draw it.

L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from distill.directions.file import Direction
from distill.editing.embedding import Embedder, Space
from distill.editing.latent_edit import resized
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.networks.encoder_files import Encoder, load_encoder
from distill.networks.image_distance import open_distance
from distill.pixels import to_float, to_numpy, to_uint8
from distill.stylegan2.delta import tuned_generator
from distill.stylegan2.generator import Generator
from distill.weights.by_name import encoder_of


@dataclass(frozen=True, kw_only=True, eq=False)
class SpaceEdit:
    """Embed one face into `space` of a generator and move it by `strength` along `direction`.

    In PTI the generator that was tuned to the face draws the moved w.
    """

    embedder: Embedder
    space: Space
    direction: Direction
    strength: float

    def __call__(self, face: Pixels, way: int) -> Pixels:
        """Move an aligned face [H, W, 3] up (`way` 1) or down (-1) the direction. The same size comes back."""
        generator = self.embedder.generator
        small = resized(face, generator.resolution, generator.resolution)
        image_NCHW = to_float(torch.from_numpy(small)[None]).to(generator.device)
        (found,) = self.embedder((self.space,), image_NCHW, [True])
        embedded = found[self.space]
        moved_LD = embedded.ws + way * self.strength * self.direction.vector.to(embedded.ws)
        drawer = tuned_generator(generator, embedded.changes) if embedded.changes is not None else generator
        (drawn,) = to_numpy(to_uint8(drawer.synthesize(moved_LD[None])))
        return resized(drawn, *face.shape[:2])


def open_space_edit(generator: Generator, space: Space, direction: Direction, strength: float) -> SpaceEdit:
    """Bring a generator and its direction together. Raises DistillError for those of different generators.

    Also where the space needs an encoder and none comes with distill, or where no perceptual features are installed.
    """
    direction.check_fits(num_ws=generator.num_ws, w_dim=generator.w_dim, generator_sha256=generator.sha256)
    embedder = Embedder(
        generator=generator,
        distance=open_distance(None, generator.device),
        encoder=shipped_encoder(generator) if space == "encoder" else None,
    )
    return SpaceEdit(embedder=embedder, space=space, direction=direction, strength=strength)


def shipped_encoder(generator: Generator) -> Encoder:
    """Load the encoder that comes with distill for a generator. Raises DistillError where there is none."""
    file = encoder_of(generator.sha256)
    if file is None:
        raise DistillError(
            f"no encoder of the generator with sha256 {generator.sha256[:12]}… comes with distill: embed by w or w+"
        )
    encoder = load_encoder(file, device=generator.device)
    encoder.check_fits(file, generator.sha256)
    return encoder
