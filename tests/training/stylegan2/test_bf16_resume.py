"""A run in bfloat16 that is stopped and resumed ends with the same bits as one that is not."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.progress import Progress
from distill.training.checkpoint import load_checkpoint
from distill.training.loop import Run, train
from distill.training.position import RunPosition
from distill.training.resume import open_run
from distill.training.settings import changed
from distill.training.stylegan2.settings import PRESETS, StyleGAN2Settings
from distill.training.stylegan2.step import StyleGAN2Step

RESOLUTION, BATCH, HALF_WAY, END = 8, 8, 40, 80  # five updates and five more
# R1 and path length fall into both halves; p moves and images are changed.
EAGER = changed(
    PRESETS["tiny"],
    {"batch": BATCH, "r1_every": 2, "path_every": 3, "ada_target": 0.1, "ada_p": 0.5, "ada_kimg": 0.4},
)
PLAIN, FULL = changed(EAGER, {"noise": False}), changed(EAGER, {"noise": True, "path_weight": 2.0})


def go(
    folder: Path, preset: StyleGAN2Settings, samples: int, half: torch.dtype = torch.bfloat16
) -> dict[str, Any]:
    """Train up to `samples` images in a folder, from its checkpoint on; return what the run saved."""
    step = StyleGAN2Step(preset, RESOLUTION, seed=3, half=half)
    run = Run(
        folder=folder,
        step=step,
        draw=lambda place: images(place),
        batch=BATCH,
        samples=samples,
        settings=preset.shared(),
        seed=3,
        save=samples,
    )
    place, note = open_run(run, resume=True)
    assert not note
    with Progress(samples, done=place.samples, stream=io.StringIO()) as progress:
        assert train(run, place, stop=threading.Event(), progress=progress).samples == samples
    found = load_checkpoint(folder)
    assert found is not None
    return found[0]


def images(place: RunPosition) -> Tensor:
    return torch.rand(BATCH, 3, RESOLUTION, RESOLUTION, generator=place.generator("images")) * 2 - 1


def leaves(state: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Every tensor and plain value of a state with its place in it."""
    if isinstance(state, (dict, list, tuple)):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in items:
            yield from leaves(value, f"{at}/{key}")
    else:
        yield at, state


def bits(value: Any) -> bytes | str:
    return value.contiguous().numpy().tobytes() if isinstance(value, Tensor) else repr(value)


@pytest.mark.parametrize("preset", [PLAIN, FULL], ids=["frozen noise", "noise and path length"])
def test_two_halves_give_the_bits_of_the_whole(tmp_path: Path, preset: StyleGAN2Settings) -> None:
    whole = go(tmp_path / "whole", preset, END)
    go(tmp_path / "halves", preset, HALF_WAY)
    halves = go(tmp_path / "halves", preset, END)
    assert whole["position"]["updates"] == END // BATCH
    assert 0 < whole["step"]["ada"]["p"] != EAGER.ada_p
    a, b = dict(leaves(whole)), dict(leaves(halves))
    assert a.keys() == b.keys()
    assert [at for at in a if bits(a[at]) != bits(b[at])] == []


def test_it_was_bfloat16_that_was_computed(tmp_path: Path) -> None:
    """The weights stay float32, and go another way than in float32."""
    half = go(tmp_path / "half", PLAIN, HALF_WAY)["step"]["generator"]
    full = go(tmp_path / "full", PLAIN, HALF_WAY, half=torch.float32)["step"]["generator"]
    name = "synthesis.b8.conv1.weight"
    assert {tensor.dtype for tensor in half.values()} == {torch.float32}
    assert not torch.equal(half[name], full[name])
    assert torch.allclose(half[name], full[name], atol=0.1)
