"""Faults of the machine become one line with what to do; faults of the program stay what they are."""

from __future__ import annotations

import pytest
import torch
import torch._dynamo.exc

from distill.errors import DistillError
from distill.training.advice import advice
from distill.training.pix2pix.settings import PRESETS, less_memory
from distill.training.settings import changed


@pytest.mark.parametrize(
    ("batch", "accumulate", "words"),
    [
        (8, 1, "with 8 images at once: .*, with instance normalisation --set accumulate=2 too"),
        (9, 3, "with 3 images at once: .*, with instance normalisation --set accumulate=9 too"),
        (4, 4, "with 1 image at once: --set lean=true gives the same result in less memory; then"),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_no_memory_names_the_next_step(batch: int, accumulate: int, words: str, error: Exception) -> None:
    settings = changed(PRESETS["seed"], {"batch": batch, "accumulate": accumulate})
    with (
        pytest.raises(DistillError, match=f"out of memory {words}"),
        advice(less_memory(settings), compiled=False),
    ):
        raise error


def test_a_compiler_that_fails_is_left_out_only_where_one_was_asked_for() -> None:
    broken = torch._dynamo.exc.TorchDynamoException("no C++\ncompiler")
    line = r"torch\.compile failed: no C\+\+ compiler; leave --compile out"
    with pytest.raises(DistillError, match=line), advice("", compiled=True):
        raise broken
    with pytest.raises(torch._dynamo.exc.TorchDynamoException), advice("", compiled=False):
        raise broken


def test_other_faults_pass_through() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), advice("", compiled=True):
        raise RuntimeError("shapes differ")
