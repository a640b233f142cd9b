"""Optimisers of image-to-image networks, with gradients gathered over parts of a batch and over processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from distill.training import processes
from distill.training.resume import load_rule

BETAS = (0.5, 0.999)  # the public Pix2PixHD, CycleGAN and StarGAN

Rule = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def adam(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.Adam(parameters, betas=BETAS, fused=fused)


def rmsprop(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Tieleman & Hinton 2012; the decay of 0.9 is that of the public VAE/GAN."""
    return torch.optim.RMSprop(parameters, alpha=0.9, eps=1e-8)


class Optimiser:
    """The parameters of a network, or of several in a ModuleDict, their rule, and the loss scaling of float16.

    `clip`: the largest norm of a step's gradient, over all parameters together; None: as it is.
    """

    def __init__(
        self, network: nn.Module, *, scaled: bool, clip: float | None = None, rule: Rule = adam
    ) -> None:
        self.parameters, self.clip = list(network.parameters()), clip
        self.rule, self.kind = rule(self.parameters), rule.__name__
        self.scaler = torch.amp.GradScaler(self.parameters[0].device.type, enabled=scaled)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to differentiate: float16 would lose small gradients."""
        return self.scaler.scale(loss)

    def gather(self, loss: Tensor, *, keep_graph: bool = False) -> None:
        """Add the gradient of a loss, of these parameters alone."""
        torch.autograd.backward(self.scaled(loss), inputs=self.parameters, retain_graph=keep_graph)

    def step(self, lr: float) -> None:
        """Make one step down the gradients gathered since the last, averaged over all processes; forget them."""
        processes.average_gradients(self.parameters)
        for group in self.rule.param_groups:
            group["lr"] = lr
        if self.clip is not None:
            self.scaler.unscale_(self.rule)
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.scaler.step(self.rule)
        self.scaler.update()
        self.forget()

    def forget(self) -> None:
        """Drop the gradients gathered since the last step."""
        self.rule.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        return {self.kind: self.rule.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        load_rule(self.rule, state[self.kind])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
