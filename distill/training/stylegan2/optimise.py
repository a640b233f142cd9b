"""Adam with the settings that lazy regularisation asks for, and one way to apply a loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from distill.training import processes
from distill.training.resume import load_rule

BETAS = (0.0, 0.99)


class LazyAdam:
    """A network's trainable parameters, their Adam, and the loss scaling of float16."""

    def __init__(
        self, adam: torch.optim.Adam, parameters: list[nn.Parameter], scaler: torch.amp.GradScaler
    ) -> None:
        self.adam, self.parameters, self.scaler = adam, parameters, scaler

    def apply(self, loss: Tensor) -> None:
        """Make one Adam step down the gradient of `loss`, averaged over all processes."""
        self.adam.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        processes.average_gradients(self.parameters)
        self.scaler.step(self.adam)
        self.scaler.update()

    def state(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        load_rule(self.adam, state["adam"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])


def lazy_adam(
    network: nn.Module,
    lr: float,
    *,
    every: int | None,
    scaled: bool,
    betas: tuple[float, float] = BETAS,
) -> LazyAdam:
    """Build the Adam of a network that takes an extra step each `every` updates (StyleGAN2, appendix B).

    The extra steps are made up for: lr x c and betas ^ c with c = every / (every + 1).
    """
    c = 1.0 if every is None else every / (every + 1)
    parameters = [p for p in network.parameters() if p.requires_grad]
    device = parameters[0].device.type
    adam = torch.optim.Adam(
        parameters, lr=lr * c, betas=(betas[0] ** c, betas[1] ** c), eps=1e-8, fused=device in ("cpu", "cuda")
    )
    return LazyAdam(adam, parameters, torch.amp.GradScaler(device, enabled=scaled))


@contextmanager
def seeded(generator: torch.Generator, device: torch.device, wanted: bool) -> Iterator[None]:
    """Let `torch.randn_like` draw from a stream of this update, and put the process's own state back."""
    if not wanted:
        yield
        return
    seed = int(torch.randint(2**62, (1,), generator=generator))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield
