"""Adam as image-to-image networks are trained, with gradients gathered over parts of a batch and over processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from distill.training import processes
from distill.training.resume import load_adam

BETAS = (0.5, 0.999)  # the public Pix2PixHD, CycleGAN and StarGAN


class Optimiser:
    """The parameters of a network, or of several in a ModuleDict, their Adam, and the loss scaling of float16.

    `clip`: the largest norm of a step's gradient, over all parameters together; None: as it is.
    """

    def __init__(self, network: nn.Module, *, scaled: bool, clip: float | None = None) -> None:
        self.parameters, self.clip = list(network.parameters()), clip
        device = self.parameters[0].device.type
        self.adam = torch.optim.Adam(self.parameters, betas=BETAS, fused=device in ("cpu", "cuda"))
        self.scaler = torch.amp.GradScaler(device, enabled=scaled)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss to differentiate: float16 would lose small gradients."""
        return self.scaler.scale(loss)

    def gather(self, loss: Tensor, *, keep_graph: bool = False) -> None:
        """Add the gradient of a loss, of these parameters alone."""
        torch.autograd.backward(self.scaled(loss), inputs=self.parameters, retain_graph=keep_graph)

    def step(self, lr: float) -> None:
        """Make one step down the gradients gathered since the last, averaged over all processes; forget them."""
        processes.average_gradients(self.parameters)
        for group in self.adam.param_groups:
            group["lr"] = lr
        if self.clip is not None:
            self.scaler.unscale_(self.adam)
            nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.scaler.step(self.adam)
        self.scaler.update()
        self.adam.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        load_adam(self.adam, state["adam"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
