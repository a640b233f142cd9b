"""The pickles of NVIDIA's TensorFlow releases (stylegan2, stylegan2-ada): G, D and Gs as pickled networks.

Variables are stored in TensorFlow's order of axes and under its names. Two things differ beyond that:
convolutions to twice the resolution are stored mirrored, a style's bias without the 1 that is added to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import UnsafePickle, UnsupportedCheckpoint
from distill.weights.safe_pickle.machine import shown
from distill.weights.safe_pickle.records import Array, TFNetwork
from distill.weights.state import (
    RESOLUTIONS,
    State,
    check_names,
    checked_layers,
    checked_resolution,
    checked_state,
    few,
    filter_of,
    layer_facts,
    layer_names,
    read_arrays,
)

MAX_COMPONENTS, MAX_VARIABLES = 20, 2_000
Move = Callable[[NDArray[Any]], NDArray[Any]]

STATIC: dict[str, tuple[object, ...]] = {  # static argument -> the values that this package runs
    "architecture": ("skip",),
    "label_size": (0,),
    "num_channels": (3,),
    "use_noise": (True,),
    "nonlinearity": ("lrelu",),
    "mapping_nonlinearity": ("lrelu",),
    "normalize_latents": (True,),
}
FREE = {  # static arguments that are read below, that the tensors' shapes repeat, or that only training uses
    "conv_clamp", "resample_kernel", "mapping_lrmul", "resolution", "latent_size", "dlatent_size",
    "structure", "fmap_base", "fmap_max", "fmap_min", "fmap_decay", "mapping_layers", "mapping_fmaps",
    "label_fmaps", "dtype", "num_fp16_res", "w_avg_beta", "dlatent_avg_beta", "truncation_psi",
    "truncation_psi_val", "conditioning", "truncation_cutoff", "truncation_cutoff_val",
    "style_mixing_prob", "fused_modconv", "randomize_noise",
}  # fmt: skip


def convert_nvidia_tensorflow(content: tuple[TFNetwork, ...]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Turn the pickled (G, D, Gs) into (state, facts) of Gs. Raises UnsupportedCheckpoint, UnsafePickle."""
    network = content[2]
    arguments = _arguments(network)
    variables = _variables(network)
    _refuse_growing(variables)
    resolution = checked_resolution(_resolution(variables))
    layers = checked_layers(
        sum(re.fullmatch(r"mapping/Dense\d+/weight", name) is not None for name in variables)
    )
    moves = tf_names(resolution, layers)
    check_names(set(variables) - {"lod"}, {name for name, _ in moves.values()})
    arrays = read_arrays({name: variables[name] for name, _ in moves.values()})
    public: State = {name: _moved(source, arrays[source], move) for name, (source, move) in moves.items()}
    kernel = filter_of(_taps(arguments.get("resample_kernel")))
    for name in [f"b{size}" for size in RESOLUTIONS if size <= resolution] + layer_names(resolution):
        public[f"synthesis.{name}.resample_filter"] = kernel
    state = checked_state(public)
    lr_multiplier = arguments.get("mapping_lrmul", 0.01)
    return state, layer_facts(
        state,
        origin="NVIDIA TensorFlow pickle",
        entry="Gs",
        mapping_lr_multiplier=0.01 if lr_multiplier is None else lr_multiplier,
        conv_clamp=arguments.get("conv_clamp"),
    )


# ---- names


def tf_names(resolution: int, mapping_layers: int) -> dict[str, tuple[str, Move]]:
    """Map every public name (filters excepted) to the TensorFlow variable and how its axes move."""
    names: dict[str, tuple[str, Move]] = {"mapping.w_avg": ("dlatent_avg", as_is)}
    names["synthesis.b4.const"] = ("synthesis/4x4/Const/const", first)
    for i in range(mapping_layers):
        names[f"mapping.fc{i}.weight"] = (f"mapping/Dense{i}/weight", np.transpose)
        names[f"mapping.fc{i}.bias"] = (f"mapping/Dense{i}/bias", as_is)
    for index, layer in enumerate(layer_names(resolution)):
        block, conv = layer.split(".")
        size = f"{block[1:]}x{block[1:]}"
        scope = f"synthesis/{size}/" + (
            "Conv" if layer == "b4.conv1" else {"conv0": "Conv0_up", "conv1": "Conv1"}[conv]
        )
        names |= _layer(f"synthesis.{layer}", scope, mirrored if conv == "conv0" else axes)
        names[f"synthesis.{layer}.noise_strength"] = (f"{scope}/noise_strength", as_is)
        names[f"synthesis.{layer}.noise_const"] = (f"synthesis/noise{index}", map_of_noise)
        if conv == "conv1":
            names |= _layer(f"synthesis.{block}.torgb", f"synthesis/{size}/ToRGB", axes)
    return names


def _layer(name: str, scope: str, weight: Move) -> dict[str, tuple[str, Move]]:
    return {
        f"{name}.weight": (f"{scope}/weight", weight),
        f"{name}.bias": (f"{scope}/bias", as_is),
        f"{name}.affine.weight": (f"{scope}/mod_weight", np.transpose),
        f"{name}.affine.bias": (f"{scope}/mod_bias", plus_one),
    }


def as_is(array: NDArray[Any]) -> NDArray[Any]:
    return array


