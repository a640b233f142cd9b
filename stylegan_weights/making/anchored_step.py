"""A StyleGAN2 update, and beside it one that holds photographs at the latents that spell them.

The critic alone lets a generator forget kinds of pictures that are rare; a photograph that has a latent of its own
cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distill.training.position import RunPosition, stream_seed
from distill.training.stylegan2.step import StyleGAN2Step
from stylegan_weights.making.spelled_step import EDGE_WEIGHT, L2_WEIGHT, Codes, edge_error


class AnchoredStep:
    """`inner` with a step of pixel distance after each update; `weight` is how much that counts."""

    def __init__(self, inner: StyleGAN2Step, codes: Codes, *, weight: float, seed: int) -> None:
        self.inner, self.codes, self.weight, self.seed = inner, codes, weight, seed

    def update(
        self, batch: tuple[Tensor, NDArray[np.int64]], position: RunPosition
    ) -> Mapping[str, Tensor | float]:
        reals, numbers = batch
        report = dict(self.inner.update(reals, position))
        half = len(numbers) // 2
        generator = self.inner.generator
        rng = np.random.default_rng(stream_seed(self.seed, position.updates, "anchor"))
        w = generator.mapping(self.codes.latents(numbers[:half], generator.shape.z_dim, rng))
        drawn = generator.synthesis(w[:, None].expand(-1, generator.shape.num_ws, -1), "none")
        error = drawn - reals[:half]
        loss = error.abs().mean() + L2_WEIGHT * error.square().mean() + EDGE_WEIGHT * edge_error(error)
        self.inner.g_optimiser.apply(self.weight * loss)
        return {**report, "l1": error.detach().abs().mean()}

    def state(self) -> dict[str, Any]:
        return self.inner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.inner.load_state(state)
