"""A training that starts from a generator: what is taken over, what is fresh, and what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_files import write_rosinality
from click.testing import CliRunner, Result
from PIL import Image

from distill.cli.train import training_command
from distill.errors import DistillError
from distill.stylegan2.networks import GeneratorNetwork, upsample_rgb
from distill.training.checkpoint import load_checkpoint
from distill.training.position import RunPosition
from distill.training.settings import changed
from distill.training.stylegan2.export import pictures, save_generator, set_centre
from distill.training.stylegan2.settings import PRESETS, StyleGAN2Settings, for_transfer, table
from distill.training.stylegan2.step import StyleGAN2Step
from distill.training.stylegan2.transfer import read_start
from distill.weights.checkpoint import file_sha256, read_checkpoint

TINY = PRESETS["tiny"]


def save_random(path: Path, preset: StyleGAN2Settings = TINY, resolution: int = 8, **shape: Any) -> Path:
    """A generator with random weights, noise strengths and all."""
    torch.manual_seed(5)
    network = GeneratorNetwork(replace(preset.shape(resolution), **shape))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.3)
    save_generator(path, network, {})
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen images of 8 px."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for i in range(16):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{i:02d}.png")
    return folder


def invoke(folder: Path, out: Path, *more: object, **how: Any) -> Result:
    options = ["--data", folder, "--out", out, "--preset", "tiny", "--device", "cpu", "--precision", "fp32"]
    options += ["--features", "none", *more]
    return CliRunner().invoke(
        training_command("stylegan2"), [str(o) for o in options], catch_exceptions=False, **how
    )


def failure(folder: Path, out: Path, *more: object) -> str:
    with pytest.raises(DistillError) as caught:
        invoke(folder, out, *more, standalone_mode=False)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def a_step(preset: StyleGAN2Settings = TINY) -> StyleGAN2Step:
    return StyleGAN2Step(preset, 8, seed=0)


def test_generator_and_average_start_equal_to_the_file_and_the_discriminator_fresh(tmp_path: Path) -> None:
    start = read_start(save_random(tmp_path / "a.safetensors"), TINY, 8)
    step, untouched = a_step(changed(TINY, {"noise": True})), a_step()
    step.begin_from(start)
    stored = read_checkpoint(tmp_path / "a.safetensors").state
    for network in (step.generator, step.average):
        assert all(torch.equal(tensor, stored[name]) for name, tensor in network.state_dict().items())
    for name, tensor in step.critic.network.state_dict().items():
        assert torch.equal(tensor, untouched.critic.network.state_dict()[name])


def test_without_noise_inputs_the_strengths_become_zero(tmp_path: Path) -> None:
    step = a_step()
    step.begin_from(read_start(save_random(tmp_path / "a.safetensors"), TINY, 8))
    strengths = [p for name, p in step.average.named_parameters() if name.endswith("noise_strength")]
    assert len(strengths) == 3
    assert not any(float(p) for p in strengths)


def test_a_smaller_generator_grows(tmp_path: Path) -> None:
    """At 16 px it begins as the one of 8 px, doubled, and every number of the new block learns."""
    start = read_start(save_random(tmp_path / "a.safetensors"), TINY, 8)
    step = StyleGAN2Step(changed(TINY, {"noise": True}), 16, seed=0)
    step.begin_from(read_start(tmp_path / "a.safetensors", TINY, 16))
    small = GeneratorNetwork(TINY.shape(8))
    small.load_state_dict(start.state)
    w = torch.randn(2, 1, TINY.latent)
    with torch.no_grad():
        image = small.synthesis(w.expand(-1, small.shape.num_ws, -1))
        doubled = upsample_rgb(image, small.synthesis.get_buffer("b8.resample_filter"))
        for network in (step.generator, step.average):
            grown = network.synthesis(w.expand(-1, network.shape.num_ws, -1))
            assert torch.allclose(grown, doubled, atol=1e-5)
    before = {name: tensor.clone() for name, tensor in step.generator.named_parameters() if ".b16." in name}
    for update in range(2):  # the features learn once their colours have
        step.update(
            torch.randn(TINY.batch, 3, 16, 16),
            RunPosition(seed=0, updates=update, samples=TINY.batch * update),
        )
    after = dict(step.generator.named_parameters())
    assert [name for name, tensor in before.items() if torch.equal(tensor, after[name])] == []


def test_a_foreign_checkpoint_is_a_start_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    state = read_checkpoint(save_random(tmp_path / "a.safetensors")).state
    path = write_rosinality(tmp_path / "a.pt", state)
    start = read_start(path, TINY, 8)
    assert start.sha256 == file_sha256(path)
    assert torch.equal(start.state["synthesis.b8.conv1.weight"], state["synthesis.b8.conv1.weight"])


def test_the_average_does_not_forget_its_start() -> None:
    assert for_transfer(TINY).average_ramp_up is None
    assert for_transfer(PRESETS["paper256"]).ada_kimg == 100
    assert for_transfer(changed(TINY, {"ada_kimg": 7})).ada_kimg == 7


def test_the_discriminator_gets_a_head_start(tmp_path: Path) -> None:
    assert TINY.head_start_kimg == 0
    preset = for_transfer(TINY)
    assert preset.head_start_kimg == 8
    step = a_step(preset)
    step.begin_from(read_start(save_random(tmp_path / "a.safetensors"), TINY, 8))
    before = {name: tensor.clone() for name, tensor in step.generator.state_dict().items()}
    judge = {name: tensor.clone() for name, tensor in step.critic.network.state_dict().items()}
    reals = torch.randn(preset.batch, 3, 8, 8)
    report = step.update(reals, RunPosition(seed=0, updates=1, samples=7_990))
    assert "loss_g" not in report
    assert all(torch.equal(tensor, before[name]) for name, tensor in step.generator.state_dict().items())
    assert any(
        not torch.equal(tensor, judge[name]) for name, tensor in step.critic.network.state_dict().items()
    )
    assert "loss_g" in step.update(reals, RunPosition(seed=0, updates=2, samples=8_000))
    assert any(not torch.equal(tensor, before[name]) for name, tensor in step.generator.state_dict().items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resolution": 16}, "resolution 16 there, 8 in the network to train; use --resolution 16"),
        ({"z_dim": 31}, "width of z 31 there, 32 in"),
        ({"w_dim": 30}, "width of z 32 there, 30 in"),
        ({"mapping_lr_multiplier": 0.1}, "learning-rate multiplier of the mapping 0.1 there, 0.01 in"),
    ],
)
def test_the_first_width_that_differs_is_named(
    folder: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = save_random(tmp_path / "other.safetensors", **change)
    line = failure(folder, tmp_path / "run", "--init", path)
    assert line.startswith(f"{path}: ")
    assert words in line
    assert not (tmp_path / "run").exists()


def test_a_start_brings_its_own_widths(folder: Path, tmp_path: Path) -> None:
    preset = changed(TINY, {"widths": table(24, 20), "latent": 40, "mapping_layers": 3})
    path = save_random(tmp_path / "other.safetensors", preset)
    assert invoke(folder, tmp_path / "run", "--init", path, "--kimg", "0.016").exit_code == 0
    facts = read_checkpoint(tmp_path / "run" / "generator.safetensors").facts
    assert (facts["z_dim"], facts["mapping_layers"]) == (40, 3)
    for asked, words in (
        (
            "latent=32",
            "width of z 40 there, 32 in the network to train; leave out the setting that asks for it",
        ),
        ("widths=4:24,8:12", "channels at 8 px 20 there, 12 in the network"),
    ):
        assert words in failure(folder, tmp_path / "no", "--init", path, "--set", asked)
    assert not (tmp_path / "no").exists()


def test_what_is_no_generator_is_one_line(folder: Path, tmp_path: Path) -> None:
    assert "unknown generator 'portrait'" in failure(folder, tmp_path / "run", "--init", "portrait")
    assert "not a weight file" in failure(
        folder, tmp_path / "run", "--init", folder.parent / folder / "00.png"
    )


def test_a_run_starts_there_says_so_and_resumes_with_the_same_only(folder: Path, tmp_path: Path) -> None:
    path, out = save_random(tmp_path / "a.safetensors"), tmp_path / "run"
    more = ["--init", path, "--lr", 1e-9, "--kimg"]
    plan = invoke(folder, out, *more, "0.016", "--dry-run").output
    assert f" {path}\n" in plan
    assert invoke(folder, out, *more, "0.016").exit_code == 0
    stored, trained = (read_checkpoint(file) for file in (path, out / "generator.safetensors"))
    for name, tensor in trained.state.items():
        if not name.endswith("noise_strength"):
            assert torch.allclose(tensor, stored.state[name], atol=1e-6), name
    assert (trained.facts["init"], trained.facts["init_sha256"]) == (path.name, file_sha256(path))
    without = failure(folder, out, "--kimg", "0.032", "--lr", 1e-9, "--resume")
    assert f"init_sha256 is '{file_sha256(path)}' there and None now" in without
    other = save_random(tmp_path / "b.safetensors", conv_clamp=256.0)
    assert "init_sha256 is " in failure(folder, out, "--init", other, *more[2:], "0.032", "--resume")
    assert invoke(folder, out, *more, "0.032", "--resume").exit_code == 0


def test_resuming_does_not_begin_again(folder: Path, tmp_path: Path) -> None:
    path = save_random(tmp_path / "a.safetensors")
    for name, steps in (("whole", ["0.064"]), ("halves", ["0.032", "0.064"])):
        for kimg in steps:
            options = ["--init", path, "--set", "head_start_kimg=0.016", "--kimg", kimg, "--resume"]
            invoke(folder, tmp_path / name, *options)
    whole, halves = (load_checkpoint(tmp_path / name) for name in ("whole", "halves"))
    assert whole is not None
    assert halves is not None
    start = read_checkpoint(path).state
    for name, tensor in whole[0]["step"]["generator"].items():
        assert torch.equal(tensor, halves[0]["step"]["generator"][name]), name
    moved = whole[0]["step"]["generator"]["synthesis.b4.conv1.weight"]
    assert not torch.equal(moved, start["synthesis.b4.conv1.weight"])


def test_the_z_of_pictures_are_not_the_initial_weights() -> None:
    """Both came from one stream of the seed once: the first pictures were then more contrasted than all others."""
    step, seen = StyleGAN2Step(TINY, 8, seed=3), []
    step.generator.mapping.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    list(pictures(step.generator, 32, seed=3))
    set_centre(step.generator, samples=32)
    weights = [p.flatten() for p in step.generator.parameters() if p.shape == (32, 32)]
    assert weights
    for z in seen:
        for weight in weights:
            assert abs(float(torch.corrcoef(torch.stack([z.flatten(), weight.detach()]))[0, 1])) < 0.2
