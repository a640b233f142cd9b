"""A mapping network that is taught what z spells before any picture is drawn.

Its w has a meaning for each number, which `spell` tells for any z: a direction of an attribute is an axis of w.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from distill.progress import Progress
from distill.stylegan2.networks import ACT_GAIN, SLOPE, EqualizedLinear, MappingNetwork

BATCH = 512
LR = 3e-3
RAMP = 0.1  # of a number of z, over which one kind goes over into the next


@torch.no_grad()
def begin_mapping(
    mapping: MappingNetwork,
    places: Sequence[tuple[int, int]],
    steps: Sequence[tuple[int, float]],
    bends: Sequence[tuple[int, float]],
    shift: float,
) -> None:
    """Write what is known of a mapping beforehand; all else stays as it was drawn.

    Number `number` of z arrives as number `at` of w, plus `shift`, for each (at, number) of `places`: straight lines
    as long as z + shift is above 0. For each (number, value) of `steps` a unit of the second layer goes from 0 to 1
    where that number of z passes the value, within RAMP: the difference of two of the first layer. For each of
    `bends` a unit of the first layer bends there. Raises ValueError where the layers are too narrow.
    """
    layers = [module for module in mapping.modules() if isinstance(module, EqualizedLinear)]
    rows = torch.tensor([at for at, _ in places])
    columns = torch.tensor([number for _, number in places])
    free = torch.tensor(sorted(set(range(layers[0].weight.shape[0])) - set(rows.tolist())), dtype=torch.int64)
    if len(places) + 2 * len(steps) + len(bends) > len(layers[0].bias):
        raise ValueError(f"{len(steps)} steps and {len(bends)} bends do not fit into {len(free)} units")
    for depth, layer in enumerate(layers):
        layer.weight[rows] = 0.0
        layer.weight[rows, columns if depth == 0 else rows] = 1 / (ACT_GAIN * layer.weight_gain)
        layer.bias[rows] = shift / (ACT_GAIN * layer.bias_gain) if depth == 0 else 0.0
        if depth:
            layer.weight[free[:, None], rows] *= 0.1
    first, second = layers[:2]
    pairs, single = free[: 2 * len(steps)].reshape(-1, 2), free[2 * len(steps) :]
    first.weight[free] = 0.0
    for unit, (number, value) in zip(single.tolist(), cycle(bends), strict=False):
        first.weight[unit, number] = 1 / first.weight_gain
        first.bias[unit] = -value / first.bias_gain
    second.weight[:, pairs.flatten()] = 0.0
    second.weight[free[: len(steps)]] = 0.0
    rise = 1 / (ACT_GAIN * (1 - SLOPE) * second.weight_gain)
    for unit, (pair, (number, value)) in enumerate(zip(pairs.tolist(), steps, strict=True)):
        for row, side in zip(pair, (0.5, -0.5), strict=True):
            first.weight[row, number] = 1 / (RAMP * first.weight_gain)
            first.bias[row] = (side - value / RAMP) / first.bias_gain
            second.weight[free[unit], row] = rise if side > 0 else -rise
        second.bias[free[unit]] = -SLOPE / (1 - SLOPE) / second.bias_gain


def teach_mapping(
    mapping: MappingNetwork,
    spell: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    steps: int,
    seed: int,
    progress: Progress,
) -> float:
    """Fit w = `spell`(z) over latents drawn from a normal distribution; return the last mean square error."""
    rng = np.random.default_rng(seed)
    z_dim, w_dim = mapping.get_submodule("fc0").weight.shape[1], len(mapping.w_avg)
    adam = torch.optim.Adam(mapping.parameters(), lr=LR / 0.01, betas=(0.9, 0.99))
    recent = 0.0
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = LR / 0.01 * min(1.0, 2 * (1 - step / steps)) * min(1.0, (step + 1) / 100)
        z = rng.standard_normal((BATCH, z_dim))
        z *= np.sqrt(z_dim / np.square(z).sum(axis=1, keepdims=True))
        target = torch.from_numpy(spell(z)).float()
        target = F.pad(target, (0, w_dim - target.shape[1]))
        loss = (mapping(torch.from_numpy(z).float()) - target).square().mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        recent += (loss.item() - recent) * (0.05 if step else 1.0)
        progress.beside(f"error {recent:.4f}")
        progress.advance(1)
    return recent
