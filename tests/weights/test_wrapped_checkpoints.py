"""Checkpoints as people have them: whatever lies around a network or before its names, the tensors are the same."""

from __future__ import annotations

import datetime
import pathlib
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import (
    Persistent,
    State,
    dumped,
    golden_state,
    persistent_generator,
    rosinality_state,
)
from nvidia_files import stand_ins
from safetensors.torch import save_file
from torch import Tensor

from distill.errors import UnsupportedCheckpoint
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.pix2pixhd_files import read_generator
from distill.weights.checkpoint import Checkpoint, read_checkpoint
from distill.weights.state_files import read_state


@pytest.fixture
def state() -> State:
    return golden_state()


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def before(prefix: str, state: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def assert_same(found: Checkpoint, state: State, *, but: tuple[str, ...] = ()) -> None:
    assert found.state.keys() == state.keys()
    for name, tensor in state.items():
        assert name.endswith(but or "nothing") or torch.equal(found.state[name], tensor), name


WRAPPED = {
    "as it is": (lambda state: state, "the object itself"),
    "DataParallel": (lambda state: before("module.", state), "the object itself"),
    "compiled": (lambda state: before("_orig_mod.", state), "the object itself"),
    "both": (lambda state: before("module._orig_mod.", state), "the object itself"),
    "both, the other way": (lambda state: before("_orig_mod.module.", state), "the object itself"),
    "beside an epoch": (lambda state: {"state_dict": state, "epoch": 3}, "state_dict"),
    "netG": (lambda state: {"netG": before("module.", state), "netD": {}}, "netG"),
    "an average alone": (lambda state: {"ema": state}, "ema"),
    "an average and its count": (
        lambda state: {"ema": {"n_averaged": torch.tensor(3), **before("module.", state)}},
        "ema",
    ),
    "average first": (
        lambda state: {"g": before("", {k: v * 0 for k, v in state.items()}), "g_ema": state},
        "g_ema",
    ),
    "nested": (lambda state: {"model": {"state_dict": {"G": state}}}, "model.state_dict.G"),
}


@pytest.mark.parametrize("how", WRAPPED)
@pytest.mark.parametrize("names", ["nvidia", "rosinality"])
def test_teachers(how: str, names: str, tmp_path: Path, state: State) -> None:
    wrap, entry = WRAPPED[how]
    inside = rosinality_state(state) if names == "rosinality" else state
    found = read_checkpoint(saved(tmp_path / "x.pt", wrap(OrderedDict(inside))))
    assert found.facts["entry"] == entry
    assert found.format == ("rosinality" if names == "rosinality" else "state-dict")
    assert_same(found, state, but=("w_avg",) if names == "rosinality" else ())


@pytest.mark.parametrize("how", WRAPPED)
def test_students(how: str, tmp_path: Path) -> None:
    network = create(Architecture(inputs=3, ngf=4, downsamplings=1, blocks=1), seed=0)
    wrap, _ = WRAPPED[how]
    found = read_generator(saved(tmp_path / "net_G.pth", wrap(OrderedDict(network.state_dict()))))
    assert found.architecture == network.architecture
    assert all(torch.equal(found.state[name], tensor) for name, tensor in network.state_dict().items())


def test_two_generators_in_one_state_and_the_average_counts(tmp_path: Path, state: State) -> None:
    both = before("G.", {name: tensor * 0 for name, tensor in state.items()}) | before("G_ema.", state)
    found = read_checkpoint(saved(tmp_path / "x.ckpt", {"state_dict": both, "epoch": 3}))
    assert found.facts["entry"] == "state_dict.G_ema"
    assert_same(found, state)


@pytest.mark.parametrize("rows", [1, 6])
def test_the_decoder_of_an_encoder(rows: int, tmp_path: Path, state: State) -> None:
    """pSp and e4e keep a generator as `decoder`, and the mean of w once or for each layer."""
    inside = before("decoder.", rosinality_state(state)) | {"encoder.input_layer.0.weight": torch.zeros(2)}
    mean = state["mapping.w_avg"].repeat(rows, 1)
    content = {"state_dict": inside, "latent_avg": mean, "opts": {"device": torch.device("cpu")}}
    found = read_checkpoint(saved(tmp_path / "x.pt", content))
    assert (found.facts["entry"], found.facts["w_avg"]) == ("state_dict.decoder", "stored")
    assert_same(found, state)


def test_prefixes_of_safetensors(tmp_path: Path, state: State) -> None:
    save_file(before("module._orig_mod.", state), tmp_path / "x.safetensors")
    assert_same(read_checkpoint(tmp_path / "x.safetensors"), state)
    assert read_state(tmp_path / "x.safetensors").tensors.keys() == state.keys()
    kept = read_state(tmp_path / "x.safetensors", keep=lambda name: name.startswith("mapping."))
    assert set(kept.tensors) == {name for name in state if name.startswith("mapping.")}


def test_a_word_before_some_names_only_is_kept(tmp_path: Path) -> None:
    mixed = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    assert read_state(saved(tmp_path / "x.pth", mixed)).tensors.keys() == mixed.keys()


# ---- the same tensors in other containers


def test_a_state_dict_as_a_plain_pickle(tmp_path: Path, state: State) -> None:
    for protocol in (2, 4):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(OrderedDict(state), protocol=protocol))
        assert_same(read_checkpoint(tmp_path / "x.pkl"), state)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_network_by_torch_save(legacy: bool, tmp_path: Path, state: State) -> None:
    network = persistent_generator(state, conv_clamp=256.0)
    for content in (network, {"G": persistent_generator(state), "G_ema": network}):
        with stand_ins():
            torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=not legacy)
        found = read_checkpoint(tmp_path / "x.pt")
        assert (found.format, found.facts["conv_clamp"]) == ("nvidia-pytorch", 256.0)
        assert_same(found, state)


