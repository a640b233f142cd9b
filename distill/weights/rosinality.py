"""Checkpoints of rosinality's stylegan2-pytorch (`.pt`): training snapshots and converted networks.

The numbers are those of the public PyTorch names, in other places and with extra axes of length 1.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
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
    few,
    filter_of,
    layer_facts,
    layer_names,
    read_arrays,
    standard_filter,
)

W_AVG_SAMPLES = 10_000
MAX_TENSORS = 2_000
_KERNEL = re.compile(r"(to_rgbs\.\d+\.upsample|convs\.\d+\.conv\.blur)\.kernel")  # fixed low-pass filters


def convert_rosinality(content: object) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Turn a loaded `.pt` into (state, facts). Raises UnsupportedCheckpoint.

    Training snapshots have no mean of w; it is then estimated from 10,000 fixed z (see `estimated_w_avg`).
    """
    tensors, entry = choose_state(content)
    blocks = sum(re.fullmatch(r"to_rgbs\.\d+\.conv\.weight", name) is not None for name in tensors)
    if blocks >= len(RESOLUTIONS):
        raise UnsupportedCheckpoint(f"a generator of {4 << blocks} px; at most 1024 px are read")
    layers = checked_layers(sum(re.fullmatch(r"style\.\d+\.weight", name) is not None for name in tensors))
    names = rosinality_names(RESOLUTIONS[blocks], layers)
    kernels = [name for name in tensors if _KERNEL.fullmatch(name)]
    check_names(set(tensors) - set(kernels), set(names.values()))
    arrays = read_arrays({name: tensors[name] for name in [*names.values(), *kernels[:1]]})
    public: State = {name: _squeezed(name, arrays[source]) for name, source in names.items()}
    public |= _filters(RESOLUTIONS[blocks], arrays[kernels[0]] if kernels else None)
    public["mapping.w_avg"], how = _w_avg(content, public, layers)
    state = checked_state(public)
    return state, layer_facts(state, origin="rosinality stylegan2-pytorch", entry=entry, w_avg=how)


def choose_state(content: object) -> tuple[Mapping[str, Any], str]:
    """Take `g_ema` out of a checkpoint, else `g`, else the state itself. Raises UnsupportedCheckpoint."""
    if not isinstance(content, dict):
        raise UnsupportedCheckpoint(f"not a StyleGAN2 generator: holds a {type(content).__name__}")
    for entry in ("g_ema", "g"):
        if isinstance(content.get(entry), dict):
            return _checked(content[entry]), entry
    return _checked(content), "the object itself"


def _checked(state: Mapping[Any, Any]) -> Mapping[str, Any]:
    if "conv1.conv.weight" not in state or len(state) > MAX_TENSORS:
        raise UnsupportedCheckpoint(f"not a StyleGAN2 generator: holds {few(state) or 'nothing'}")
    return {str(name): tensor for name, tensor in state.items() if name != "latent_avg"}


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


# ---- the mean of w


def _w_avg(content: object, public: State, layers: int) -> tuple[NDArray[np.float32], str]:
    stored = content.get("latent_avg") if isinstance(content, dict) else None
    if stored is not None:
        return read_arrays({"latent_avg": stored})["latent_avg"].reshape(-1), "stored"
    mapping = [(public[f"mapping.fc{i}.weight"], public[f"mapping.fc{i}.bias"]) for i in range(layers)]
    return estimated_w_avg(mapping), f"estimated from {W_AVG_SAMPLES} samples"


def estimated_w_avg(
    mapping: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
    *,
    lr_multiplier: float = 0.01,
    samples: int = W_AVG_SAMPLES,
) -> NDArray[np.float32]:
    """Average w over `samples` z from a fixed Philox stream (key 0), computed in float64; [D].

    Raises UnsupportedCheckpoint where the layers do not follow each other.
    """
    widths = [weight.shape for weight, _ in mapping]
    chained = all(len(shape) == 2 for shape in widths) and all(
        before[0] == after[1] for before, after in itertools.pairwise(widths)
    )
    if not chained or any(bias.shape != shape[:1] for (_, bias), shape in zip(mapping, widths, strict=True)):
        raise UnsupportedCheckpoint(f"mapping layers of shapes {few(str(list(shape)) for shape in widths)}")
    x_NZ = normal_numbers(samples, widths[0][1])
    x_NZ /= np.sqrt(np.square(x_NZ).mean(axis=1, keepdims=True) + 1e-8)
    for weight, bias in mapping:
        gain = lr_multiplier / np.sqrt(weight.shape[1])
        x_NZ = x_NZ @ (weight.T.astype(np.float64) * gain) + bias.astype(np.float64) * lr_multiplier
        x_NZ = np.where(x_NZ < 0, 0.2 * x_NZ, x_NZ) * np.sqrt(2.0)
    w_avg_D: NDArray[np.float32] = x_NZ.mean(axis=0).astype(np.float32)
    return w_avg_D


def normal_numbers(rows: int, columns: int) -> NDArray[np.float64]:
    """Draw standard normal numbers [rows, columns] from raw Philox words by Box and Muller's method."""
    words = np.random.Philox(key=0).random_raw(2 * rows * columns)
    uniform = ((words >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53  # in (0, 1]
    radius, angle = np.sqrt(-2.0 * np.log(uniform[::2])), 2.0 * np.pi * uniform[1::2]
    return (radius * np.cos(angle)).reshape(rows, columns)
