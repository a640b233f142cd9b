"""A generator that learns pictures by their distance: its mapping stays as it is, the rest follows the loss."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from distill.stylegan2.networks import GeneratorNetwork
from distill.training.average import average_decay, update_average
from distill.training.position import RunPosition
from distill.training.stylegan2.export import set_centre
from distill.training.stylegan2.optimise import lazy_adam
from distill.training.stylegan2.settings import StyleGAN2Settings

BETAS = (0.9, 0.99)  # the target stands still here, so Adam may remember


class Learner:
    """The generator, its average and its optimiser. The mapping is what it will be, and w gets its centre here."""

    def __init__(
        self, generator: GeneratorNetwork, preset: StyleGAN2Settings, *, scaled: bool = False
    ) -> None:
        self.generator, self.preset = generator, preset
        set_centre(generator)
        self.average: GeneratorNetwork = copy.deepcopy(generator).eval().requires_grad_(False)
        generator.mapping.requires_grad_(False)
        if not preset.noise:
            for name, parameter in generator.named_parameters():
                if name.endswith("noise_strength"):
                    parameter.requires_grad_(False)
        self.optimiser = lazy_adam(generator, preset.lr, every=None, scaled=scaled, betas=BETAS)

    def apply(self, loss: Tensor, position: RunPosition) -> None:
        """Go down the gradient of the loss, and let the average follow."""
        self.optimiser.apply(loss)
        decay = average_decay(
            self.preset.batch,
            self.preset.average_kimg * 1000,
            seen=position.samples,
            ramp_up=self.preset.average_ramp_up,
        )
        update_average(self.average, self.generator, decay)

    def state(self) -> dict[str, Any]:
        """Everything that the next update depends on, as tensors and plain values."""
        return {
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name in ("generator", "average"):
            getattr(self, name).load_state_dict(state[name], strict=True)
        self.optimiser.load_state(state["optimiser"])
