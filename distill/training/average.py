"""The running average of a network's weights: what is kept of a training run."""

from __future__ import annotations

import torch
from torch import nn


def average_decay(batch: int, half_life: float, *, seen: int, ramp_up: float | None = None) -> float:
    """Return the factor of the old average for one update of `batch` images.

    `half_life` in images: an image's weight has halved after this many more. Early in a run the half-life is at
    most `ramp_up` times the images seen, so that the random start is soon forgotten (0.05 in ADA).
    """
    if ramp_up is not None:
        half_life = min(half_life, seen * ramp_up)
    return 0.0 if half_life <= 0 else float(0.5 ** (batch / half_life))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, *, statistics: bool = False) -> None:
    """Move the average's parameters towards the network's; buffers are copied.

    `statistics`: buffers of numbers move too, as running statistics of batch normalisation should: those of the
    latest weights are not those of the average.
    """
    old: list[torch.Tensor] = list(average.parameters())
    new = [p.detach() for p in network.parameters()]
    for kept, fresh in zip(average.buffers(), network.buffers(), strict=True):
        if statistics and kept.is_floating_point():
            old, new = [*old, kept], [*new, fresh]
        else:
            kept.copy_(fresh)
    torch._foreach_lerp_(old, new, 1.0 - decay)
