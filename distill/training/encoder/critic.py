"""The critic of w: it knows what the mapping makes from what an encoder made (Tov et al. 2021, e4e)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAYERS, SLOPE = 4, 0.2


class LatentCritic(nn.Module):
    """w [N, D], each layer of a w+ by itself, in deviations from the mean → scores [N]."""

    def __init__(self, w_dim: int, *, seed: int) -> None:
        super().__init__()
        widths = [w_dim] * LAYERS + [1]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, w_ND: Tensor) -> Tensor:
        x = w_ND
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), SLOPE)
        scores: Tensor = self.layers[-1](x)[:, 0]
        return scores


def critic_loss(critic: LatentCritic, real_ND: Tensor, fake_ND: Tensor, *, gamma: float) -> Tensor:
    """The logistic loss, and gamma / 2 times the mean square of the gradient on what is real (R1)."""
    real = real_ND.detach().requires_grad_()
    on_real = critic(real)
    loss = F.softplus(-on_real).mean() + F.softplus(critic(fake_ND.detach())).mean()
    if not gamma:
        return loss
    (gradient,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
    return loss + gamma / 2 * gradient.square().sum(dim=1).mean()
