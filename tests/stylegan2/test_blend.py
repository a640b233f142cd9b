"""Blends of two generators: which layers are whose, the published numbers, and what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import distill
from distill.cli.blend import blend as command
from distill.cli.main import run
from distill.errors import DistillError
from distill.stylegan2.blend import high_shares, likeness
from distill.stylegan2.facts import Parent, parent_in
from distill.stylegan2.load import load_generator
from distill.stylegan2.networks import GeneratorNetwork, GeneratorShape
from distill.weights.checkpoint import Checkpoint, file_sha256, read_checkpoint, save_safetensors

SHAPE = GeneratorShape(z_dim=6, w_dim=6, mapping_layers=2, channels={4: 5, 8: 4, 16: 4, 32: 3})


def save(
    path: Path,
    seed: int,
    shape: GeneratorShape = SHAPE,
    parent: Path | None = None,
    *,
    noise: float = 1.0,
) -> Path:
    """A generator of random weights; a child's are its parent's and `noise`, its mapping the same."""
    torch.manual_seed(seed)
    state = GeneratorNetwork(shape).state_dict()
    state["mapping.w_avg"] = torch.randn(shape.w_dim)
    facts = {}
    if parent is not None:
        for name, tensor in read_checkpoint(parent).state.items():
            state[name] = tensor if name.startswith("mapping") else tensor + noise * torch.randn(tensor.shape)
        facts = Parent(name=parent.name, sha256=file_sha256(parent)).facts()
    save_safetensors(path, Checkpoint(state=state, facts=facts, format="safetensors", sha256="0" * 64))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A parent, two children of it, a stranger."""
    folder = tmp_path_factory.mktemp("generators")
    parent = save(folder / "parent.safetensors", 1)
    for name, seed in (("child", 2), ("sibling", 3)):
        save(folder / f"{name}.safetensors", seed, parent=parent, noise=0.3)
    save(folder / "stranger.safetensors", 4)
    return folder


def blended(
    folder: Path, out: Path, low: str, high: str, *, at: int = 16, width: float | None = None
) -> Checkpoint:
    names = (folder / f"{name}.safetensors" for name in (low, high))
    return read_checkpoint(distill.blend(*names, at=at, width=width, out=out).path)


def test_soft_shares_are_the_published_ones() -> None:
    """32 px, the switch at the first position of 16 px, width 1."""
    found = [share for pair in high_shares(32, 32, 1.0).values() for share in pair]
    wanted = [0.018, 0.0474, 0.1192, 0.2689, 0.5, 0.7311, 0.8808, 0.9526]
    assert found == pytest.approx(wanted, abs=5e-5)


def test_a_hard_swap_takes_whole_resolutions_from_the_one_named() -> None:
    assert high_shares(32, 32) == {4: (0, 0), 8: (0, 0), 16: (0, 0), 32: (1, 1)}
    assert high_shares(64, 16) == {4: (0, 0), 8: (0, 0), 16: (1, 1), 32: (1, 1), 64: (1, 1)}


def test_layers_are_those_of_the_networks_to_the_bit(folder: Path, tmp_path: Path) -> None:
    low, high = (read_checkpoint(folder / f"{name}.safetensors").state for name in ("parent", "child"))
    state = blended(folder, tmp_path / "a.safetensors", "parent", "child", at=16).state
    assert state.keys() == low.keys()
    for name, tensor in state.items():
        own = high if name.startswith(("synthesis.b16.", "synthesis.b32.")) else low
        assert torch.equal(tensor, own[name]), name


def test_each_position_of_a_soft_blend_has_its_share(folder: Path, tmp_path: Path) -> None:
    low, high = (read_checkpoint(folder / f"{name}.safetensors").state for name in ("parent", "child"))
    state = blended(folder, tmp_path / "a.safetensors", "parent", "child", at=16, width=1.0).state
    shares = {"b4.const": 0.1192, "b4.conv1.weight": 0.2689, "b4.torgb.affine.bias": 0.2689}
    shares |= {"b8.conv0.weight": 0.5, "b8.conv1.noise_const": 0.7311, "b32.torgb.weight": 0.9933}
    for layer, share in shares.items():
        name = f"synthesis.{layer}"
        wanted = (1 - share) * low[name] + share * high[name]
        assert torch.allclose(state[name], wanted, atol=1e-3), name
    assert torch.equal(state["mapping.w_avg"], low["mapping.w_avg"])


