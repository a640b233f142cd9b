"""Files of generators: the public names both ways, architecture from shapes, and refusals in one line."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from safetensors.torch import save_file as save_plain_safetensors
from torch import Tensor, nn

from distill.errors import DistillError, UnsafePickle, UnsupportedCheckpoint
from distill.networks.pix2pixhd import Architecture, create, create_discriminator
from distill.networks.pix2pixhd_files import read_generator, save_pth, save_safetensors

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = Architecture(inputs=6, ngf=4, downsamplings=2, blocks=2)
SHAPES = [
    Architecture(inputs=3, outputs=1, ngf=5, downsamplings=1, blocks=1),
    Architecture(inputs=6, ngf=4, downsamplings=4, blocks=9),
    Architecture(inputs=6, ngf=2, downsamplings=0, blocks=1),
    Architecture(inputs=3, ngf=4, downsamplings=3, blocks=2, enhancers=1, local_blocks=2),
    Architecture(inputs=9, outputs=4, ngf=2, downsamplings=1, blocks=1, enhancers=3, local_blocks=0),
]


def state_of(name: str) -> OrderedDict[str, Tensor]:
    with np.load(GOLDEN / f"pix2pixhd_{name}.npz") as data:
        return OrderedDict(
            (key.removeprefix("state/"), torch.from_numpy(data[key]))
            for key in data.files
            if key.startswith("state/")
        )


def saved(path: Path, state: object, *, legacy: bool = False) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    return path


def message(path: Path, kind: type[DistillError] = DistillError, **options: int) -> str:
    """The refusal: of one kind, one line, beginning with the path."""
    with pytest.raises(kind) as caught:
        read_generator(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("name", ["global", "local"])
def test_published_files_load_and_compute_the_recorded_images(
    name: str, legacy: bool, tmp_path: Path
) -> None:
    file = read_generator(saved(tmp_path / "latest_net_G.pth", state_of(name), legacy=legacy))
    with np.load(GOLDEN / f"pix2pixhd_{name}.npz") as data, torch.inference_mode():
        y = file.network()(torch.from_numpy(data["x"]))
        assert (y - torch.from_numpy(data["y"])).abs().max() < 1e-4
    assert (file.architecture.inputs, file.architecture.ngf) == (6, 4)
    assert file.architecture.enhancers == (name == "local")


@pytest.mark.parametrize("architecture", SHAPES, ids=lambda a: f"{a.enhancers}-{a.downsamplings}-{a.blocks}")
def test_architectures_are_read_off_the_tensors_of_both_formats(
    architecture: Architecture, tmp_path: Path
) -> None:
    network = create(architecture, seed=0)
    save_pth(tmp_path / "net_G.pth", network)
    save_safetensors(tmp_path / "net_G.safetensors", network, {"inputs_are": "content, style"})
    for name in ("net_G.pth", "net_G.safetensors"):
        file = read_generator(tmp_path / name)
        assert file.architecture == architecture
        again = file.network().state_dict()
        assert list(again) == list(network.state_dict())
        assert all(torch.equal(tensor, again[key]) for key, tensor in network.state_dict().items())


def test_batch_normalisation_survives_the_file(tmp_path: Path) -> None:
    """Scales, shifts and running statistics; a published file also counts batches."""
    network = create(replace(SMALL, norm="batch"), seed=0)
    x = torch.rand(2, 6, 16, 16)
    network(x)  # moves the statistics
    y = network.eval()(x)
    save_pth(tmp_path / "net_G.pth", network)
    save_safetensors(tmp_path / "net_G.safetensors", network)
    published = saved(tmp_path / "published.pth", OrderedDict(network.state_dict()))
    network.load_state_dict(torch.load(tmp_path / "net_G.pth", weights_only=True), strict=True)
    for path in (tmp_path / "net_G.pth", tmp_path / "net_G.safetensors", published):
        file = read_generator(path)
        assert file.architecture.norm == "batch"
        assert torch.equal(file.network()(x), y)


def test_what_is_written_is_read_by_torch_and_safetensors_themselves(tmp_path: Path) -> None:
    network = create(SMALL, seed=0).to(torch.bfloat16, memory_format=torch.channels_last)
    save_pth(tmp_path / "net_G.pth", network)
    save_safetensors(tmp_path / "a.safetensors", network, {"roles": "content, style"})
    save_safetensors(tmp_path / "b.safetensors", network, {"roles": "content, style"})
    public = torch.load(tmp_path / "net_G.pth", weights_only=True)
    assert isinstance(public, OrderedDict)
    network.load_state_dict(public, strict=True)
    assert {tensor.dtype for tensor in public.values()} == {torch.float32}
    assert load_file(tmp_path / "a.safetensors").keys() == public.keys()
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    facts = read_generator(tmp_path / "a.safetensors").facts
    assert (facts["roles"], facts["ngf"], facts["inputs"]) == ("content, style", "4", "6")
    with pytest.raises(DistillError, match="ngf is set by the network"):
        save_safetensors(tmp_path / "c.safetensors", network, {"ngf": "5"})


def test_a_discriminator_is_written_under_public_names(tmp_path: Path) -> None:
    save_pth(tmp_path / "net_D.pth", create_discriminator(9, seed=0, ndf=8))
    state = torch.load(tmp_path / "net_D.pth", weights_only=True)
    assert {name: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in state_of("discriminator").items()
    }
    assert "a discriminator; the generator is the file *_net_G.pth" in message(tmp_path / "net_D.pth")


def test_files_of_old_versions_and_of_data_parallel_load(tmp_path: Path) -> None:
    state = state_of("global")
    old = OrderedDict(state)
    for layer in ("model.2", "model.16.conv_block.2"):
        old |= {f"{layer}.running_mean": torch.zeros(4), f"{layer}.running_var": torch.ones(4)}
        old[f"{layer}.num_batches_tracked"] = torch.tensor(7)
    parallel = OrderedDict((f"module.{name}", tensor.half()) for name, tensor in state.items())
    for other in (old, parallel):
        file = read_generator(saved(tmp_path / "net_G.pth", other))
        assert all(torch.allclose(file.state[name], state[name], rtol=1e-3, atol=1e-6) for name in state)


def test_other_input_channels_are_refused_with_both_numbers(tmp_path: Path) -> None:
    path = saved(tmp_path / "net_G.pth", state_of("global"))
    assert read_generator(path, input_channels=6).architecture.inputs == 6
    text = message(path, input_channels=3)
    assert "takes 6 input channels (2 images), the images have 3 (1 image)" in text


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    network = create(SMALL, seed=0)
    save_pth(tmp_path / "zip.pth", network)
    saved(tmp_path / "legacy.pth", OrderedDict(network.state_dict()), legacy=True)
    save_safetensors(tmp_path / "net.safetensors", network)
    for name, kind in (
        ("zip.pth", UnsafePickle),
        ("legacy.pth", UnsafePickle),
        ("net.safetensors", UnsupportedCheckpoint),
    ):
        whole = (tmp_path / name).read_bytes()
        for share in (0.5, 0.98):
            (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
            assert "truncated" in message(tmp_path / name, kind)
        (tmp_path / name).write_bytes(b"")
        assert "the file is empty" in message(tmp_path / name)


def test_one_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "net_G.pth"
    save_pth(path, create(SMALL, seed=0))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert "damaged" in message(path, UnsafePickle)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = state_of("global")
    state["model.7.bias"] = torch.full((16,), torch.nan)
    assert "model.7.bias holds 16 numbers that are not finite" in message(saved(tmp_path / "n.pth", state))


class Opener:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("ran.txt", "w")


def test_files_that_would_run_code_are_refused_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hostile = {**state_of("global"), "extra": Opener()}
    assert "refused global" in message(saved(tmp_path / "h.pth", hostile), UnsafePickle)
    whole = saved(tmp_path / "whole.pth", nn.Sequential(nn.Conv2d(3, 3, 1)))
    assert "refused global" in message(whole, UnsafePickle)
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(hostile))
    message(tmp_path / "bare.pth")
    assert not (tmp_path / "ran.txt").exists()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s.pop("model.4.bias"), "1 tensors missing: model.4.bias"),
        (lambda s: s.update({"model.99.weight": torch.zeros(2)}), "tensors missing: model.11.bias"),
        (lambda s: s.update({"model.99.bias": torch.zeros(2)}), "1 unknown tensors: model.99.bias"),
        (lambda s: s.update({"model.4.weight": torch.zeros(8, 5, 3, 3)}), r"model.4.weight has shape"),
        (lambda s: s.pop("model.38.weight"), "no last 7x7 convolution"),
        (lambda s: s.pop("model.1.weight"), "not a Pix2PixHD generator: it holds model.1.bias"),
        (lambda s: s.clear(), "holds nothing"),
        (lambda s: s.update({"epoch": 3}), "not a state dict of one network: epoch is not a tensor"),
        (lambda s: s.update({1: torch.zeros(2)}), "not a state dict of one network"),
        (lambda s: s.update({"model.1.weight": torch.zeros(0, 6, 7, 7)}), "not a Pix2PixHD generator"),
    ],
)
def test_other_networks_are_refused_by_name(change, text: str, tmp_path: Path) -> None:
    state = state_of("global")
    change(state)
    assert text in message(saved(tmp_path / "net_G.pth", state), UnsupportedCheckpoint)


def test_a_feature_encoder_is_told(tmp_path: Path) -> None:
    """`*_net_E.pth`, from the public implementation's option for instance features: 0 residual blocks."""
    encoder = create(Architecture(inputs=3, ngf=4, downsamplings=2, blocks=0), seed=0)
    text = message(saved(tmp_path / "latest_net_E.pth", OrderedDict(encoder.state_dict())))
    assert "a feature encoder (*_net_E.pth)" in text
    assert "the generator is the file *_net_G.pth" in text


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert "no such file" in message(tmp_path / "missing.pth")
    assert "not a file" in message(tmp_path)
    (tmp_path / "page.pth").write_bytes(b"<!DOCTYPE html><html>sign in</html>")
    assert "a web page or XML" in message(tmp_path / "page.pth")
    assert "not a state dict: it holds a list" in message(saved(tmp_path / "list.pth", [torch.zeros(2)]))
    save_plain_safetensors({"mapping.fc0.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    assert "it holds mapping.fc0.weight" in message(tmp_path / "other.safetensors", UnsupportedCheckpoint)


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DistillError, match=r"file"):
        save_pth(tmp_path / "file" / "net_G.pth", create(SMALL, seed=0))
