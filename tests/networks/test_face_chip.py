"""The network that reads a number off a face chip: what it sees, and what it does not."""

from __future__ import annotations

import torch

from distill.networks.face_chip import SIDE, FaceChipNetwork


def random_network(numbers: int) -> FaceChipNetwork:
    torch.manual_seed(3)
    return FaceChipNetwork(numbers).eval().requires_grad_(False)


def test_neither_exposure_nor_contrast_nor_tint_count() -> None:
    grey = torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 200
    network, faces = random_network(2), grey.expand(2, 3, SIDE, SIDE)
    found = network(faces)
    assert found.shape == (2, 2)
    assert (network(faces * 0.5 + 60) - found).abs().max() < 0.02
    tinted = faces + torch.tensor([30.0, -10.0, 20.0]).reshape(3, 1, 1)
    assert (network(tinted) - found).abs().max() < 1e-4
    assert (found[0] - found[1]).abs().max() > 0.02


def test_a_chip_of_one_colour_gives_finite_numbers() -> None:
    assert torch.isfinite(random_network(1)(torch.full((1, 3, SIDE, SIDE), 90.0))).all()
