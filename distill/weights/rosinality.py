"""Checkpoints of rosinality's stylegan2-pytorch (`.pt`): training snapshots and converted networks.

The numbers are those of the public PyTorch names, in other places and with extra axes of length 1.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import UnsupportedCheckpoint
from distill.weights.state import (
    RESOLUTIONS,
    State,
    check_names,
    checked_layers,
    checked_state,
    filter_of,
    layer_facts,
    layer_names,
    read_arrays,
    standard_filter,
)
from distill.weights.state_dicts import FoundState
from distill.weights.w_avg import ESTIMATED, normal_numbers, w_avg_of

MARK = "conv1.conv.weight"  # a tensor that every such network has
_KERNEL = re.compile(r"(to_rgbs\.\d+\.upsample|convs\.\d+\.conv\.blur)\.kernel")  # fixed low-pass filters


def convert_rosinality(content: object, found: FoundState) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Turn the network found in a loaded `.pt` into (state, facts). Raises UnsupportedCheckpoint.

    Training snapshots have no mean of w; it is then estimated from 10,000 fixed z. Noise maps may be missing too.
    """
    tensors = {name: tensor for name, tensor in found.tensors.items() if name != "latent_avg"}
    blocks = sum(re.fullmatch(r"to_rgbs\.\d+\.conv\.weight", name) is not None for name in tensors)
    if blocks >= len(RESOLUTIONS):
        raise UnsupportedCheckpoint(f"a generator of {4 << blocks} px; at most 1024 px are read")
    layers = checked_layers(sum(re.fullmatch(r"style\.\d+\.weight", name) is not None for name in tensors))
    names, noise = rosinality_names(RESOLUTIONS[blocks], layers), "stored"
    if not any(name.startswith("noises.") for name in tensors):
        names = {name: source for name, source in names.items() if not source.startswith("noises.")}
        noise = "drawn, the file has none"
    kernels = [name for name in tensors if _KERNEL.fullmatch(name)]
    check_names(set(tensors) - set(kernels), set(names.values()))
    arrays = read_arrays({name: tensors[name] for name in [*names.values(), *kernels[:1]]})
    public: State = {name: _squeezed(name, arrays[source]) for name, source in names.items()}
    if noise != "stored":
        public |= _drawn_noise(RESOLUTIONS[blocks])
    public |= _filters(RESOLUTIONS[blocks], arrays[kernels[0]] if kernels else None)
    public["mapping.w_avg"], how = _w_avg(found, content, public, layers)
    state = checked_state(public)
    origin = "rosinality stylegan2-pytorch"
    return state, layer_facts(state, origin=origin, entry=found.entry, w_avg=how, noise=noise)


# ---- names


def rosinality_names(resolution: int, mapping_layers: int) -> dict[str, str]:
    """Map every public name, filters and `mapping.w_avg` excepted, to rosinality's name."""
    names = {"synthesis.b4.const": "input.input"}
    for i in range(mapping_layers):
        names |= {f"mapping.fc{i}.{part}": f"style.{i + 1}.{part}" for part in ("weight", "bias")}
    for index, layer in enumerate(layer_names(resolution)):
        ours, theirs = f"synthesis.{layer}", "conv1" if index == 0 else f"convs.{index - 1}"
        names |= _modulated(ours, theirs)
        names[f"{ours}.bias"] = f"{theirs}.activate.bias"
        names[f"{ours}.noise_strength"] = f"{theirs}.noise.weight"
        names[f"{ours}.noise_const"] = f"noises.noise_{index}"
        if layer.endswith("conv1"):
            ours = f"synthesis.{layer.partition('.')[0]}.torgb"
            theirs = "to_rgb1" if index == 0 else f"to_rgbs.{index // 2 - 1}"
            names |= _modulated(ours, theirs)
            names[f"{ours}.bias"] = f"{theirs}.bias"
    return names


def _modulated(ours: str, theirs: str) -> dict[str, str]:
    return {
        f"{ours}.weight": f"{theirs}.conv.weight",
        f"{ours}.affine.weight": f"{theirs}.conv.modulation.weight",
        f"{ours}.affine.bias": f"{theirs}.conv.modulation.bias",
    }


def _squeezed(name: str, array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Drop the axes of length 1 that rosinality adds."""
    part = name.rpartition(".")[2]
    if part == "bias":
        return array.reshape(-1)
    matrix = "affine" in name or "mapping" in name
    keep = {"noise_strength": 0, "noise_const": 2, "const": 3}.get(part, 2 if matrix else 4)
    extra = max(0, array.ndim - keep)
    if array.shape[:extra] != (1,) * extra:
        raise UnsupportedCheckpoint(f"{name} comes with shape {list(array.shape)}, not that of a StyleGAN2")
    return array.reshape(array.shape[extra:])


def _filters(resolution: int, kernel: NDArray[np.float32] | None) -> State:
    """Make the filter buffers of the public names: one kernel everywhere, of sum 1."""
    taps = standard_filter() if kernel is None else filter_of(kernel)
    blocks = [f"b{size}" for size in RESOLUTIONS if size <= resolution]
    return {f"synthesis.{name}.resample_filter": taps for name in [*blocks, *layer_names(resolution)]}


# ---- what a file may lack


def _w_avg(found: FoundState, content: object, public: State, layers: int) -> tuple[NDArray[np.float32], str]:
    """Return the mean of w: stored once, or alike for each layer as encoders keep it; else estimated."""
    stored = found.tensors.get("latent_avg", content.get("latent_avg") if isinstance(content, dict) else None)
    if stored is not None:
        rows = read_arrays({"latent_avg": stored})["latent_avg"]
        rows = rows.reshape(-1, rows.shape[-1]) if rows.ndim else rows.reshape(1, 1)
        if len(rows) and (rows == rows[0]).all():
            return rows[0], "stored"
    return w_avg_of(public, layers), ESTIMATED


def _drawn_noise(resolution: int) -> State:
    """Draw the noise maps that a file without `noises.*` leaves open: fixed ones, standard normal."""
    found: State = {}
    for index, layer in enumerate(layer_names(resolution)):
        size = int(layer.partition(".")[0][1:])
        found[f"synthesis.{layer}.noise_const"] = normal_numbers(size, size, key=index + 1).astype(np.float32)
    return found
