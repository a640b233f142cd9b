"""Several processes that train one network: who am I, and how gradients and sums become common.

Every process holds the same weights, sees its own part of each batch and averages gradients with the others.
Started by torchrun; a process that was started alone is a group of one, and nothing is sent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from distill.errors import DistillError
from distill.progress import plural


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the processes that torchrun started; yield this process's device ("cuda:1", or `device` alone).

    Raises DistillError where more processes than GPUs were started on this machine.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    local, here = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if device.startswith("cuda"):
        check_gpus(here)
        device = f"cuda:{local}"
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def check_gpus(wanted: int) -> None:
    """Raise DistillError for more GPUs than there are."""
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not there:
        raise DistillError(
            f"{plural(wanted, 'GPU')} asked for, and no usable CUDA GPU here: leave --gpus out"
        )
    if wanted > there:
        raise DistillError(f"{wanted} GPUs asked for, {there} usable here: ask for at most {there}")


def check_batch(batch: int) -> None:
    """Raise DistillError for a batch that the processes cannot share equally."""
    if batch % world_size():
        raise DistillError(f"batch {batch} cannot be split over {world_size()} processes: choose a multiple")


def check_norm(norm: str, device: str, *, advice: str = "take --norm instance, or one process") -> None:
    """Refuse batch normalisation over several processes on CPUs, where PyTorch cannot share its statistics."""
    if norm == "batch" and world_size() > 1 and not device.startswith("cuda"):
        raise DistillError(f"batch normalisation over several processes needs GPUs: {advice}")


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace each gradient by its mean over all processes, in one message."""
    if world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.reshape(gradient.shape))


def average_buffers(network: nn.Module) -> None:
    """Replace the numbers that a network keeps beside its parameters by their mean over all processes."""
    buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    if world_size() == 1 or not buffers:
        return
    flat = torch.cat([buffer.reshape(-1) for buffer in buffers])
    dist.all_reduce(flat)
    flat /= world_size()
    for buffer, part in zip(buffers, torch.split(flat, [b.numel() for b in buffers]), strict=True):
        buffer.copy_(part.reshape(buffer.shape))


def sum_over_processes(values: Tensor) -> Tensor:
    """Return the sum of a small tensor over all processes."""
    if world_size() == 1:
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total


def average_losses(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return each loss as its mean over all processes, so that a line of stats speaks of the whole batch."""
    values = torch.stack([value.detach() for value in found.values()])
    return dict(zip(found, (sum_over_processes(values) / world_size()).unbind(), strict=True))


def gather(values_BX: Tensor) -> Tensor:
    """Return the rows of all processes [N, ...] one after the other, the same in each."""
    if world_size() == 1:
        return values_BX
    parts = [torch.empty_like(values_BX) for _ in range(world_size())]
    dist.all_gather(parts, values_BX.contiguous())
    return torch.cat(parts)


def wait_for_all() -> None:
    if world_size() > 1:
        dist.barrier()
