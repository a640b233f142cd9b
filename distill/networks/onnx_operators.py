"""The ONNX operators that image classifiers use, in torch. What is not in the table at the end is refused by name.

Each maker reads a node's attributes once, when the network is built, and returns the function that computes it.
Attributes that a maker does not read are refused, so that nothing is computed otherwise than the file says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.errors import UnsupportedCheckpoint
from distill.networks.onnx_graph import Array, Node

Compute = Callable[..., Tensor]  # inputs in order, None for an optional one left out


class Settings:
    """A node's attributes, and those of its inputs that are constants and settle how it computes."""

    def __init__(self, node: Node, constants: Mapping[str, Array]) -> None:
        self.node, self.constants = node, constants
        self.unread = set(node.attributes)

    def whole(self, name: str, default: int) -> int:
        return int(self._get(name, default, int))

    def number(self, name: str, default: float) -> float:
        return float(self._get(name, default, float))

    def sizes(self, name: str, count: int, default: int, *, least: int) -> list[int]:
        """Return `count` whole numbers of at least `least`."""
        values = self._get(name, [default] * count, list)
        if len(values) != count or not all(least <= value < 2**16 for value in values):
            raise self.refusal(f"{name} {values}")
        return [int(value) for value in values]

    def only(self, name: str, *allowed: int | str) -> None:
        """Refuse any other value than those; the first is the default."""
        value = self._get(name, allowed[0], type(allowed[0]))
        if value not in allowed:
            raise self.refusal(f"{name} {value!r}")

    def ignore(self, *names: str) -> None:
        """Pass over attributes of no effect here."""
        self.unread -= set(names)

    def given(self, index: int) -> bool:
        return index < len(self.node.inputs) and self.node.inputs[index] != ""

    def fixed(self, index: int, what: str) -> list[Any]:
        """Return the values of an input that has to be a constant."""
        name = self.node.inputs[index] if self.given(index) else ""
        if name not in self.constants:
            raise self.refusal(f"{what} that are computed or missing")
        return list(self.constants[name].ravel().tolist())

    def scalar(self, index: int, what: str) -> float | None:
        """Return the one value of an optional input that has to be a constant; None where it is left out."""
        if not self.given(index):
            return None
        values = self.fixed(index, what)
        if len(values) != 1:
            raise self.refusal(f"{len(values)} {what}")
        return float(values[0])

    def finish(self) -> None:
        if self.unread:
            raise self.refusal(f"attribute {min(self.unread)!r}")

    def refusal(self, what: str) -> UnsupportedCheckpoint:
        return UnsupportedCheckpoint(f"{self.node.label}: {what} is not supported")

    def _get(self, name: str, default: Any, kind: type) -> Any:
        self.unread.discard(name)
        value = self.node.attributes.get(name, default)
        if not isinstance(value, kind):
            raise self.refusal(f"{name} of type {type(value).__name__}")
        return value


