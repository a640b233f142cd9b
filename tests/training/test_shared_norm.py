"""Batch normalisation over two processes is that of one batch: outputs, gradients, running means."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from distill.training import processes
from distill.training.shared_norm import share_statistics


def a_network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)]
        network = nn.Sequential(*layers, nn.BatchNorm1d(4))
        for norm in (network[1], network[5]):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
    return network


def images() -> Tensor:
    return torch.randn(6, 2, 6, 6, generator=torch.Generator().manual_seed(1)) * 3 + 5


def learn(network: nn.Module, x: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Gradients after two passes, averaged over all processes, and the state."""
    for _ in range(2):
        y = network(x)
    loss = (y * weights).square().mean()
    loss.backward()
    processes.average_gradients(list(network.parameters()))
    found = {f"grad.{name}": p.grad for name, p in network.named_parameters()}
    return {**found, **network.state_dict(), "y": processes.gather(y.detach())}  # type: ignore[dict-item]


def weights() -> Tensor:
    return torch.rand(6, 4, generator=torch.Generator().manual_seed(2))


def one_of_two(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    network = share_statistics(a_network(), torch.device("cpu"))
    own = slice(3 * rank, 3 * rank + 3)
    found = learn(network, images()[own], weights()[own])
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.cluster
def test_two_processes_normalise_as_one(tmp_path: Path) -> None:
    wanted = learn(a_network(), images(), weights())
    mp.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found.keys() == wanted.keys()
        for name, tensor in wanted.items():
            torch.testing.assert_close(found[name], tensor, atol=2e-5, rtol=2e-4, msg=name)


def test_one_process_keeps_the_layers_of_pytorch() -> None:
    network = a_network()
    before = copy.deepcopy(network.state_dict())
    assert share_statistics(network, torch.device("cpu")) is network
    assert isinstance(network[1], nn.BatchNorm2d)  # type: ignore[index]
    assert before.keys() == network.state_dict().keys()
