"""What is readable but no plain StyleGAN2 generator is refused by what it is."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_files import (
    EasyDict,
    Network,
    Persistent,
    State,
    dumped,
    persistent_generator,
    small_state,
    tf_networks,
    write_nvidia_pytorch,
    write_nvidia_tensorflow,
    write_rosinality,
)

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.weights.checkpoint import Checkpoint, read_checkpoint, save_safetensors


@pytest.fixture
def state() -> State:
    return small_state()


def refusal(path: Path) -> str:
    with pytest.raises(UnsupportedCheckpoint) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"c_dim": 10}, "class-conditional generator (c_dim 10)"),
        ({"architecture": "resnet"}, "architecture 'resnet'"),
        ({"architecture": "orig"}, "architecture 'orig'"),
        ({"activation": "relu"}, "activation 'relu'"),
        ({"class_name": "Discriminator"}, "holds a Discriminator"),
        ({"conv_clamp": -1.0}, "conv_clamp is -1.0"),
        ({"conv_clamp": math.nan}, "conv_clamp"),
        ({"lr_multiplier": 0.0}, "mapping_lr_multiplier is 0.0"),
    ],
)
def test_nvidia_pytorch(tmp_path: Path, state: State, options: dict[str, Any], said: str) -> None:
    assert said in refusal(write_nvidia_pytorch(tmp_path / "x", state, **options))


def test_stylegan3(tmp_path: Path) -> None:
    weights = {"mapping.fc0.weight": torch.zeros(2, 2), "synthesis.L0_36_512.weight": torch.zeros(2, 2)}
    assert "StyleGAN3" in refusal(write_nvidia_pytorch(tmp_path / "x", weights))


def test_conditional_mapping_without_c_dim(tmp_path: Path, state: State) -> None:
    state["mapping.embed.weight"] = torch.zeros(3, 3)
    assert "class-conditional" in refusal(write_nvidia_pytorch(tmp_path / "x", state))


def test_residual_network(tmp_path: Path, state: State) -> None:
    state["synthesis.b8.skip.weight"] = torch.zeros(2, 2, 1, 1)
    assert "resnet" in refusal(write_nvidia_pytorch(tmp_path / "x", state))


def test_layers_that_differ(tmp_path: Path, state: State) -> None:
    generator = persistent_generator(state)
    blocks = generator.meta["state"]["_modules"]["synthesis"].meta["state"]["_modules"]
    blocks["b8"].meta["state"]["_modules"]["conv1"].meta["state"]["conv_clamp"] = 7.0
    (tmp_path / "x").write_bytes(dumped(generator))
    assert "layers differ in conv_clamp: 7.0, None" in refusal(tmp_path / "x")


def test_activations_that_differ_are_named_once_each(tmp_path: Path, state: State) -> None:
    generator = persistent_generator(state)
    blocks = generator.meta["state"]["_modules"]["synthesis"].meta["state"]["_modules"]
    blocks["b8"].meta["state"]["_modules"]["conv1"].meta["state"]["activation"] = "relu"
    (tmp_path / "x").write_bytes(dumped(generator))
    said = refusal(tmp_path / "x")
    assert said.endswith(
        ("layers differ in activation: lrelu, relu", "layers differ in activation: relu, lrelu")
    )


def test_a_snapshot_without_a_generator(tmp_path: Path) -> None:
    discriminator = Persistent("Discriminator", {"_modules": {}})
    (tmp_path / "x").write_bytes(dumped({"D": discriminator, "loss": None}))
    assert "not a StyleGAN2 generator: holds a dict of D, loss" in refusal(tmp_path / "x")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"version": 3}, "version 3 (StyleGAN1 or older)"),
        ({"static": {"label_size": 10}}, "class-conditional generator with label_size 10"),
        ({"static": {"architecture": "resnet"}}, "architecture resnet; only skip"),
        ({"static": {"architecture": "orig"}}, "architecture orig; only skip"),
        ({"static": {"num_channels": 1}}, "num_channels 1; only 3"),
        ({"static": {"nonlinearity": "relu"}}, "nonlinearity relu"),
        ({"static": {"blur_filter": [1, 2, 1]}}, "unknown argument blur_filter"),
        ({"static": {"resample_kernel": [1, 2]}}, "resampling kernel"),
        ({"static": {"resample_kernel": [1, 3, -3, -1]}}, "resampling filter"),
        ({"static": {"conv_clamp": "x"}}, "conv_clamp is x"),
    ],
)
def test_nvidia_tensorflow(tmp_path: Path, state: State, options: dict[str, Any], said: str) -> None:
    assert said in refusal(write_nvidia_tensorflow(tmp_path / "x", state, **options))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ToRGB_lod0/weight", "progressively grown"),
        ("8x8/Skip/weight", "resnet"),
        ("8x8/New", "1 unknown tensors"),
    ],
)
def test_other_tensorflow_networks(tmp_path: Path, state: State, name: str, said: str) -> None:
    networks = tf_networks(state)
    networks[2].components["synthesis"].variables.append((name, np.zeros(3, np.float32)))
    (tmp_path / "x").write_bytes(dumped(networks))
    assert said in refusal(tmp_path / "x")


def test_tensorflow_network_without_weights(tmp_path: Path) -> None:
    parts: dict[str, Any] = {"static_kwargs": EasyDict(), "components": EasyDict(), "variables": []}
    network = Network(version=4, **parts)
    (tmp_path / "x").write_bytes(dumped((network, network, network)))
    assert "not a StyleGAN2 generator: holds variables none" in refusal(tmp_path / "x")


def test_other_torch_files(tmp_path: Path) -> None:
    torch.save({"model": {"weight": torch.zeros(3)}, "epoch": 3}, tmp_path / "x")
    assert "not a StyleGAN2 generator: holds a dict of model, epoch" in refusal(tmp_path / "x")
    torch.save([1, 2], tmp_path / "x")
    assert "holds a list" in refusal(tmp_path / "x")


def test_rosinality_with_an_unknown_tensor(tmp_path: Path, state: State) -> None:
    file = write_rosinality(tmp_path / "x", state)
    content = torch.load(file, weights_only=True)
    content["g_ema"]["extra.weight"] = torch.zeros(3)
    torch.save(content, file)
    assert "1 unknown tensors: extra.weight" in refusal(file)


# ---- the same for every format

WRITERS = [write_nvidia_pytorch, write_nvidia_tensorflow, write_rosinality]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite(write: Any, value: float, tmp_path: Path, state: State) -> None:
    state["synthesis.b8.conv1.weight"][0, 0, 0, 0] = value
    assert "1 numbers that are not finite" in refusal(write(tmp_path / "x", state))


def test_float64_beyond_float32_is_not_finite(tmp_path: Path, state: State) -> None:
    state["mapping.w_avg"] = torch.full((3,), 1e300, dtype=torch.float64)
    assert "3 numbers that are not finite" in refusal(write_nvidia_pytorch(tmp_path / "x", state))


def test_a_missing_tensor(tmp_path: Path, state: State) -> None:
    del state["synthesis.b8.conv1.bias"], state["mapping.fc0.bias"]
    said = refusal(write_nvidia_pytorch(tmp_path / "x", state))
    assert "2 tensors missing: mapping.fc0.bias, synthesis.b8.conv1.bias" in said


def test_tensors_that_do_not_fit(tmp_path: Path, state: State) -> None:
    state["synthesis.b8.conv1.weight"] = torch.zeros(2, 5, 3, 3)
    said = refusal(write_nvidia_pytorch(tmp_path / "x", state))
    assert "synthesis.b8.conv1.weight has shape [2, 5, 3, 3], this StyleGAN2 needs [2, 2, 3, 3]" in said


def test_whole_numbers_for_weights(tmp_path: Path, state: State) -> None:
    state["mapping.fc0.bias"] = torch.zeros(3, dtype=torch.int64)
    for write in (write_nvidia_pytorch, write_rosinality):
        assert "not a tensor of floating-point numbers" in refusal(write(tmp_path / "x", state))


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("write", [write_nvidia_pytorch, write_nvidia_tensorflow, write_rosinality])
def test_other_colour_channels(tmp_path: Path, state: State, channels: int, write: Any) -> None:
    for name in state:
        if name.endswith("torgb.weight"):
            state[name] = torch.zeros(channels, *state[name].shape[1:])
        elif name.endswith("torgb.bias"):
            state[name] = torch.zeros(channels)
    said = refusal(write(tmp_path / "x", state))
    assert f"a network that draws {channels} colour channels; only 3 (RGB) are read" in said


@pytest.mark.parametrize("write", [write_nvidia_pytorch, write_rosinality])
def test_a_network_that_is_not_square(tmp_path: Path, state: State, write: Any) -> None:
    state["synthesis.b4.const"] = torch.zeros(2, 4, 6)
    said = refusal(write(tmp_path / "x", state))
    assert "a network that starts at 4x6 px; only square images are read" in said


def test_a_tensorflow_network_that_is_not_square(tmp_path: Path, state: State) -> None:
    networks = tf_networks(state)
    inside = networks[2].components["synthesis"]
    inside.variables = [(name.replace("4x4/", "4x6/"), array) for name, array in inside.variables]
    (tmp_path / "x").write_bytes(dumped(networks))
    assert "starts at 4x6 px" in refusal(tmp_path / "x")


def test_a_resolution_beyond_1024(tmp_path: Path, state: State) -> None:
    state["synthesis.b2048.torgb.weight"] = torch.zeros(3, 2, 1, 1)
    assert "a network of 2048 px" in refusal(write_nvidia_pytorch(tmp_path / "x", state))


def test_a_gap_between_the_blocks(tmp_path: Path, state: State) -> None:
    large = small_state(resolution=16)
    file = write_nvidia_pytorch(tmp_path / "x", {n: t for n, t in large.items() if ".b8." not in n})
    assert "tensors missing: synthesis.b8." in refusal(file)


# ---- safetensors


def saved(path: Path, state: State, **facts: Any) -> Path:
    save_safetensors(path, Checkpoint(state=state, facts=facts, format="safetensors", sha256=""))
    return path


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"architecture": "resnet"}, "architecture resnet; only skip"),
        ({"c_dim": 3}, "c_dim 3; only 0"),
        ({"img_channels": 1}, "img_channels 1; only 3"),
        ({"mapping_lr_multiplier": "many"}, "mapping_lr_multiplier is many"),
        ({"conv_clamp": -4}, "conv_clamp is -4"),
    ],
)
def test_safetensors_facts(tmp_path: Path, state: State, facts: dict[str, Any], said: str) -> None:
    assert said in refusal(saved(tmp_path / "x", state, **facts))


def test_safetensors_of_something_else(tmp_path: Path) -> None:
    assert "no synthesis network" in refusal(saved(tmp_path / "x", {"weight": torch.zeros(3)}))


def test_truncated_safetensors(tmp_path: Path, state: State) -> None:
    content = saved(tmp_path / "x", state).read_bytes()
    for size in (len(content) - 1, 2_000, 100, 10):
        (tmp_path / "x").write_bytes(content[:size])
        assert "truncated" in refusal(tmp_path / "x")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": [9, 9]}, "broken safetensors file"),
        ({"shape": [1 << 40, 1 << 40]}, "broken safetensors file"),
        ({"shape": [-3]}, "broken safetensors file"),
        ({"shape": "3"}, "broken safetensors file"),
        ({"data_offsets": [4, 0]}, "broken safetensors file"),
        ({"data_offsets": [0, 1 << 39]}, "broken safetensors file"),
        ({"data_offsets": [0]}, "broken safetensors file"),
        ({"dtype": None}, "broken safetensors file"),
        ({"dtype": "I32"}, "mapping.w_avg is not a tensor of floating-point numbers"),
    ],
)
def test_broken_safetensors_entries(tmp_path: Path, state: State, change: dict[str, Any], said: str) -> None:
    content = saved(tmp_path / "x", state).read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    header["mapping.w_avg"] |= change
    text = json.dumps(header).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])
    assert said in refusal(tmp_path / "x")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ('{"a":{"dtype":"F32","shape":[0,549755813888,549755813888],"data_offsets":[0,0]}}', "absurd shape"),
        ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
         '"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "b does not begin where"),
        ('{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
         '"a":{"dtype":"F32","shape":[1],"data_offsets":[2,8]}}', "a has 6 bytes"),
        ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
         '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "a appears twice"),
        ('{"a":{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,8]}}', "shape appears twice"),
        ('{"a":{"dtype":"F32","shape":[' + "0," * 40 + '0],"data_offsets":[0,8]}}', "at most 16 sizes"),
        ('{"a":' + "[" * 5_000, "not JSON"),
        ("{1}", "not JSON"),
        ('{"a":[]}', "a has no shape"),
        ('{"a\\u001b[2J":[]}', "a\\x1b[2J has no shape"),
        ('{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,8]}}', "kind of number"),
    ],
    ids=lambda value: value[:24],
)  # fmt: skip
def test_hostile_safetensors_headers(tmp_path: Path, header: str, said: str) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(8))
    assert said in refusal(tmp_path / "x")


def test_a_safetensors_header_beyond_16_mib(tmp_path: Path) -> None:
    text = b"{" + b" " * (16 << 20) + b"}"
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(text)) + text)
    assert "a safetensors header of 16,777,218 bytes" in refusal(tmp_path / "x")


def test_saving_where_nothing_can_be_written(tmp_path: Path, state: State) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DistillError, match="cannot be written"):
        saved(tmp_path / "file" / "x", state)
    checkpoint = Checkpoint(state=state, facts={}, format="safetensors", sha256="")
    with pytest.raises(DistillError, match=r"not torch\.int8"):
        save_safetensors(tmp_path / "x", checkpoint, dtype=torch.int8)
