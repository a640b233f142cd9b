"""A StyleGAN2 update, and beside it one that holds photographs at the latents that spell them.

The critic alone lets a generator forget kinds of pictures that are rare, and what a face is while it is at it; a
photograph that has a latent of its own cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from distill.stylegan2.networks import GeneratorNetwork
from distill.training.position import RunPosition, stream_seed
from distill.training.stylegan2.step import StyleGAN2Step
from stylegan_weights.making.spelled_step import L2_WEIGHT, SpelledStep


class TurnedMapping(nn.Module):
    """A mapping as the synthesis of a SpelledStep sees it."""

    def __init__(self, learned: SpelledStep) -> None:
        super().__init__()
        self.mapping = learned.average.mapping
        self.register_buffer("turn", learned.turn, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        centred: Tensor = self.mapping(z) - self.mapping.w_avg
        return centred @ self.turn.T


class AnchoredStep:
    """`inner` goes on from what was `learned`, with an anchoring step after each update of its generator.

    `weight` is how much the anchors count. The mapping stays as it is.
    """

    def __init__(self, inner: StyleGAN2Step, learned: SpelledStep, *, weight: float) -> None:
        self.inner, self.learned, self.weight = inner, learned, weight
        for network in (inner.generator, inner.average):
            network.synthesis.load_state_dict(learned.average.synthesis.state_dict())
            network.mapping = TurnedMapping(learned)

    def update(
        self, batch: tuple[Tensor, NDArray[np.int64]], position: RunPosition
    ) -> Mapping[str, Tensor | float]:
        reals, numbers = batch
        report = dict(self.inner.update(reals, position))
        if "loss_g" not in report:
            return report
        half, generator = len(numbers) // 2, self.inner.generator
        rng = np.random.default_rng(stream_seed(self.learned.seed, position.updates, "anchor"))
        w = generator.mapping(self.learned.codes.latents(numbers[:half], generator.shape.z_dim, rng))
        drawn = generator.synthesis(w[:, None].expand(-1, generator.shape.num_ws, -1), "none")
        error = drawn - reals[:half]
        self.inner.g_optimiser.apply(self.weight * (error.abs().mean() + L2_WEIGHT * error.square().mean()))
        return {**report, "l1": error.detach().abs().mean()}

    def finished(self) -> GeneratorNetwork:
        """Return the average as any other generator."""
        self.learned.average.synthesis.load_state_dict(self.inner.average.synthesis.state_dict())
        return self.learned.finished()

    def state(self) -> dict[str, Any]:
        return self.inner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.inner.load_state(state)
