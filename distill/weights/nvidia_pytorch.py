"""The pickles of NVIDIA's PyTorch releases (stylegan2-ada-pytorch, and the StyleGAN2 networks of stylegan3).

Every module in them is a record: class name, source code as text, attributes. The source is never compiled.
Attributes beat constructor arguments here, as they do in the original program.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from torch import Tensor

from distill.errors import UnsafePickle, UnsupportedCheckpoint
from distill.weights.named_state import refuse_names, with_w_avg
from distill.weights.safe_pickle.machine import shown
from distill.weights.safe_pickle.records import PersistentObject
from distill.weights.state import checked_state, few, layer_facts, positive, read_arrays

MAX_DEPTH, MAX_MODULES = 64, 1_000


def is_nvidia(content: object) -> bool:
    """Tell NVIDIA's pickles from those of tensors alone."""
    inside = content.values() if isinstance(content, dict) else (content,)
    return any(isinstance(value, PersistentObject) for value in inside)


def choose_generator(content: object) -> tuple[PersistentObject, str]:
    """Take `G_ema` out of a snapshot, else `G`, else the object itself. Raises UnsupportedCheckpoint."""
    if isinstance(content, PersistentObject):
        return content, "the object itself"
    if isinstance(content, dict):
        for entry in ("G_ema", "G"):
            if isinstance(content.get(entry), PersistentObject):
                return content[entry], entry
        raise UnsupportedCheckpoint(f"not a StyleGAN2 generator: holds a dict of {few(content) or 'nothing'}")
    raise UnsupportedCheckpoint(f"not a StyleGAN2 generator: holds a {type(content).__name__}")


