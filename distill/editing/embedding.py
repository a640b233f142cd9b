"""Put aligned faces into the latent spaces of a generator.

W: one w. W+: one w per layer, searched for or read by an encoder. PTI: W, and the generator's weights tuned.

Shapes: N faces, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from distill.errors import DistillError
from distill.networks.encoder_files import Encoder
from distill.networks.image_distance import ImageDistance, LpipsDistance
from distill.stylegan2 import projection, projector, tuning
from distill.stylegan2.delta import tuned_generator
from distill.stylegan2.encoding import encode
from distill.stylegan2.generator import Generator
from distill.stylegan2.projection import project
from distill.stylegan2.projector import project_as_published
from distill.stylegan2.spread import WSpread, measure_spread
from distill.stylegan2.tuning import tune
from distill.weights.by_name import encoder_of

Space = Literal["w", "w+", "pti", "encoder"]
SPACES: tuple[Space, ...] = get_args(Space)
TITLES: dict[Space, str] = {"w": "W", "w+": "W+", "pti": "PTI", "encoder": "encoder"}
OWN_STEPS, PIVOT_STEPS = 450, 450  # in W: our own search, and the one that tuning begins with
STALLED = 0.01  # a face whose loss falls by less than this from 25 steps to the next 25 comes to its end
# Distances at which tuning stops: that of LPIPS as published. The other is reached after some 200 steps at 64 px,
# where w+ stays at 0.3.
BOUNDS = {"lpips_vgg16": 0.06, "perceptual_efficientnet_lite0": 0.06}


def usual_space(generator: Generator) -> Space:
    """Return the space of many photos: that of the encoder that comes with a generator, else w+."""
    return "encoder" if encoder_of(generator.sha256) else "w+"


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddedFace:
    """w+ [L, D] and its picture [3, H, W], drawn by the generator with its own noise maps, and with `changes`.

    `steps` of looking for w and, in PTI, of tuning; `seconds` are its share of a batch.
    """

    ws: Tensor
    image: Tensor
    steps: tuple[int, ...]
    seconds: float
    changes: dict[str, Tensor] | None = None


@dataclass(kw_only=True, eq=False)
class Embedder:
    """Embeds batches of faces. With LPIPS a single w is looked for as NVIDIA's projector does, else by `project`.

    `steps` None: the default of each space. `advance` hears of the faces that went on by a step.
    """

    generator: Generator
    distance: ImageDistance
    steps: int | None = None
    tuning_steps: int = tuning.STEPS
    encoder: Encoder | None = None  # that space "encoder" needs
    advance: Callable[[int], object] = lambda faces: None
    spread: WSpread = field(init=False)

    def __post_init__(self) -> None:
        self.spread = measure_spread(self.generator)

    @property
    def as_published(self) -> bool:
        return isinstance(self.distance, LpipsDistance)

    def procedure(self, space: Space) -> str:
        """Name what is done."""
        in_w = "stylegan2-projector" if self.as_published else "distill-projection"
        others = {"w+": "distill-projection", "encoder": "distill-encoder", "pti": f"{in_w}, pivotal-tuning"}
        return others.get(space, in_w)

    def search_steps(self, space: Space) -> int:
        """Return the most steps that a latent is looked for; of an encoder, its rounds."""
        if space == "encoder":
            return self._encoder.rounds
        longest = projector.STEPS if self.as_published else OWN_STEPS
        return self.steps or {"w": longest, "w+": projection.STEPS, "pti": PIVOT_STEPS}[space]

    @property
    def _encoder(self) -> Encoder:
        assert self.encoder is not None  # see `project.open_projection`
        return self.encoder

    def steps_of(self, spaces: Sequence[Space]) -> int:
        """Return the most steps that a face takes through all these spaces."""
        return sum(self.search_steps(space) + self.tuning_steps * (space == "pti") for space in spaces)

    def __call__(
        self, spaces: Sequence[Space], images_NCHW: Tensor, wanted: Sequence[bool]
    ) -> Iterator[dict[Space, EmbeddedFace]]:
        """Embed images in [-1, 1], and yield what is found of each in turn; of those that are not `wanted`, nothing.

        The result of a face depends on the number N, never on the others. Raises DistillError where memory ends.
        """
        try:
            searched = self._search_all(spaces, images_NCHW, sum(wanted))
            for place, want in enumerate(wanted):
                found = {space: searched[space][place] for space in spaces} if want else {}
                if "pti" in found:
                    found["pti"] = self._tune(found["pti"], images_NCHW[place])
                yield found
        except torch.OutOfMemoryError as error:
            count = len(images_NCHW)
            advice = f"use --batch {count // 2}" if count > 1 else "use --device cpu"
            raise DistillError(
                f"a batch of {count} at {self.generator.resolution} px does not fit the GPU's memory: {advice}"
            ) from error

    def _search_all(
        self, spaces: Sequence[Space], images_NCHW: Tensor, faces: int
    ) -> dict[Space, list[EmbeddedFace]]:
        """Look for latents in each space; where two begin with the same search, it is made once."""
        made: dict[tuple[Space, int], list[EmbeddedFace]] = {}
        found = {}
        for space in spaces:
            key = ("w" if space == "pti" else space, self.search_steps(space))
            if key in made:
                self.advance(key[1] * faces)
            else:
                made[key] = self._search(space, images_NCHW, faces)
            found[space] = made[key]
        return found

    def _search(self, space: Space, images_NCHW: Tensor, faces: int) -> list[EmbeddedFace]:
        """Look for the w or w+ of each image; `faces` of them count."""
        started, steps = time.perf_counter(), self.search_steps(space)
        if space == "encoder":
            network = self._encoder.network
            encoded = encode(network, self.generator, images_NCHW, rounds=steps, spread=self.spread)
            ws_NLD, taken = encoded.ws, encoded.steps
            self.advance(steps * faces)
        elif space != "w+" and self.as_published:
            ws_NLD = project_as_published(
                self.generator,
                (images_NCHW + 1) * 127.5,
                self._flat_features,
                steps=steps,
                spread=self.spread,
                advance=lambda step: self.advance(faces),
            ).ws
            taken = (steps,) * len(ws_NLD)
        else:
            result = project(
                self.generator,
                images_NCHW,
                distance=self.distance,
                space="w+" if space == "w+" else "w",
                steps=steps,
                stalled=STALLED,
                spread=self.spread,
                advance=lambda step: self.advance(faces),
            )
            ws_NLD, taken = result.ws, result.steps
            self.advance((steps - max(taken)) * faces)
        drawn = self.generator.synthesize(ws_NLD)
        seconds = (time.perf_counter() - started) / max(faces, 1)
        return [
            EmbeddedFace(ws=ws_LD, image=image, steps=(count,), seconds=seconds)
            for ws_LD, image, count in zip(ws_NLD, drawn, taken, strict=True)
        ]

    def _tune(self, pivot: EmbeddedFace, image_CHW: Tensor) -> EmbeddedFace:
        """Tune the generator to one image."""
        started = time.perf_counter()
        tuned = tune(
            self.generator,
            image_CHW,
            pivot.ws,
            distance=self.distance,
            bound=BOUNDS[self.distance.name],
            steps=self.tuning_steps,
            advance=lambda step: self.advance(1),
        )
        self.advance(self.tuning_steps - tuned.steps)
        drawn = tuned_generator(self.generator, tuned.changes).synthesize(pivot.ws[None])[0]
        return EmbeddedFace(
            ws=pivot.ws,
            image=drawn,
            steps=(*pivot.steps, tuned.steps),
            seconds=pivot.seconds + time.perf_counter() - started,
            changes=tuned.changes,
        )

    def _flat_features(self, images_NCHW: Tensor) -> Tensor:
        """Features of images from 0 to 255 whose squared differences add up to LPIPS, [N, …]."""
        return torch.cat([x.flatten(1) for x in self.distance.features(images_NCHW / 127.5 - 1)], dim=1)
