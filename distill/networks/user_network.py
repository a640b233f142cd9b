"""A network of the user's and the TOML that names it: where it lies, what goes in. N images, C channels, H W px."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.files import check_regular
from distill.networks.input_settings import InputSettings
from distill.networks.onnx_network import OnnxNetwork
from distill.weights.safe_pickle.machine import shown

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow turns colour into grey


def network_beside(path: Path, network: str) -> Path:
    """Return the file of a network: beside its TOML or below, so that somebody's TOML reads nothing else."""
    weights = path.parent / network
    try:
        found = weights.resolve()
        homes = (path.parent.resolve(), path.resolve().parent)
    except (OSError, RuntimeError) as error:  # too long a name, a link to itself
        raise DistillError(f"{path}: network: {shown(network)} cannot be looked up") from error
    if not any(found.is_relative_to(home) for home in homes):
        raise DistillError(
            f"{path}: network: {shown(network)} lies elsewhere; put it beside this file or below"
        )
    try:
        check_regular(weights)
    except OSError as error:
        raise DistillError(f"{path}: network: {weights}: {error.strerror}") from error
    return weights


def as_input(pixels_NHWC: Tensor, settings: InputSettings) -> Tensor:
    """Turn pixels uint8 [N, H, W, 3] (R, G, B) into what the network takes, float32 [N, C, H, W]."""
    x = pixels_NHWC.permute(0, 3, 1, 2).float()
    if settings.channels == "grey":
        x = (x * x.new_tensor(GREY).reshape(3, 1, 1)).sum(dim=1, keepdim=True)
    elif settings.channels == "bgr":
        x = x.flip(1)
    if settings.white == 1:
        x = x / 255
    mean, std = (
        torch.tensor(value, device=x.device).reshape(-1, 1, 1) for value in (settings.mean, settings.std)
    )
    return (x - mean) / std


def fitting_sides(settings: InputSettings, network: nn.Module) -> tuple[int, int]:
    """Return height and width of the input. Raises UnsupportedCheckpoint where file and network do not agree."""
    if not isinstance(network, OnnxNetwork):
        if settings.sides is None:
            raise UnsupportedCheckpoint("input.size: missing; only an ONNX network tells it by itself")
        planes = next((value.shape[1] for value in network.state_dict().values() if value.ndim == 4), 3)
        shape: tuple[int, ...] = (planes, *settings.sides)
    else:
        shape = network.input_shape
    if len(shape) != 3:
        raise UnsupportedCheckpoint(f"input: the network takes {list(shape)}, not channels, height and width")
    if shape[0] != settings.planes:
        raise UnsupportedCheckpoint(
            f"input.channels: the network takes {shape[0]} channels ({list(shape)}), {settings.channels!r} are "
            f"{settings.planes}"
        )
    sides = settings.sides or shape[1:]
    if sides != shape[1:]:
        raise UnsupportedCheckpoint(f"input.size: the network takes {list(shape[1:])}, not {list(sides)}")
    if settings.crop != "whole" and sides[0] != sides[1]:
        raise UnsupportedCheckpoint(
            f"input.crop: {settings.crop!r} is square, the network takes {list(sides)}"
        )
    return sides[0], sides[1]
