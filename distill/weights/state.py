"""The state that every format is turned into: public names, shapes that fit together, finite float32."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import UnsafePickle, UnsupportedCheckpoint
from distill.weights.safe_pickle.machine import MIB, shown

MAX_STATE = 1024 * MIB  # of float32; the largest published generator has 130 MiB
MAX_MAPPING_LAYERS = 64
RESOLUTIONS = tuple(4 << i for i in range(9))  # 4 to 1024

State = dict[str, NDArray[np.float32]]
Shape = tuple[int, ...]


class Stored(Protocol):
    """A tensor that still lies in a file: its shape is known, `values` reads it."""

    shape: Any

    @property
    def is_float(self) -> bool: ...

    def values(self) -> NDArray[Any]: ...


def layer_names(resolution: int) -> list[str]:
    """Name the convolutions with noise, lowest resolution first: b4.conv1, b8.conv0, b8.conv1, …"""
    blocks = [size for size in RESOLUTIONS if size <= resolution]
    return [
        f"b{size}.{conv}" for size in blocks for conv in ("conv0", "conv1") if (size, conv) != (4, "conv0")
    ]


def public_names(resolution: int, mapping_layers: int) -> list[str]:
    """List every tensor of a StyleGAN2 generator with skip architecture under its public name."""
    blocks = [f"synthesis.b{size}" for size in RESOLUTIONS if size <= resolution]
    names = ["synthesis.b4.const", "mapping.w_avg", *(f"{block}.resample_filter" for block in blocks)]
    for i in range(mapping_layers):
        names += [f"mapping.fc{i}.weight", f"mapping.fc{i}.bias"]
    for layer in layer_names(resolution):
        names += [
            f"synthesis.{layer}.{part}" for part in ("noise_strength", "noise_const", "resample_filter")
        ]
    for layer in [f"synthesis.{layer}" for layer in layer_names(resolution)] + [f"{b}.torgb" for b in blocks]:
        names += [f"{layer}.{part}" for part in ("weight", "bias", "affine.weight", "affine.bias")]
    return names


def sizes_of(names: Iterable[str]) -> tuple[int, int]:
    """Read resolution and number of mapping layers off public names."""
    names = set(names)
    found = {
        int(m[1]) for name in names if (m := re.fullmatch(r"synthesis\.b(\d{1,5})\.torgb\.weight", name))
    }
    layers = sum(re.fullmatch(r"mapping\.fc\d{1,3}\.weight", name) is not None for name in names)
    return checked_resolution(max(found, default=0)), checked_layers(layers)


def checked_resolution(resolution: object) -> int:
    if not isinstance(resolution, int) or resolution not in RESOLUTIONS:
        what = "no synthesis network" if resolution == 0 else f"a network of {shown(resolution)} px"
        raise UnsupportedCheckpoint(
            f"not a StyleGAN2 generator: {what}; powers of two from 4 to 1024 are read"
        )
    return resolution


def checked_layers(layers: int) -> int:
    if not 1 <= layers <= MAX_MAPPING_LAYERS:
        raise UnsupportedCheckpoint(f"not a StyleGAN2 generator: {layers} mapping layers, 1 to 64 are read")
    return layers


def check_names(names: Iterable[str], expected: Iterable[str]) -> None:
    """Raise UnsupportedCheckpoint that lists the first missing and unexpected names."""
    names, expected = set(names), set(expected)
    missing, extra = sorted(expected - names), sorted(names - expected)
    if missing:
        raise UnsupportedCheckpoint(
            f"not a complete StyleGAN2 generator: {len(missing)} tensors missing: {few(missing)}"
        )
    if extra:
        raise UnsupportedCheckpoint(
            f"not a plain StyleGAN2 generator: {len(extra)} unknown tensors: {few(extra)}"
        )


def few(names: Iterable[object]) -> str:
    """Quote up to four names."""
    names = list(names)
    return ", ".join(shown(name) for name in names[:4]) + (", …" if len(names) > 4 else "")


def read_arrays(stored: Mapping[str, Any]) -> State:
    """Read tensors out of the file as float32; refuse non-floats, NaN, infinity, and more than 1 GiB."""
    total = 0
    for name, tensor in stored.items():
        if not getattr(tensor, "is_float", False):
            raise UnsupportedCheckpoint(f"{shown(name)} is not a tensor of floating-point numbers")
        total += 4 * math.prod(tensor.shape)
    if total > MAX_STATE:
        raise UnsafePickle(
            f"asks for {total // MIB:,} MiB of weights; at most {MAX_STATE // MIB:,} MiB are read"
        )
    return {name: finite(name, tensor.values()) for name, tensor in stored.items()}


def finite(name: str, values: NDArray[Any]) -> NDArray[np.float32]:
    """Copy to contiguous float32; raise UnsupportedCheckpoint for NaN or infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.array(values, dtype=np.float32, order="C")
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise UnsupportedCheckpoint(f"{shown(name)} holds {bad:,} numbers that are not finite")
    return array