def convert_nvidia_pytorch(content: object) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Turn the unpickled content into (state, facts). Raises UnsupportedCheckpoint, UnsafePickle."""
    generator, entry = choose_generator(content)
    modules = _modules(generator)
    _refuse_others(generator, modules)
    stored = {
        f"{path}.{name}" if path else name: tensor
        for path, module in modules.items()
        for name, tensor in _own_tensors(module).items()
    }
    refuse_names(stored)
    lr_multiplier = positive("mapping_lr_multiplier", _lr_multiplier(generator, modules))
    public, how = with_w_avg(_with_noise(read_arrays(stored), modules), lr_multiplier=lr_multiplier)
    state = checked_state(public)
    return state, layer_facts(
        state,
        origin="NVIDIA PyTorch pickle",
        entry=entry,
        w_avg=how,
        source_sha256=generator.source_sha256,
        mapping_lr_multiplier=lr_multiplier,
        conv_clamp=_same(modules, r"synthesis\.b\d+\.conv[01]", "conv_clamp", None),
    )


def _modules(root: PersistentObject) -> dict[str, PersistentObject]:
    """List the records by dotted path, the root under ''."""
    found: dict[str, PersistentObject] = {}
    waiting: list[tuple[str, object, int]] = [("", root, 0)]
    while waiting:
        path, module, depth = waiting.pop()
        if module is None:
            continue
        if not isinstance(module, PersistentObject):
            raise UnsupportedCheckpoint(f"not a StyleGAN2 generator: {shown(path)} is {shown(module)}")
        if depth > MAX_DEPTH or len(found) >= MAX_MODULES:
            raise UnsafePickle(f"modules nested deeper than {MAX_DEPTH} or more than {MAX_MODULES:,}")
        found[path] = module
        for name, child in _named(module, "_modules").items():
            waiting.append((f"{path}.{name}" if path else name, child, depth + 1))
    return found


def _named(module: PersistentObject, attribute: str) -> dict[str, Any]:
    entries = module.state.get(attribute, {})
    if not isinstance(entries, dict) or not all(
        isinstance(name, str) and len(name) < 100 for name in entries
    ):
        raise UnsupportedCheckpoint(
            f"not a StyleGAN2 generator: {attribute} of {shown(module.class_name)} is not a dict"
        )
    if len(entries) > MAX_MODULES:
        raise UnsafePickle(f"{len(entries):,} entries in {attribute} of {shown(module.class_name)}")
    return entries


def _own_tensors(module: PersistentObject) -> dict[str, Any]:
    both = {**_named(module, "_parameters"), **_named(module, "_buffers")}
    return {name: tensor for name, tensor in both.items() if tensor is not None}


# ---- refusals


def _refuse_others(generator: PersistentObject, modules: dict[str, PersistentObject]) -> None:
    if generator.class_name != "Generator":
        raise UnsupportedCheckpoint(f"not a StyleGAN2 generator: holds a {shown(generator.class_name)}")
    if "mapping" not in modules or "synthesis" not in modules:
        raise UnsupportedCheckpoint(
            f"not a StyleGAN2 generator: holds modules {few(_named(generator, '_modules')) or 'none'}"
        )
    if any(re.fullmatch(r"synthesis\.(input|L\d+_.*)", path) for path in modules):
        raise UnsupportedCheckpoint(
            "a StyleGAN3 generator (alias-free synthesis layers); only StyleGAN2 is read"
        )
    labels = generator.state.get("c_dim", 0)
    if labels != 0 or "mapping.embed" in modules:
        raise UnsupportedCheckpoint(
            f"a class-conditional generator (c_dim {shown(labels)}); only c_dim 0 is read"
        )
    _refuse_architecture(modules)
    _refuse_activation(modules)


def _refuse_architecture(modules: dict[str, PersistentObject]) -> None:
    architecture = _same(modules, r"synthesis\.b\d+", "architecture", "skip")
    if architecture != "skip":
        raise UnsupportedCheckpoint(
            f"a generator of architecture {shown(architecture)!r}; only 'skip' is read"
        )


def _refuse_activation(modules: dict[str, PersistentObject]) -> None:
    activation = _same(modules, r"mapping\.fc\d+|synthesis\.b\d+\.conv[01]", "activation", "lrelu")
    if activation != "lrelu":
        raise UnsupportedCheckpoint(
            f"a generator with activation {shown(activation)!r}; only 'lrelu' is read"
        )


def _same(modules: dict[str, PersistentObject], pattern: str, attribute: str, default: object) -> Any:
    """Read an attribute that must be equal in every module whose path matches."""
    values = [
        module.state.get(attribute, default)
        for path, module in modules.items()
        if re.fullmatch(pattern, path)
    ]
    plain = [value for value in values if value is None or isinstance(value, (str, int, float))]
    if len(plain) < len(values) or len(set(plain)) > 1:
        raise UnsupportedCheckpoint(
            f"a generator whose layers differ in {attribute}: {few(dict.fromkeys(map(shown, values)))}"
        )
    return plain[0] if plain else default


# ---- facts


def _with_noise(arrays: dict[str, Any], modules: dict[str, PersistentObject]) -> dict[str, Any]:
    """Add zero noise where a network was built without noise inputs."""
    for path, module in modules.items():
        match = re.fullmatch(r"synthesis\.b(\d{1,4})\.conv[01]", path)
        if match and module.state.get("use_noise") is False:
            arrays.setdefault(f"{path}.noise_strength", np.zeros((), np.float32))
            arrays.setdefault(f"{path}.noise_const", np.zeros((int(match[1]),) * 2, np.float32))
    return arrays


def _lr_multiplier(generator: PersistentObject, modules: dict[str, PersistentObject]) -> object:
    """Read the mapping's learning-rate multiplier: from its layers' gains, else from the arguments."""
    gain = _same(modules, r"mapping\.fc\d+", "bias_gain", None)
    if gain is None:
        first = modules.get("mapping.fc0")
        scaled, inputs = (
            (first.state.get(name) for name in ("weight_gain", "in_features")) if first else (None, None)
        )
        if isinstance(scaled, float) and isinstance(inputs, int) and inputs > 0:
            gain = round(scaled * math.sqrt(inputs), 9)
    if gain is None:
        kwargs = generator.state.get("_init_kwargs")
        mapping = kwargs.get("mapping_kwargs") if isinstance(kwargs, dict) else None
        gain = mapping.get("lr_multiplier", 0.01) if isinstance(mapping, dict) else 0.01
    return gain
