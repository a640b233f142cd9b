"""Every format that is read gives back the tensors that were written, bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import (
    State,
    golden_state,
    write_nvidia_pytorch,
    write_nvidia_tensorflow,
    write_rosinality,
)

from distill.weights.checkpoint import Checkpoint, file_sha256, read_checkpoint, save_safetensors

Write = Callable[..., Path]


@pytest.fixture(params=["stylegan2_tiny32", "stylegan2_tiny64"])
def state(request: pytest.FixtureRequest) -> State:
    return golden_state(request.param)


def assert_same(found: Checkpoint, state: State) -> None:
    assert found.state.keys() == state.keys()
    for name, tensor in state.items():
        assert found.state[name].dtype == torch.float32
        assert found.state[name].is_contiguous()
        assert torch.equal(found.state[name], tensor), name


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("bare", [False, True])
def test_nvidia_pytorch(tmp_path: Path, state: State, protocol: int, bare: bool) -> None:
    file = write_nvidia_pytorch(tmp_path / "x", state, protocol=protocol, bare=bare, conv_clamp=256.0)
    found = read_checkpoint(file)
    assert_same(found, state)
    assert found.format == "nvidia-pytorch"
    assert found.sha256 == file_sha256(file)
    assert found.facts["conv_clamp"] == 256.0
    assert found.facts["mapping_lr_multiplier"] == 0.01
    assert found.facts["entry"] == ("the object itself" if bare else "G_ema")


def test_nvidia_pytorch_mapping_lr_multiplier(tmp_path: Path) -> None:
    file = write_nvidia_pytorch(tmp_path / "x", golden_state(), lr_multiplier=0.1)
    assert read_checkpoint(file).facts["mapping_lr_multiplier"] == 0.1


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nvidia_tensorflow(tmp_path: Path, state: State, protocol: int) -> None:
    found = read_checkpoint(write_nvidia_tensorflow(tmp_path / "x", state, protocol=protocol))
    shifted = dict(state)  # the 1 of a style's bias is taken off in the file and added when read
    for name in state:
        if name.endswith("affine.bias"):
            shifted[name] = (state[name] - 1) + 1
    assert_same(found, shifted)
    assert found.format == "nvidia-tensorflow"
    assert found.facts["mapping_lr_multiplier"] == 0.01
    assert found.facts["conv_clamp"] is None


def test_nvidia_tensorflow_static_arguments(tmp_path: Path) -> None:
    static = {"mapping_lrmul": 0.1, "conv_clamp": 256, "truncation_psi": 0.5, "resample_kernel": [1, 3, 3, 1]}
    found = read_checkpoint(write_nvidia_tensorflow(tmp_path / "x", golden_state(), static=static))
    assert found.facts["mapping_lr_multiplier"] == 0.1
    assert found.facts["conv_clamp"] == 256.0


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("options", [{}, {"with_args": True}])
def test_rosinality(tmp_path: Path, state: State, options: dict[str, Any], legacy: bool) -> None:
    found = read_checkpoint(write_rosinality(tmp_path / "x", state, legacy=legacy, **options))
    assert_same(found, state)
    assert found.format == "rosinality"
    assert found.facts["w_avg"] == "stored"


@pytest.mark.parametrize("options", [{"with_args": True}, {"bare": True}])
def test_rosinality_without_mean_latent(tmp_path: Path, options: dict[str, Any]) -> None:
    state = golden_state()
    found = read_checkpoint(write_rosinality(tmp_path / "x", state, with_latent_avg=False, **options))
    again = read_checkpoint(write_rosinality(tmp_path / "y", state, with_latent_avg=False, **options))
    assert found.facts["w_avg"] == "estimated from 10000 samples"
    assert torch.equal(found.state["mapping.w_avg"], again.state["mapping.w_avg"])
    assert_same(found, {**state, "mapping.w_avg": found.state["mapping.w_avg"]})


def test_estimated_mean_latent_is_that_of_the_mapping(tmp_path: Path) -> None:
    from distill.stylegan2.load import build_generator

    state = golden_state("stylegan2_tiny64")
    found = read_checkpoint(write_rosinality(tmp_path / "x", state, with_latent_avg=False))
    z_NZ = torch.randn(20_000, 32, generator=torch.Generator().manual_seed(1))
    w_ND = build_generator(found).map(z_NZ)[:, 0]
    tolerance = 5 * w_ND.std(dim=0) * (1 / 10_000 + 1 / 20_000) ** 0.5
    assert ((found.state["mapping.w_avg"] - w_ND.mean(dim=0)).abs() < tolerance).all()


def checkpoint(state: State, **facts: Any) -> Checkpoint:
    return Checkpoint(state=state, facts=facts, format="rosinality", sha256="0" * 64)


def test_safetensors(tmp_path: Path, state: State) -> None:
    file = tmp_path / "x.bin"
    save_safetensors(file, checkpoint(state, conv_clamp=256.0, mapping_lr_multiplier=0.02, entry="G_ema"))
    found = read_checkpoint(file)
    assert_same(found, state)
    assert found.format == "safetensors"
    assert found.sha256 == file_sha256(file)
    assert (found.facts["conv_clamp"], found.facts["mapping_lr_multiplier"]) == (256.0, 0.02)
    assert found.facts["entry"] == "G_ema"
    assert [item.name for item in file.parent.iterdir()] == ["x.bin"]


def test_safetensors_is_read_by_the_safetensors_package(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = golden_state()
    save_safetensors(tmp_path / "ours", checkpoint(state, conv_clamp=None))
    assert_same(dataclasses.replace(checkpoint(load_file(tmp_path / "ours"))), state)
    save_file(state, tmp_path / "theirs", metadata={"c_dim": "0", "architecture": "skip"})
    assert_same(read_checkpoint(tmp_path / "theirs"), state)


def test_safetensors_bytes_repeat_and_facts_survive(tmp_path: Path) -> None:
    source = read_checkpoint(write_nvidia_pytorch(tmp_path / "x.pkl", golden_state(), conv_clamp=256.0))
    for name in ("a", "b"):
        save_safetensors(tmp_path / name, source)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_checkpoint(tmp_path / "a").facts == source.facts


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_safetensors_is_read_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    state = golden_state()
    save_safetensors(tmp_path / "x", checkpoint(state), dtype=dtype)
    assert_same(read_checkpoint(tmp_path / "x"), {name: t.to(dtype).float() for name, t in state.items()})


@pytest.mark.parametrize("write", [write_nvidia_pytorch, write_rosinality])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_in_foreign_files(tmp_path: Path, write: Write, dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in golden_state().items()}
    assert_same(read_checkpoint(write(tmp_path / "x", state)), {name: t.float() for name, t in state.items()})


@pytest.mark.parametrize("write", [write_nvidia_pytorch, write_rosinality])
def test_tensors_with_strides_and_a_shared_storage(tmp_path: Path, write: Write) -> None:
    state = golden_state()
    flat = torch.cat([tensor.reshape(-1) for tensor in state.values()])
    pieces = flat.split([tensor.numel() for tensor in state.values()])
    shared = {name: piece.reshape(state[name].shape) for name, piece in zip(state, pieces, strict=True)}
    weight = shared["synthesis.b8.conv1.weight"]
    shared["synthesis.b8.conv1.weight"] = weight.to(memory_format=torch.channels_last)
    assert_same(read_checkpoint(write(tmp_path / "x", shared)), state)
