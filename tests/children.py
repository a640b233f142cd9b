"""Children of a generator, as fine-tuning leaves them: the mapping of the parent, other synthesis weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from distill.weights.checkpoint import read_checkpoint, save_safetensors


def make_child(parent: Path, path: Path, *, moved: float = 0.2, mapping: float = 0.0) -> Path:
    """Write a child whose weights lie `moved` deviations off; `mapping` is added to a bias of the mapping."""
    checkpoint = read_checkpoint(parent)
    random = torch.Generator().manual_seed(7)
    state = {
        name: tensor + moved * tensor.float().std() * torch.randn(tensor.shape, generator=random)
        if name.startswith("synthesis.") and name.endswith(".weight")
        else tensor
        for name, tensor in checkpoint.state.items()
    }
    state["mapping.fc0.bias"] = state["mapping.fc0.bias"] + mapping
    save_safetensors(path, replace(checkpoint, state=state))
    return path
