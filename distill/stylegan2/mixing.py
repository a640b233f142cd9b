"""What can be done with w+ that are known: mixed, moved, drawn out between two, pulled to the mean; and drawn.

N M latents, S steps, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from distill.pixels import to_uint8
from distill.stylegan2.generator import Generator, Noise

BATCH = 16
DRAWS = 32  # of the noise


def mixed(contents_NLD: Tensor, styles_MLD: Tensor, crossover: int) -> Tensor:
    """Give each content the layers of each style from `crossover` on: [N, M, L, D]."""
    upper_L = torch.arange(contents_NLD.shape[1], device=contents_NLD.device) >= crossover
    return torch.where(upper_L[:, None], styles_MLD[None], contents_NLD[:, None])


def between(first_LD: Tensor, last_LD: Tensor, count: int) -> Tensor:
    """`count` w+ at even steps from the first to the last, both included: [S, L, D]."""
    share_S = torch.linspace(0, 1, count, device=first_LD.device)
    return first_LD.lerp(last_LD, share_S[:, None, None])


def pulled(ws_NLD: Tensor, w_avg_D: Tensor, psis: Sequence[float]) -> Tensor:
    """Each w+ at each truncation ψ: [N, S, L, D]; 0 is the mean, 1 the w+ itself."""
    psi_S = torch.tensor(psis, device=ws_NLD.device)
    return w_avg_D + psi_S[:, None, None] * (ws_NLD[:, None] - w_avg_D)


def moved(ws_NLD: Tensor, vector_LD: Tensor, strengths: Sequence[float]) -> Tensor:
    """Each w+ at each strength along a direction: [N, S, L, D]."""
    strength_S = torch.tensor(strengths, device=ws_NLD.device)
    return ws_NLD[:, None] + strength_S[:, None, None] * vector_LD.to(ws_NLD)


def drawn(generator: Generator, ws: Tensor, *, noise: Noise = "const") -> Tensor:
    """Draw w+ [..., L, D] as uint8 [..., H, W, 3] on the CPU, a batch at a time."""
    flat_NLD = ws.flatten(0, -3)
    parts = [to_uint8(generator.synthesize(part, noise=noise)).cpu() for part in torch.split(flat_NLD, BATCH)]
    return torch.cat(parts).reshape(*ws.shape[:-2], *parts[0].shape[1:])


def noise_spread(generator: Generator, ws_LD: Tensor, count: int = DRAWS) -> Tensor:
    """How far pixels spread over `count` draws of the noise, in grey levels, [H, W]: where noise draws detail."""
    images = drawn(generator, ws_LD.expand(count, -1, -1), noise="random").float()
    return images.std(dim=0).mean(dim=-1)
