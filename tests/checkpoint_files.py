"""Write a StyleGAN2 state under its public names in every file format that the package reads."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from generator_states import State, conv_names, golden_state, mapping_layers_of, resolution_of, small_state
from nvidia_files import (
    EasyDict,
    Network,
    Persistent,
    dumped,
    persistent_generator,
    tf_networks,
    write_nvidia_pytorch,
    write_nvidia_tensorflow,
)
from torch import Tensor

__all__ = [
    "EasyDict",
    "Network",
    "Persistent",
    "State",
    "dumped",
    "golden_state",
    "persistent_generator",
    "small_state",
    "tf_networks",
    "write_nvidia_pytorch",
    "write_nvidia_tensorflow",
    "write_rosinality",
]


def rosinality_state(state: Mapping[str, Tensor]) -> State:
    """The generator's state dict under rosinality's names, with its fixed kernels."""
    found = {"input.input": state["synthesis.b4.const"][None]}
    for i in range(mapping_layers_of(state)):
        found |= {f"style.{i + 1}.{part}": state[f"mapping.fc{i}.{part}"] for part in ("weight", "bias")}
    for index, conv in enumerate(conv_names(state)):
        ours, theirs = f"synthesis.{conv}", "conv1" if index == 0 else f"convs.{index - 1}"
        found |= _rosinality_layer(state, ours, theirs)
        found[f"{theirs}.noise.weight"] = state[f"{ours}.noise_strength"].reshape(1)
        found[f"{theirs}.activate.bias"] = state[f"{ours}.bias"]
        found[f"noises.noise_{index}"] = state[f"{ours}.noise_const"][None, None]
        if conv.endswith("conv0"):
            found[f"{theirs}.conv.blur.kernel"] = state[f"{ours}.resample_filter"] * 4
        else:
            theirs = "to_rgb1" if index == 0 else f"to_rgbs.{index // 2 - 1}"
            ours = f"synthesis.{conv.partition('.')[0]}.torgb"
            found |= _rosinality_layer(state, ours, theirs)
            found[f"{theirs}.bias"] = state[f"{ours}.bias"].reshape(1, -1, 1, 1)
            if index:
                found[f"{theirs}.upsample.kernel"] = state["synthesis.b4.resample_filter"] * 4
    return found


def _rosinality_layer(state: Mapping[str, Tensor], ours: str, theirs: str) -> State:
    return {
        f"{theirs}.conv.weight": state[f"{ours}.weight"][None],
        f"{theirs}.conv.modulation.weight": state[f"{ours}.affine.weight"],
        f"{theirs}.conv.modulation.bias": state[f"{ours}.affine.bias"],
    }


def write_rosinality(
    path: Path,
    state: Mapping[str, Tensor],
    *,
    with_args: bool = False,
    with_latent_avg: bool = True,
    bare: bool = False,
    legacy: bool = False,
) -> Path:
    """Write a converted network, a training snapshot (`with_args`: optimiser, Namespace) or a bare state."""
    generator = OrderedDict(rosinality_state(state))
    content: dict[str, Any] = {"g_ema": generator}
    if with_latent_avg:
        content["latent_avg"] = state["mapping.w_avg"]
    if with_args:
        zeros = OrderedDict((name, torch.zeros_like(tensor)) for name, tensor in generator.items())
        step = {"step": torch.tensor(3), "exp_avg": torch.zeros(4)}
        optimiser = {"state": {0: step}, "param_groups": [{"lr": 0.002, "betas": (0.0, 0.99), "params": [0]}]}
        args = argparse.Namespace(path="data", iter=800_000, size=resolution_of(state), distributed=False)
        content |= {"g": zeros, "d": {}, "g_optim": optimiser, "args": args, "ada_aug_p": 0.0}
    torch.save(generator if bare else content, path, _use_new_zipfile_serialization=not legacy)
    return path
