"""Batch normalisation over the batch of all processes, on any device (PyTorch's own is for GPUs)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill.training import processes

CHANNELS = (0, 2, 3)  # all axes but the channels


class SharedBatchNorm2d(nn.BatchNorm2d):
    """As `nn.BatchNorm2d`; in training, mean and variance are those of the images of all processes."""

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor) -> Tensor:
        """Normalise x [N, C, H, W]; every process must hold as many images."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        count = values.numel() // values.shape[1] * processes.world_size()
        mean = processes.differentiable_sum(values.sum(dim=CHANNELS)) / count
        centred = values - mean[:, None, None]
        variance = processes.differentiable_sum(centred.square().sum(dim=CHANNELS)) / count
        self._follow(mean.detach(), variance.detach() * (count / max(1, count - 1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        for running, value in ((self.running_mean, mean), (self.running_var, variance)):
            assert running is not None
            assert self.momentum is not None
            running.lerp_(value, self.momentum)


def share_statistics(network: nn.Module) -> None:
    """Let the batch normalisations of a network look at the images of all processes, where there are several."""
    if processes.world_size() == 1:
        return
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                shared = SharedBatchNorm2d(child.num_features, eps=child.eps, momentum=child.momentum)
                shared.load_state_dict(child.state_dict())
                setattr(module, name, shared)