def first(array: NDArray[Any]) -> NDArray[Any]:
    kept: NDArray[Any] = array[0]
    return kept


def plus_one(array: NDArray[Any]) -> NDArray[Any]:
    return array + 1


def map_of_noise(array: NDArray[Any]) -> NDArray[Any]:
    kept: NDArray[Any] = array[0, 0]
    return kept


def axes(array: NDArray[Any]) -> NDArray[Any]:
    """[k, k, in, out] -> [out, in, k, k]."""
    return array.transpose(3, 2, 0, 1)


def mirrored(array: NDArray[Any]) -> NDArray[Any]:
    return axes(array[::-1, ::-1])


def _moved(source: str, array: NDArray[Any], move: Move) -> NDArray[np.float32]:
    try:
        return np.array(move(array), dtype=np.float32, order="C")
    except (IndexError, ValueError) as error:
        raise UnsupportedCheckpoint(
            f"{source} has shape {list(array.shape)}, not that of a StyleGAN2"
        ) from error


# ---- what the networks hold


def _arguments(network: TFNetwork) -> dict[str, Any]:
    """Return the static arguments of a network; refuse those that make it another kind."""
    version, arguments = network.get("version"), network.get("static_kwargs", {})
    if not isinstance(version, int) or version < 4:
        what = f"TensorFlow network of version {shown(version)}"
        raise UnsupportedCheckpoint(f"a {what} (StyleGAN1 or older); StyleGAN2 has version 4 or later")
    if not isinstance(arguments, dict):
        raise UnsupportedCheckpoint(
            "not a StyleGAN2 generator: a TensorFlow network without static arguments"
        )
    for name, value in arguments.items():
        if name not in STATIC and name not in FREE:
            raise UnsupportedCheckpoint(f"unknown argument {shown(name)} of the TensorFlow network")
        allowed = STATIC.get(name, ())
        if allowed and not (isinstance(value, (str, int)) and value in allowed):
            what = "class-conditional generator" if name == "label_size" else "TensorFlow generator"
            raise UnsupportedCheckpoint(f"a {what} with {name} {shown(value)}; only {allowed[0]} is read")
    return arguments


def _variables(network: TFNetwork) -> dict[str, Array]:
    """Collect the variables of a network and of its components under `component/name`."""
    found: dict[str, Array] = {}
    waiting: list[tuple[str, object, int]] = [("", network, 0)]
    seen = 0
    while waiting:
        prefix, part, depth = waiting.pop()
        seen += 1
        if seen > MAX_COMPONENTS or depth > 3:
            raise UnsafePickle(f"a TensorFlow network of more than {MAX_COMPONENTS} components")
        if not isinstance(part, TFNetwork) or not isinstance(part.get("components", {}), dict):
            raise UnsupportedCheckpoint(f"not a StyleGAN2 generator: {shown(prefix)} is not a network")
        found |= _own_variables(prefix, part)
        for name, child in part.get("components", {}).items():
            waiting.append((f"{prefix}{shown(name)}/", child, depth + 1))
    return found


def _own_variables(prefix: str, network: TFNetwork) -> dict[str, Array]:
    listed = network.get("variables", [])
    if not isinstance(listed, list) or len(listed) > MAX_VARIABLES:
        raise UnsupportedCheckpoint("not a StyleGAN2 generator: a network without a list of variables")
    own = {}
    for entry in listed:
        if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[0], str):
            raise UnsupportedCheckpoint("not a StyleGAN2 generator: a variable without name and value")
        name, value = entry  # a variable without axes is pickled as a number
        own[prefix + name] = Array.of_number(value) if isinstance(value, float) else value
    return own


def _refuse_growing(variables: dict[str, Array]) -> None:
    if any(re.search(r"(^|/)ToRGB_lod\d", name) for name in variables):
        raise UnsupportedCheckpoint(
            "a progressively grown generator (StyleGAN1, configs A-D) or architecture 'orig'"
        )
    if any("/Skip/" in name for name in variables):
        raise UnsupportedCheckpoint("a generator of architecture 'resnet'; only 'skip' is read")


def _resolution(variables: dict[str, Array]) -> int:
    oblong = (re.match(r"synthesis/(\d{1,4})x(\d{1,4})/", name) for name in variables)
    if sides := next((m for m in oblong if m and m[1] != m[2]), None):
        raise UnsupportedCheckpoint(
            f"a network that starts at {sides[1]}x{sides[2]} px; only square images are read"
        )
    sizes = [
        int(m[1]) for name in variables if (m := re.match(r"synthesis/(\d{1,4})x\1/ToRGB/weight$", name))
    ]
    if not sizes:
        raise UnsupportedCheckpoint(f"not a StyleGAN2 generator: holds variables {few(variables) or 'none'}")
    return max(sizes)


def _taps(kernel: object) -> list[float]:
    if kernel is None:
        return [1.0, 3.0, 3.0, 1.0]
    plain = isinstance(kernel, (list, tuple)) and len(kernel) == 4
    if not plain or not all(isinstance(tap, (int, float)) and abs(tap) < 1e6 for tap in kernel):  # type: ignore[attr-defined]
        raise UnsupportedCheckpoint(f"a resampling kernel {shown(kernel)}; four numbers are read")
    return [float(tap) for tap in kernel]  # type: ignore[attr-defined]