def _window(settings: Settings, kernel: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Return strides, dilations (height, width) and padding (left, right, top, bottom, as F.pad has it)."""
    settings.only("auto_pad", "NOTSET", "VALID")
    if settings.sizes("kernel_shape", 2, 0, least=0) not in ([0, 0], list(kernel)):
        raise settings.refusal(f"a kernel_shape other than its weights' {list(kernel)}")
    top, left, bottom, right = settings.sizes("pads", 4, 0, least=0)
    strides, dilations = settings.sizes("strides", 2, 1, least=1), settings.sizes("dilations", 2, 1, least=1)
    return strides, dilations, [left, right, top, bottom]


def _padded(images: Tensor, padding: Sequence[int], value: float = 0.0) -> Tensor:
    return F.pad(images, list(padding), value=value) if any(padding) else images


def _conv(settings: Settings) -> Compute:
    name = settings.node.inputs[1] if settings.given(1) else ""
    shape = settings.constants[name].shape if name in settings.constants else ()
    if len(shape) != 4:
        raise settings.refusal(f"a weight of shape {list(shape)}")
    strides, dilations, padding = _window(settings, shape[2:])
    groups = settings.whole("group", 1)
    if groups < 1:
        raise settings.refusal(f"group {groups}")

    def conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(_padded(x, padding), weight, bias, stride=strides, dilation=dilations, groups=groups)

    return conv


def _pool_kernel(settings: Settings) -> list[int]:
    settings.only("ceil_mode", 0)
    return settings.sizes("kernel_shape", 2, 0, least=1)


def _max_pool(settings: Settings) -> Compute:
    kernel = _pool_kernel(settings)
    settings.only("storage_order", 0)
    strides, dilations, padding = _window(settings, kernel)

    def max_pool(x: Tensor) -> Tensor:
        return F.max_pool2d(_padded(x, padding, float("-inf")), kernel, strides, dilation=dilations)

    return max_pool


def _average_pool(settings: Settings) -> Compute:
    kernel = _pool_kernel(settings)
    strides, dilations, padding = _window(settings, kernel)
    count_padding = settings.whole("count_include_pad", 0) != 0
    if dilations != [1, 1]:
        raise settings.refusal(f"dilations {dilations}")

    def average_pool(x: Tensor) -> Tensor:
        mean = F.avg_pool2d(_padded(x, padding), kernel, strides)
        if count_padding or not any(padding):
            return mean
        inside = _padded(torch.ones_like(x[:1, :1]), padding)
        return mean / F.avg_pool2d(inside, kernel, strides)

    return average_pool


def _pad(settings: Settings) -> Compute:
    settings.only("mode", "constant")
    pads = [int(value) for value in settings.fixed(1, "pads")]
    value = settings.scalar(2, "values") or 0.0
    axes = settings.fixed(3, "axes") if settings.given(3) else list(range(len(pads) // 2))
    if len(pads) != 2 * len(axes) or not all(abs(pad) < 2**16 for pad in pads):
        raise settings.refusal(f"pads {pads} of {len(axes)} axes")

    def pad(x: Tensor) -> Tensor:
        amounts = [[0, 0] for _ in range(x.ndim)]
        for place, axis in enumerate(axes):
            amounts[axis] = [pads[place], pads[place + len(axes)]]
        return F.pad(x, [amount for pair in reversed(amounts) for amount in pair], value=value)

    return pad


def _gemm(settings: Settings) -> Compute:
    alpha, beta = settings.number("alpha", 1.0), settings.number("beta", 1.0)
    turn_a, turn_b = settings.whole("transA", 0) != 0, settings.whole("transB", 0) != 0

    def gemm(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        product = (a.mT if turn_a else a) @ (b.mT if turn_b else b)
        product = product if alpha == 1 else alpha * product
        return product if c is None else product + (c if beta == 1 else beta * c)

    return gemm


def _batch_normalization(settings: Settings) -> Compute:
    epsilon = settings.number("epsilon", 1e-5)
    settings.only("training_mode", 0)
    settings.ignore("momentum")

    def normalise(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return F.batch_norm(x, mean, variance, scale, bias, training=False, eps=epsilon)

    return normalise


def _flatten(settings: Settings) -> Compute:
    axis = settings.whole("axis", 1)
    if axis != 1:
        raise settings.refusal(f"axis {axis}")
    return lambda x: x.flatten(1)


def _reshape(settings: Settings) -> Compute:
    settings.only("allowzero", 0)
    shape = [int(size) for size in settings.fixed(1, "sizes")]

    def reshape(x: Tensor) -> Tensor:
        return x.reshape([x.shape[place] if size == 0 else size for place, size in enumerate(shape)])

    return reshape


def _softmax(settings: Settings) -> Compute:
    axis = settings.whole("axis", -1)

    def softmax(x: Tensor) -> Tensor:
        if not -x.ndim <= axis < x.ndim:  # unchecked on the device without numbers
            raise IndexError(f"axis {axis} of a value of {x.ndim} axes")
        return torch.softmax(x, dim=axis)

    return softmax


def _concat(settings: Settings) -> Compute:
    axis = settings.whole("axis", 1)
    return lambda *tensors: torch.cat(tensors, dim=axis)


def _clip(settings: Settings) -> Compute:
    low, high = settings.scalar(1, "bounds"), settings.scalar(2, "bounds")
    return lambda x: x if low is None and high is None else torch.clamp(x, low, high)


def _leaky_relu(settings: Settings) -> Compute:
    slope = settings.number("alpha", 0.01)
    return lambda x: F.leaky_relu(x, slope)


def _plain(function: Compute) -> Callable[[Settings], Compute]:
    """An operator without attributes."""
    return lambda settings: function


# Operator: (its maker, its least and most inputs)
OPERATORS: dict[str, tuple[Callable[[Settings], Compute], int, int]] = {
    "Add": (_plain(torch.add), 2, 2),
    "AveragePool": (_average_pool, 1, 1),
    "BatchNormalization": (_batch_normalization, 5, 5),
    "Clip": (_clip, 1, 3),
    "Concat": (_concat, 1, 1000),
    "Conv": (_conv, 2, 3),
    "Div": (_plain(torch.div), 2, 2),
    "Flatten": (_flatten, 1, 1),
    "Gemm": (_gemm, 2, 3),
    "GlobalAveragePool": (_plain(lambda x: x.mean(dim=(2, 3), keepdim=True)), 1, 1),
    "Identity": (_plain(lambda x: x), 1, 1),
    "LeakyRelu": (_leaky_relu, 1, 1),
    "MatMul": (_plain(torch.matmul), 2, 2),
    "MaxPool": (_max_pool, 1, 1),
    "Mul": (_plain(torch.mul), 2, 2),
    "Pad": (_pad, 2, 4),
    "Relu": (_plain(F.relu), 1, 1),
    "Reshape": (_reshape, 2, 2),
    "Sigmoid": (_plain(torch.sigmoid), 1, 1),
    "Softmax": (_softmax, 1, 1),
    "Sub": (_plain(torch.sub), 2, 2),
    "Tanh": (_plain(torch.tanh), 1, 1),
}
SETTLED = {"Clip": (1, 2), "Pad": (1, 2, 3), "Reshape": (1,)}  # inputs read when the network is built


def make_operator(node: Node, constants: Mapping[str, Array]) -> Compute:
    """Return what computes a node. Raises UnsupportedCheckpoint naming the operator and what is unknown of it."""
    if node.operator not in OPERATORS:
        raise UnsupportedCheckpoint(
            f"operator {node.operator} is not supported; known are {', '.join(OPERATORS)}"
        )
    maker, least, most = OPERATORS[node.operator]
    required = node.inputs[:least]
    if not least <= len(node.inputs) <= most or "" in required:
        raise UnsupportedCheckpoint(
            f"{node.label} has {len(node.inputs)} inputs; {least} to {most} are needed"
        )
    settings = Settings(node, constants)
    compute = maker(settings)
    settings.finish()
    return compute
