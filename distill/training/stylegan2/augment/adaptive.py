"""The controller of p: it raises the probability while the discriminator is too sure of the real images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from distill.training.processes import sum_over_processes


class AdaptiveProbability:
    """Steer p so that the mean sign of D(real) stays at `target` (ADA paper, section 3: r_t, 0.6).

    Every `interval` updates p moves up or down by batch x interval / `images`: p goes from 0 to 1 within
    `images` images at the fastest. A fixed p has target None.
    """

    def __init__(
        self, *, target: float | None, images: float, interval: int = 4, p: float = 0.0, device: str = "cpu"
    ) -> None:
        self.target, self.images, self.interval, self.p = target, images, interval, p
        self.signs = torch.zeros(2, dtype=torch.float64, device=device)  # sum of signs, count
        self.updates = 0
        self.last_sign = 0.0  # r_t of the last interval

    def observe(self, real_logits_N: Tensor) -> None:
        """Take note of one batch of D(real)."""
        signs = real_logits_N.detach().sign().double()
        self.signs += torch.stack([signs.sum(), signs.new_full((), float(len(signs)))])
        self.updates += 1
        if self.updates % self.interval == 0:
            self._adjust()

    def _adjust(self) -> None:
        total, count = sum_over_processes(self.signs).tolist()
        self.signs.zero_()
        self.last_sign = total / max(count, 1.0)
        if self.target is not None:
            step = count / self.images
            up = (self.last_sign > self.target) - (self.last_sign < self.target)
            self.p = min(max(self.p + up * step, 0.0), 1.0)

    def state(self) -> dict[str, Any]:
        return {
            "p": self.p,
            "signs": self.signs.tolist(),
            "updates": self.updates,
            "last_sign": self.last_sign,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.p, self.updates, self.last_sign = state["p"], state["updates"], state["last_sign"]
        self.signs.copy_(torch.tensor(state["signs"], dtype=torch.float64))
