"""States of StyleGAN2 generators under the public names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"
State = dict[str, Tensor]


def golden_state(name: str = "stylegan2_tiny32") -> State:
    """The state of a reference network, under the public names."""
    with np.load(GOLDEN / f"{name}.npz") as stored:
        names = [name for name in stored.files if name.startswith("state/")]
        return {name.removeprefix("state/"): torch.from_numpy(stored[name].copy()) for name in names}


def small_state(resolution: int = 8, width: int = 2, latent: int = 3, layers: int = 1) -> State:
    """A made-up network of a few kilobytes: normal numbers under the public names."""
    from distill.weights.state import expected_shapes, public_names

    biases = {name: (width,) for name in public_names(resolution, layers) if name.endswith("bias")}
    known = {"mapping.fc0.weight": (latent, latent), "mapping.w_avg": (latent,)}
    shapes = expected_shapes(dict.fromkeys(public_names(resolution, layers), ()) | biases | known)
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    taps = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
    return {name: taps.clone() if name.endswith("resample_filter") else state[name] for name in state}


def resolution_of(state: Mapping[str, Tensor]) -> int:
    return max(int(name.split(".")[1][1:]) for name in state if name.endswith("torgb.weight"))


def mapping_layers_of(state: Mapping[str, Tensor]) -> int:
    return sum(name.startswith("mapping.fc") and name.endswith("weight") for name in state)


def conv_names(state: Mapping[str, Tensor]) -> list[str]:
    """b4.conv1, b8.conv0, b8.conv1, … in the order in which the network runs them."""
    sizes = [4 << i for i in range(int(math.log2(resolution_of(state))) - 1)]
    return ["b4.conv1"] + [f"b{size}.{conv}" for size in sizes[1:] for conv in ("conv0", "conv1")]
