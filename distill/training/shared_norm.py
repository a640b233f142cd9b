"""Batch normalisation over the batch of all processes, also on CPUs, where PyTorch has none.

N samples of this process, C channels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from distill.training import processes


def share_statistics(network: nn.Module, device: torch.device) -> nn.Module:
    """Let batch normalisation see the samples of all processes; names of tensors stay."""
    if processes.world_size() == 1:
        return network
    if device.type == "cuda":
        shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return shared
    for parent in list(network.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, SharedBatchNorm(norm))
    return network


class SharedBatchNorm(nn.Module):
    """A layer of batch normalisation, with its tensors, whose statistics are those of all processes."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)
        self.eps, self.momentum = norm.eps, norm.momentum or 0.1

    def forward(self, x_NC: Tensor) -> Tensor:
        """Normalise [N, C, ...]: in training by the mean and variance over all N of all processes."""
        if not self.training:
            return F.batch_norm(
                x_NC, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        axes, shape = [0, *range(2, x_NC.ndim)], [1, -1, *[1] * (x_NC.ndim - 2)]
        count = x_NC.numel() // x_NC.shape[1] * processes.world_size()
        mean = _sum(x_NC.sum(dim=axes)) / count
        centred = x_NC - mean.view(shape)
        variance = _sum(centred.square().sum(dim=axes)) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale.view(shape) + self.bias.view(shape)


class _SumOverProcesses(torch.autograd.Function):
    """The sum over all processes; each has a share in the losses of all, so gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return processes.sum_over_processes(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum(values: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(values)  # type: ignore[no-untyped-call]
    return total