def test_without_a_mean_of_w_it_is_estimated(tmp_path: Path, state: State) -> None:
    del state["mapping.w_avg"]
    (tmp_path / "x.pkl").write_bytes(dumped(persistent_generator(state, lr_multiplier=0.01)))
    saved(tmp_path / "x.pt", OrderedDict(state))
    save_file(state, tmp_path / "x.safetensors")
    found = [read_checkpoint(tmp_path / name) for name in ("x.pkl", "x.pt", "x.safetensors")]
    assert {one.facts["w_avg"] for one in found} == {"estimated from 10000 samples"}
    for one in found[1:]:
        assert_same(one, found[0].state)


def test_parameters_alone_have_standard_filters(tmp_path: Path, state: State) -> None:
    inside = OrderedDict((name, tensor) for name, tensor in state.items() if "resample" not in name)
    assert_same(read_checkpoint(saved(tmp_path / "x.pt", inside)), state)


def test_rosinality_without_noise_maps(tmp_path: Path, state: State) -> None:
    inside = {k: v for k, v in rosinality_state(state).items() if not k.startswith("noises.")}
    content = {"g_ema": OrderedDict(inside), "latent_avg": state["mapping.w_avg"]}
    found, again = (read_checkpoint(saved(tmp_path / "x.pt", content)) for _ in range(2))
    assert found.facts["noise"] == "drawn, the file has none"
    assert_same(found, state, but=("noise_const",))
    assert_same(again, found.state)
    last = found.state["synthesis.b32.conv1.noise_const"]
    assert abs(last.mean()) < 0.15
    assert 0.9 < last.std() < 1.1


def test_a_mapping_too_wide_for_an_estimate_is_refused(tmp_path: Path, state: State) -> None:
    state["mapping.fc0.weight"] = torch.zeros(len(state["mapping.fc0.bias"]), 1_000_000)
    content = OrderedDict(rosinality_state(state))
    with pytest.raises(UnsupportedCheckpoint, match="too wide to estimate"):
        read_checkpoint(saved(tmp_path / "x.pt", content))


@pytest.mark.parametrize(
    "value",
    [
        pathlib.PurePosixPath("a/b"),
        pathlib.PureWindowsPath("a"),
        Path("x"),
        datetime.timedelta(1),
        range(3),
        1j,
    ],
    ids=lambda value: type(value).__name__,
)
def test_harmless_values_beside_the_networks(value: Any, tmp_path: Path, state: State) -> None:
    snapshot = {
        "training_set_kwargs": {"path": value},
        "G_ema": persistent_generator(state),
        "D": Persistent("Discriminator", {"_modules": {}}),
    }
    (tmp_path / "x.pkl").write_bytes(dumped(snapshot))
    assert_same(read_checkpoint(tmp_path / "x.pkl"), state)
    content = {"g_ema": OrderedDict(rosinality_state(state)), "args": {"path": value}}
    assert_same(read_checkpoint(saved(tmp_path / "x.pt", content)), state, but=("w_avg",))
