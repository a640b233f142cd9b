"""One update of a generator that learns labelled pictures by heart, before any critic: the label step.

The mapping is written, not learned: each value of a label lights numbers of w of its own (`written_mapping`). Then
each picture of a batch is drawn from a latent that spells its labels, and the distance of the pixels is the loss.
Where the labels decide the picture (rendered drawings) this gives every part its place within minutes, which an
adversary does not; what the labels leave open comes out as its mean. B images of this process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.stylegan2.networks import GeneratorNetwork
from distill.training import processes
from distill.training.position import RunPosition
from distill.training.stylegan2.optimise import seeded
from distill.training.stylegan2.settings import StyleGAN2Settings
from stylegan_weights.making.label_codes import LabelCodes
from stylegan_weights.making.learner import Learner
from stylegan_weights.making.written_mapping import write_mapping

# L1 alone is content with the median of all faces where eyes and mouths are small and come in many kinds.
L2_WEIGHT = 4.0
LEAST_PSI = 0.6  # pictures are drawn pulled towards the centre of w too, as truncation will want them


class LabelStep:
    """A learner of labelled pictures, whose mapping is written."""

    def __init__(
        self,
        preset: StyleGAN2Settings,
        resolution: int,
        codes: LabelCodes,
        *,
        seed: int,
        device: str = "cpu",
        half: torch.dtype = torch.float32,
    ) -> None:
        self.preset, self.codes = preset, codes
        self.device, self.half = torch.device(device), half
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            generator = GeneratorNetwork(preset.shape(resolution))
        write_mapping(generator.mapping, codes)
        self.generator = generator.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.learner = Learner(self.generator, preset, scaled=half is torch.float16)
        self.average = self.learner.average

    def update(
        self, batch: tuple[Tensor, NDArray[np.int64]], position: RunPosition
    ) -> Mapping[str, Tensor | float]:
        """Make one update with images [B, 3, H, W] in [-1, 1] and their numbers among all pictures [B]."""
        reals, numbers = batch
        random = position.generator(f"z-{processes.rank()}")
        z = self.codes.latents(numbers, self.preset.latent, random).to(self.device)
        psi = LEAST_PSI + (1 - LEAST_PSI) * torch.rand(len(z), 1, generator=random).to(self.device)
        mapping = self.generator.mapping
        w = mapping.w_avg.lerp(mapping(z), psi)[:, None].expand(-1, self.generator.shape.num_ws, -1)
        with seeded(position.generator(f"noise-{processes.rank()}"), self.device, self.preset.noise):
            drawn = self.generator.synthesis(w, "random" if self.preset.noise else "none", self.half)
        error = drawn - reals.to(self.device)
        l1, l2 = error.abs().mean(), error.square().mean()
        self.learner.apply(l1 + L2_WEIGHT * l2, position)
        return {"l1": l1.detach(), "l2": l2.detach()}

    def state(self) -> dict[str, Any]:
        return self.learner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.learner.load_state(state)
