"""States under NVIDIA's own names, in whatever file: `torch.save(G.state_dict())`, a pickle of it, safetensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from distill.errors import UnsupportedCheckpoint
from distill.weights.state import (
    RESOLUTIONS,
    State,
    checked_layers,
    checked_state,
    layer_facts,
    layer_names,
    read_arrays,
    sizes_of,
    standard_filter,
)
from distill.weights.state_dicts import FoundState
from distill.weights.w_avg import ESTIMATED, w_avg_of

MARK = "synthesis.b4.const"  # a tensor that every such network has


def convert_named(found: FoundState) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Turn tensors under the public names into (state, facts). Raises UnsupportedCheckpoint, UnsafePickle."""
    refuse_names(found.tensors)
    public, how = with_w_avg(read_arrays(found.tensors))
    state = checked_state(with_filters(public))
    return state, layer_facts(state, origin="state dict of NVIDIA's names", entry=found.entry, w_avg=how)


def refuse_names(names: Iterable[str]) -> None:
    """Raise UnsupportedCheckpoint for networks of another kind, by the names of their tensors."""
    names = list(names)
    if any(".skip." in name for name in names):
        raise UnsupportedCheckpoint("a generator of architecture 'resnet'; only 'skip' is read")
    if any(name.startswith("mapping.embed.") for name in names):
        raise UnsupportedCheckpoint("a class-conditional generator; only c_dim 0 is read")
    checked_layers(sum(re.fullmatch(r"mapping\.fc\d+\.weight", name) is not None for name in names))


def with_w_avg(public: State, *, lr_multiplier: float = 0.01) -> tuple[State, str]:
    """Add the mean of w to a network that was built without one; return where it is from."""
    if "mapping.w_avg" in public:
        return public, "stored"
    _, layers = sizes_of(public)
    if any(f"mapping.fc{i}.{part}" not in public for i in range(layers) for part in ("weight", "bias")):
        return public, "stored"  # what is missing is reported with all other names
    return {**public, "mapping.w_avg": w_avg_of(public, layers, lr_multiplier=lr_multiplier)}, ESTIMATED


def with_filters(public: Mapping[str, Any]) -> dict[str, Any]:
    """Add the standard filters to a state that has none: parameters alone, as averages of them are saved."""
    if any(name.endswith(".resample_filter") for name in public):
        return dict(public)
    resolution, _ = sizes_of(public)
    places = [*(f"b{size}" for size in RESOLUTIONS if size <= resolution), *layer_names(resolution)]
    return {**public, **{f"synthesis.{place}.resample_filter": standard_filter() for place in places}}
