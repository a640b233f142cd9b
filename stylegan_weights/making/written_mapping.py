"""A mapping network whose weights are written instead of learned: it reads the labels that z spells.

Every value of a label lights numbers of w of its own, so that w says plainly what a picture shows, and the synthesis
network need not learn it from a w in which all is mixed. Later training may move these weights as any others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from distill.stylegan2.networks import ACT_GAIN, SLOPE, EqualizedLinear, MappingNetwork
from stylegan_weights.making.label_codes import LabelCodes

RAMP = 0.03  # of a number of z, over which one value goes over into the next


@torch.no_grad()
def write_mapping(mapping: MappingNetwork, codes: LabelCodes) -> None:
    """Set all weights. w has a root mean square of 1. Raises ValueError for a mapping of fewer than two layers.

    First layer: two units a border, whose difference rises from 0.2 to 1 within RAMP (leaky ReLU). Second:
    differences of those are 1 for the value that is spelled and 0 for the others. The layers after it pass that on;
    the last repeats it over all of w.
    """
    layers = [module for module in mapping.modules() if isinstance(module, EqualizedLinear)]
    if len(layers) < 2:
        raise ValueError("a mapping of one layer cannot read labels")
    for layer in layers:
        layer.weight.zero_()
        layer.bias.zero_()
    _write_ramps(layers[0], codes)
    _write_values(layers[1], codes)
    count = sum(codes.sizes)
    for layer in layers[2:-1]:
        for value in range(count):
            _add(layer, value, value, 1 / ACT_GAIN)
    _repeat(layers, count, math.sqrt(count / len(codes.sizes)))


def _write_ramps(layer: EqualizedLinear, codes: LabelCodes) -> None:
    unit = 0
    for place, edges in enumerate(codes.edges):
        for edge in edges[1:-1].tolist():
            for side in (0.5, -0.5):
                _add(layer, unit, place, 1 / RAMP)
                _shift(layer, unit, side - edge / RAMP)
                unit += 1


def _write_values(layer: EqualizedLinear, codes: LabelCodes) -> None:
    """Value k is above border k - 1 and not above border k: one step minus the next."""
    rise, foot = ACT_GAIN * (1 - SLOPE), SLOPE / (1 - SLOPE)  # of the difference of two units
    value = border = 0
    for size in codes.sizes:
        for k in range(size):
            steps = [(border + k - 1, 1)] if k else []
            steps += [(border + k, -1)] if k < size - 1 else []
            for step, sign in steps:
                _add(layer, value, 2 * step, sign / rise)
                _add(layer, value, 2 * step + 1, -sign / rise)
                _shift(layer, value, -sign * foot)
            _shift(layer, value, 0.0 if k else 1.0)
            value += 1
        border += size - 1


def _repeat(layers: Sequence[EqualizedLinear], count: int, height: float) -> None:
    """Let the last layer give number d of w what value d modulo V has."""
    last = layers[-1]
    places = torch.arange(last.weight.shape[0], device=last.weight.device) % count
    if len(layers) == 2:
        for tensor in (last.weight, last.bias):
            tensor.copy_(tensor[places] * (height / ACT_GAIN))
        return
    last.weight[torch.arange(len(places)), places] = height / ACT_GAIN**2 / last.weight_gain


def _add(layer: EqualizedLinear, row: int, column: int, weight: float) -> None:
    """Add to a weight as it acts, behind the gain of the equalised learning rate."""
    layer.weight[row, column] += weight / layer.weight_gain


def _shift(layer: EqualizedLinear, row: int, bias: float) -> None:
    layer.bias[row] += bias / layer.bias_gain
