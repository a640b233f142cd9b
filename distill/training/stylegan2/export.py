"""From a run to a generator file, and to pictures of it on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.pixels import to_uint8
from distill.stylegan2.networks import GeneratorNetwork
from distill.training.position import stream_seed
from distill.weights.checkpoint import Checkpoint, save_safetensors

W_SAMPLES = 16384  # that the centre of w is the mean of


@torch.no_grad()
def set_centre(network: GeneratorNetwork, samples: int = W_SAMPLES) -> None:
    """Set `w_avg` to the mean of w over a fixed set of z; truncation pulls towards it."""
    device = next(network.parameters()).device
    z = torch.randn(samples, network.shape.z_dim, generator=_stream(0, "centre"))
    total = sum(network.mapping(part.to(device)).double().sum(dim=0) for part in torch.split(z, 1024))
    network.mapping.w_avg.copy_(torch.as_tensor(total) / samples)


def _stream(seed: int, purpose: str) -> torch.Generator:
    """A stream of its own: a plain seed gave the initial weights of the networks too."""
    return torch.Generator().manual_seed(stream_seed(seed, 0, purpose))


@torch.no_grad()
def pictures(
    network: GeneratorNetwork, count: int, *, seed: int, psi: float = 1.0, batch: int = 32
) -> Iterator[Tensor]:
    """Draw `count` images of a fixed seed as uint8 batches [B, H, W, 3]; call `set_centre` before a psi below 1."""
    device = next(network.parameters()).device
    z = torch.randn(count, network.shape.z_dim, generator=_stream(seed, "pictures"))
    for part in torch.split(z, batch):
        w = network.mapping.w_avg.lerp(network.mapping(part.to(device)), psi)
        yield to_uint8(network.synthesis(w[:, None].expand(-1, network.shape.num_ws, -1))).cpu()


def save_generator(
    path: Path,
    network: GeneratorNetwork,
    facts: Mapping[str, Any],
    *,
    half: bool = False,
    centred: bool = False,
) -> None:
    """Write the averaged generator as safetensors with its training facts.

    `half` stores float16. `centred`: the network has its mean of w already, as a child has its parent's.
    """
    if not centred:
        set_centre(network)
    state = {
        name: tensor.detach().float().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    shape = network.shape
    plain: dict[str, Any] = {
        "architecture": "skip",
        "mapping_lr_multiplier": shape.mapping_lr_multiplier,
        "conv_clamp": shape.conv_clamp,
        "origin": "distill train-stylegan2",
        **facts,
    }
    content = Checkpoint(state=state, facts=plain, format="safetensors", sha256="0" * 64)
    save_safetensors(path, content, dtype=torch.float16 if half else torch.float32)


def as_images(batches: Iterator[Tensor]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Join uint8 batches to one array [N, H, W, 3]."""
    return torch.cat(list(batches)).numpy()
