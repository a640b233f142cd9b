"""Write a StyleGAN2 state as NVIDIA's programs pickle it, in PyTorch and in TensorFlow.

The files are put together with stand-ins: modules of NVIDIA's names exist while one is written.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from generator_states import conv_names, mapping_layers_of, resolution_of
from torch import Tensor, nn

SOURCE = "import torch\nraise SystemExit('source code of a weight file was executed')\n"


class EasyDict(dict[str, Any]):
    """Stands for dnnlib.util.EasyDict."""


class Network:
    """Stands for dnnlib.tflib.network.Network: pickled as an empty object plus its attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Persistent:
    """Stands for a module of torch_utils.persistence."""

    def __init__(self, class_name: str, state: dict[str, Any], source: str = SOURCE) -> None:
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": source,
            "class_name": class_name,
            "state": state,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return _reconstruct_persistent_obj, (self.meta,)


def _reconstruct_persistent_obj(meta: Any) -> None:
    raise AssertionError("never called: only its name is written")


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """Let pickle find the stand-ins under NVIDIA's names."""
    homes = {
        "torch_utils.persistence": [_reconstruct_persistent_obj],
        "dnnlib.util": [EasyDict],
        "dnnlib.tflib.network": [Network],
    }
    parents = ("torch_utils", "dnnlib", "dnnlib.tflib")
    before = {item: item.__module__ for items in homes.values() for item in items}
    sys.modules |= {parent: types.ModuleType(parent) for parent in parents}
    for home, items in homes.items():
        module = types.ModuleType(home)
        for item in items:
            item.__module__ = home
            setattr(module, item.__name__, item)
        sys.modules[home] = module
    try:
        yield
    finally:
        for name in (*homes, *parents):
            del sys.modules[name]
        for items in homes.values():
            for item in items:
                item.__module__ = before[item]


def dumped(content: object, protocol: int = 4) -> bytes:
    """Pickle with the stand-ins in place."""
    with stand_ins():
        return pickle.dumps(content, protocol=protocol)


# ---- NVIDIA, PyTorch

BUFFERS = ("w_avg", "noise_const", "resample_filter")


def persistent_generator(
    state: Mapping[str, Tensor],
    *,
    conv_clamp: float | None = None,
    lr_multiplier: float = 0.01,
    architecture: str = "skip",
    activation: str = "lrelu",
    c_dim: int = 0,
    class_name: str = "Generator",
    source: str = SOURCE,
) -> Persistent:
    """A record of the generator as NVIDIA's programs pickle it."""

    def module(path: str) -> Persistent:
        inside = {name.removeprefix(path): tensor for name, tensor in state.items() if name.startswith(path)}
        own = {name: tensor for name, tensor in inside.items() if "." not in name}
        children = dict.fromkeys(name.partition(".")[0] for name in inside if "." in name)
        attributes: dict[str, Any] = {
            "training": False,
            "_parameters": OrderedDict(
                (n, nn.Parameter(t, False)) for n, t in own.items() if n not in BUFFERS
            ),
            "_buffers": OrderedDict((n, t) for n, t in own.items() if n in BUFFERS),
            "_non_persistent_buffers_set": set(),
            "_backward_hooks": OrderedDict(),
            "_modules": OrderedDict((child, module(f"{path}{child}.")) for child in children),
            "_init_args": (),
            "_init_kwargs": EasyDict(),
        }
        return Persistent(_class_of(path) or class_name, attributes | extras(path, own), source)

    def extras(path: str, own: dict[str, Tensor]) -> dict[str, Any]:
        if path == "":
            kwargs = {"mapping_kwargs": EasyDict(lr_multiplier=lr_multiplier), "synthesis_kwargs": EasyDict()}
            return {"c_dim": c_dim, "img_channels": 3, "_init_kwargs": EasyDict(c_dim=c_dim, **kwargs)}
        kind = _class_of(path)
        if kind == "FullyConnectedLayer":
            lr, inputs = lr_multiplier if "fc" in path else 1.0, own["weight"].shape[1]
            name = activation if "fc" in path else "linear"
            gain = lr / np.sqrt(inputs)  # a numpy scalar, as in the original
            return {"in_features": inputs, "activation": name, "weight_gain": gain, "bias_gain": lr}
        if kind == "SynthesisLayer":
            return {
                "activation": activation,
                "conv_clamp": conv_clamp,
                "use_noise": True,
                "act_gain": np.sqrt(2),
            }
        return {"architecture": architecture} if kind == "SynthesisBlock" else {}

    return module("")


def _class_of(path: str) -> str:
    last = path.rstrip(".").rpartition(".")[2]
    kinds = {"mapping": "MappingNetwork", "synthesis": "SynthesisNetwork", "torgb": "ToRGBLayer"}
    if last in ("conv0", "conv1"):
        return "SynthesisLayer"
    if last == "affine" or last.startswith("fc"):
        return "FullyConnectedLayer"
    return kinds.get(last, "SynthesisBlock" if last.startswith("b") else "")