def test_the_blend_maps_as_the_first_and_draws(folder: Path, tmp_path: Path) -> None:
    path = distill.blend(
        folder / "stranger.safetensors", folder / "child.safetensors", at=8, out=tmp_path / "a.safetensors"
    ).path
    generator, first = load_generator(path), load_generator(folder / "stranger.safetensors")
    z = torch.randn(2, 6)
    ws = generator.map(z, truncation_psi=0.7)
    assert torch.equal(ws, first.map(z, truncation_psi=0.7))
    assert generator.synthesize(ws).shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    ("low", "high", "parent"),
    [
        ("parent", "child", "parent"),
        ("child", "parent", "parent"),
        ("child", "sibling", "parent"),
        ("child", "stranger", None),
        ("parent", "stranger", None),
    ],
)
def test_facts_name_both_and_the_parent_that_they_share(
    folder: Path, tmp_path: Path, low: str, high: str, parent: str | None
) -> None:
    facts = blended(folder, tmp_path / "a.safetensors", low, high, at=16, width=0.5).facts
    assert (facts["blend_low"], facts["blend_high"]) == (f"{low}.safetensors", f"{high}.safetensors")
    assert facts["blend_low_sha256"] == file_sha256(folder / f"{low}.safetensors")
    assert facts["blend_high_sha256"] == file_sha256(folder / f"{high}.safetensors")
    assert (facts["blend_at"], facts["blend_width"]) == (16, 0.5)
    found = parent_in(facts)
    if parent is None:
        assert found is None
    else:
        assert found == Parent(
            name=f"{parent}.safetensors", sha256=file_sha256(folder / f"{parent}.safetensors")
        )


def test_a_blend_can_be_blended_with_its_relatives(folder: Path, tmp_path: Path) -> None:
    parent, child, sibling = (folder / f"{name}.safetensors" for name in ("parent", "child", "sibling"))
    first = distill.blend(parent, child, at=16, out=tmp_path / "a.safetensors")
    found = distill.blend(first.path, sibling, at=32, out=tmp_path / "b.safetensors")
    shared = parent_in(read_checkpoint(found.path).facts)
    assert shared is not None
    assert shared.name == parent.name
    assert found.warning == ""
    assert found.sha256 == file_sha256(found.path)


def test_strangers_are_blended_with_a_warning(folder: Path, tmp_path: Path) -> None:
    names = [str(folder / f"{name}.safetensors") for name in ("parent", "stranger")]
    out = tmp_path / "new" / "a.safetensors"
    done = CliRunner().invoke(
        command, ["--low", names[0], "--high", names[1], "--at", "16", "--out", str(out), "--json"]
    )
    assert done.exit_code == 0
    assert (
        "parent.safetensors and stranger.safetensors are not related (likeness of their weights "
        in done.stderr
    )
    assert len(done.stderr.splitlines()) == 1
    assert json.loads(done.stdout)["shares_of_high"] == {"4": [0, 0], "8": [0, 0], "16": [1, 1], "32": [1, 1]}
    assert out.is_file()


def test_likeness_of_relatives_and_strangers(folder: Path) -> None:
    parent, child, stranger = (
        read_checkpoint(folder / f"{name}.safetensors").state for name in ("parent", "child", "stranger")
    )
    assert likeness(parent, parent) == pytest.approx(1)
    assert likeness(parent, child) > 0.9
    assert abs(likeness(parent, stranger)) < 0.2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--at", "64"], "--at 64: the generators draw 32 px, so it must be one of 8, 16, 32"),
        (["--at", "4"], "so it must be one of 8, 16, 32"),
        (["--at", "24"], "so it must be one of 8, 16, 32"),
        (["--at", "16", "--width", "0"], "--width"),
        (["--at", "16", "--width", "nan"], "--width"),
        (
            ["--at", "16", "--high", "portraits"],
            "resolution 32 and 64, width of w 6 and 256, channels at 4 px 5",
        ),
        (["--at", "16", "--high", "nobody"], "unknown generator 'nobody'"),
        (["--at", "16", "--out", "a.pkl"], "must end in .safetensors"),
    ],
)
def test_what_cannot_be_is_one_line(
    folder: Path, tmp_path: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "a.safetensors"
    names = ["--low", str(folder / "parent.safetensors"), "--high", str(folder / "child.safetensors")]
    assert run(["blend", *names, "--out", str(out), *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
    assert not out.parent.exists()


def test_channels_that_differ_are_named(folder: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "wide.safetensors", 7, replace(SHAPE, channels={4: 5, 8: 4, 16: 8, 32: 3}))
    with pytest.raises(DistillError, match=r"cannot be blended: channels at 16 px 4 and 8;"):
        distill.blend(folder / "parent.safetensors", other, at=16, out=tmp_path / "a.safetensors")
    with pytest.raises(DistillError, match="a number of positions above 0"):
        distill.blend(
            folder / "parent.safetensors",
            folder / "child.safetensors",
            at=16,
            width=-1,
            out=tmp_path / "a.safetensors",
        )
    assert not (tmp_path / "a.safetensors").exists()


def test_a_file_that_is_there_stays_unless_asked(folder: Path, tmp_path: Path) -> None:
    names, out = [folder / "parent.safetensors", folder / "child.safetensors"], tmp_path / "a.safetensors"
    first = distill.blend(*names, at=16, out=out).sha256
    with pytest.raises(DistillError, match="exists; choose another --out"):
        distill.blend(*names, at=32, out=out)
    assert file_sha256(out) == first
    assert distill.blend(*names, at=32, out=out, overwrite=True).sha256 != first
