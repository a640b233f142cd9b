"""The factorisation of style layers gives the eigenvectors of known matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from generator_states import small_state

from distill.directions.sefa import affine_weights, factorise
from distill.errors import DistillError
from distill.stylegan2.load import build_generator
from distill.weights.checkpoint import Checkpoint


def test_known_matrices_give_their_eigenvectors():
    weights = [torch.diag(torch.tensor([1.0, 5.0, 2.0])), torch.tensor([[0.0, 0.0, 4.0]])]
    first, second, third = factorise(weights, 3)  # the sum of A^T A is diag(1, 25, 4 + 16)
    np.testing.assert_allclose([first.eigenvalue, second.eigenvalue, third.eigenvalue], [25, 20, 1])
    np.testing.assert_allclose([first.vector, second.vector, third.vector], np.eye(3)[[1, 2, 0]], atol=1e-12)
    assert first.share == pytest.approx(25 / 46)


def test_the_largest_number_is_positive():
    [only] = factorise([torch.tensor([[-3.0, 1.0]])], 1)
    np.testing.assert_allclose(only.vector, np.array([3, -1]) / np.sqrt(10), atol=1e-12)


def test_more_than_the_width_is_refused_with_both_numbers():
    with pytest.raises(DistillError, match="4 directions: w of this generator has 3 dimensions"):
        factorise([torch.eye(3)], 4)


def test_the_convolutions_of_the_layers_are_taken_as_they_act():
    state = small_state(resolution=8)
    generator = build_generator(Checkpoint(state=state, facts={}, format="safetensors", sha256="0" * 64))
    synthesis = generator.network.synthesis
    every = affine_weights(synthesis, (0, 3))
    names = ["b4.conv1", "b8.conv0", "b8.conv1"]
    assert len(every) == 3
    for weight, name in zip(every, names, strict=True):
        stored = state[f"synthesis.{name}.affine.weight"]
        torch.testing.assert_close(weight, stored / stored.shape[1] ** 0.5)
    assert len(affine_weights(synthesis, (1, 1))) == 1
    with pytest.raises(DistillError, match="only a layer that writes colours"):
        affine_weights(synthesis, (3, 3))