def write_nvidia_pytorch(
    path: Path, state: Mapping[str, Tensor], *, protocol: int = 4, bare: bool = False, **options: Any
) -> Path:
    """Write a snapshot (G, D, augment_pipe, G_ema) or, `bare`, the generator alone; options of the record."""
    generator = persistent_generator(state, **options)
    other = persistent_generator({name: torch.zeros_like(tensor) for name, tensor in state.items()})
    discriminator = Persistent("Discriminator", {"_parameters": {}, "_buffers": {}, "_modules": {}})
    snapshot = {
        "training_set_kwargs": EasyDict(path="x.zip", use_labels=False),
        "G": other,
        "D": discriminator,
        "augment_pipe": None,
        "G_ema": generator,
    }
    path.write_bytes(dumped(generator if bare else snapshot, protocol))
    return path


# ---- NVIDIA, TensorFlow


def tf_networks(
    state: Mapping[str, Tensor], *, version: int = 4, static: Mapping[str, Any] | None = None
) -> tuple[Network, Network, Network]:
    """(G, D, Gs) with the state in Gs; G holds zeros, D nothing."""
    static_kwargs = EasyDict(num_channels=3, resolution=resolution_of(state), label_size=0, fmap_base=16384)
    static_kwargs.update(static or {})
    names = tf_variables(state)

    def network(name: str, keep: dict[str, np.ndarray[Any, Any]], components: dict[str, Any]) -> Network:
        return Network(
            version=version,
            name=name,
            static_kwargs=static_kwargs,
            components=components,
            build_module_src=SOURCE,
            build_func_name="G_main",
            variables=list(keep.items()),
        )

    def part(prefix: str) -> dict[str, np.ndarray[Any, Any]]:
        return {name.removeprefix(prefix): array for name, array in names.items() if name.startswith(prefix)}

    def generator(move: Callable[[Any], Any]) -> Network:
        inside = {}
        for scope in ("mapping", "synthesis"):
            moved = {name: move(array) for name, array in part(f"{scope}/").items()}
            inside[scope] = network(scope, moved, {})
        root = {name: array for name, array in names.items() if "/" not in name}
        return network("Gs", root, EasyDict(inside))

    def as_returned(array: np.ndarray[Any, Any]) -> Any:
        return array if array.ndim else array[()]  # TensorFlow returns a number for a variable without axes

    return generator(np.zeros_like), network("D", {}, EasyDict()), generator(as_returned)


def tf_variables(state: Mapping[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """The variables of Gs under `component/name`, in TensorFlow's order of axes."""
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    found = {"lod": np.float32(0) + np.zeros(()), "dlatent_avg": arrays["mapping.w_avg"]}
    found["synthesis/4x4/Const/const"] = arrays["synthesis.b4.const"][None]
    for i in range(mapping_layers_of(state)):
        found[f"mapping/Dense{i}/weight"] = arrays[f"mapping.fc{i}.weight"].T
        found[f"mapping/Dense{i}/bias"] = arrays[f"mapping.fc{i}.bias"]
    for index, conv in enumerate(conv_names(state)):
        block, name = conv.split(".")
        size = f"{block[1:]}x{block[1:]}"
        scope = f"synthesis/{size}/" + (
            "Conv" if block == "b4" else {"conv0": "Conv0_up", "conv1": "Conv1"}[name]
        )
        _tf_layer(found, scope, arrays, f"synthesis.{conv}", mirror=name == "conv0")
        found[f"{scope}/noise_strength"] = arrays[f"synthesis.{conv}.noise_strength"]
        found[f"synthesis/noise{index}"] = arrays[f"synthesis.{conv}.noise_const"][None, None]
        if name == "conv1":
            _tf_layer(found, f"synthesis/{size}/ToRGB", arrays, f"synthesis.{block}.torgb", mirror=False)
    return found


def _tf_layer(found: dict[str, Any], scope: str, arrays: dict[str, Any], name: str, *, mirror: bool) -> None:
    weight = arrays[f"{name}.weight"].transpose(2, 3, 1, 0)
    found[f"{scope}/weight"] = np.ascontiguousarray(weight[::-1, ::-1] if mirror else weight)
    found[f"{scope}/bias"] = arrays[f"{name}.bias"]
    found[f"{scope}/mod_weight"] = arrays[f"{name}.affine.weight"].T
    found[f"{scope}/mod_bias"] = arrays[f"{name}.affine.bias"] - 1


def write_nvidia_tensorflow(
    path: Path, state: Mapping[str, Tensor], *, protocol: int = 4, **options: Any
) -> Path:
    """Write (G, D, Gs); options of `tf_networks`."""
    path.write_bytes(dumped(tf_networks(state, **options), protocol))
    return path