def checked_state(arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    """Check names and shapes against each other and return tensors in the order of `public_names`.

    Channel widths come from the tensors. Raises UnsupportedCheckpoint naming the first one that does not fit.
    """
    names = public_names(*sizes_of(arrays))
    check_names(arrays, names)
    _refuse_other_images(arrays)
    for name, shape in expected_shapes({name: array.shape for name, array in arrays.items()}).items():
        if arrays[name].shape != shape:
            found = list(arrays[name].shape)
            raise UnsupportedCheckpoint(f"{name} has shape {found}, this StyleGAN2 needs {list(shape)}")
    return {
        name: torch.from_numpy(np.ascontiguousarray(arrays[name])).reshape(arrays[name].shape)
        for name in names
    }


def _refuse_other_images(arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Raise UnsupportedCheckpoint in words for images that are not square, or not RGB."""
    start = arrays["synthesis.b4.const"].shape
    if len(start) == 3 and start[1:] != (4, 4):
        raise UnsupportedCheckpoint(
            f"a network that starts at {start[1]}x{start[2]} px; only square images are read"
        )
    channels = {array.shape[:1] for name, array in arrays.items() if name.endswith(".torgb.weight")}
    if len(channels) == 1 and channels != {(3,)}:
        (found,) = channels.pop() or (0,)
        raise UnsupportedCheckpoint(f"a network that draws {found} colour channels; only 3 (RGB) are read")


def expected_shapes(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Work out every shape from the biases, the latent widths and the resolution."""
    resolution, layers = sizes_of(shapes)
    z_dim, w_dim = _last(shapes["mapping.fc0.weight"]), _last(shapes["mapping.w_avg"])
    expected: dict[str, Shape] = {"mapping.w_avg": (w_dim,)}
    for i in range(layers):
        expected |= {f"mapping.fc{i}.weight": (w_dim, w_dim if i else z_dim), f"mapping.fc{i}.bias": (w_dim,)}
    width = _last(shapes["synthesis.b4.conv1.bias"])
    expected["synthesis.b4.const"] = (width, 4, 4)
    for layer in layer_names(resolution):
        name, size = f"synthesis.{layer}", int(layer.partition(".")[0][1:])
        inputs, width = width, _last(shapes[f"{name}.bias"]) if layer.endswith("conv0") else width
        expected |= _modulated(name, inputs, width, 3, w_dim)
        expected |= {f"{name}.noise_strength": (), f"{name}.noise_const": (size, size)}
        expected[f"{name}.resample_filter"] = (4, 4)
        if layer.endswith("conv1"):
            expected |= _modulated(f"synthesis.b{size}.torgb", width, 3, 1, w_dim)
            expected[f"synthesis.b{size}.resample_filter"] = (4, 4)
    return expected


def _modulated(name: str, inputs: int, outputs: int, kernel: int, w_dim: int) -> dict[str, Shape]:
    return {
        f"{name}.weight": (outputs, inputs, kernel, kernel),
        f"{name}.bias": (outputs,),
        f"{name}.affine.weight": (inputs, w_dim),
        f"{name}.affine.bias": (inputs,),
    }


def _last(shape: Shape) -> int:
    return shape[-1] if shape else 0


def standard_filter() -> NDArray[np.float32]:
    """The low-pass filter [1, 3, 3, 1] by its own transpose, of sum 1."""
    return filter_of([1.0, 3.0, 3.0, 1.0])


def filter_of(taps: Any) -> NDArray[np.float32]:
    """Turn taps [k] or a kernel [k, k] into a kernel of sum 1."""
    kernel = np.asarray(taps, dtype=np.float64)
    kernel = np.outer(kernel, kernel) if kernel.ndim == 1 else kernel
    total = kernel.sum()
    if kernel.ndim != 2 or not np.isfinite(total) or total <= 0:
        raise UnsupportedCheckpoint(f"a resampling filter of shape {list(kernel.shape)} and sum {total:.3g}")
    normalised: NDArray[np.float32] = (kernel / total).astype(np.float32)
    return normalised


def layer_facts(state: Mapping[str, Tensor], *, origin: str, **facts: Any) -> dict[str, Any]:
    """Collect what the tensors say, and what only the file says, as plain values; check the latter."""
    resolution, layers = sizes_of(state)
    known = {"mapping_lr_multiplier": 0.01, "conv_clamp": None, **facts}
    for name in ("mapping_lr_multiplier", "conv_clamp"):
        known[name] = None if known[name] is None else positive(name, known[name])
    return {
        "architecture": "skip",
        "c_dim": 0,
        "img_channels": 3,
        "img_resolution": resolution,
        "mapping_layers": layers,
        "w_dim": state["mapping.w_avg"].shape[0],
        "z_dim": state["mapping.fc0.weight"].shape[1],
        "origin": origin,
        **known,
    }


def positive(name: str, value: object) -> float:
    """Return a number between 0 and a million as a float; raise UnsupportedCheckpoint for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
        raise UnsupportedCheckpoint(
            f"{name} is {shown(value)}; it should be a number above 0 and below a million"
        )
    return float(value)
