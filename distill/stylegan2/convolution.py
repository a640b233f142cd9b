"""A convolution whose gradient can be differentiated again at the price of ordinary convolutions.

PyTorch's own second derivative of a convolution convolves with kernels as large as the image, some ten times
slower on a CPU. Here the gradient with respect to the input is written as a transposed convolution, of which
PyTorch knows a fast first derivative.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_twice: ContextVar[bool] = ContextVar("twice", default=False)


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Build convolutions within so that a gradient of a gradient is cheap."""
    token = _twice.set(True)
    try:
        yield
    finally:
        _twice.reset(token)


def image_gradient(value: Tensor, images: Tensor) -> Tensor:
    """Differentiate a sum with respect to images, in a way that can be differentiated again.

    Gradients of weights are not computed on the way.
    """
    _pass_by.weights = False
    try:
        (gradient,) = torch.autograd.grad(value, images, create_graph=True)
    finally:
        _pass_by.weights = True
    return gradient


class _PassBy:
    """Read by `_Convolution.backward`, which may run on a thread of autograd's: no context variable reaches it."""

    weights = True


_pass_by = _PassBy()


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> Tensor:
    """`torch.nn.functional.conv2d`."""
    if not _twice.get():
        return F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups)
    y: Tensor = _Convolution.apply(x, weight, stride, padding, groups)  # type: ignore[no-untyped-call]
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int, groups: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding, ctx.groups = stride, padding, groups
        return F.conv2d(x, weight, stride=stride, padding=padding, groups=groups)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, groups, kernel = ctx.stride, ctx.padding, ctx.groups, weight.shape[-1]
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            short = x.shape[-1] - ((grad.shape[-1] - 1) * stride - 2 * padding + kernel)
            to_x = F.conv_transpose2d(
                grad, weight, stride=stride, padding=padding, output_padding=short, groups=groups
            )
        if ctx.needs_input_grad[1] and _pass_by.weights:
            _, to_weight, _ = torch.ops.aten.convolution_backward(
                *(grad, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups),
                [False, True, False],
            )
        return to_x, to_weight, None, None, None
