"""A critic on frozen features: what it sees, what it learns, and that a run with it resumes exactly."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from state_differences import differences

from distill.cli.train import training_command
from distill.networks.efficientnet_lite import FoldedConv, lite0_file
from distill.stylegan2.projected import ProjectedFeatures, ProjectedHeads, with_deviations
from distill.training.checkpoint import load_checkpoint
from distill.training.position import RunPosition
from distill.training.settings import changed
from distill.training.stylegan2.losses import beyond_range, hinge_discriminator, hinge_generator
from distill.training.stylegan2.settings import PRESETS, table, with_projected_critic
from distill.training.stylegan2.step import StyleGAN2Step
from distill.weights.state_files import read_state

pytestmark = pytest.mark.usefixtures("pages_without_curves")

TINY = changed(
    with_projected_critic(PRESETS["tiny"]), {"widths": table(16, 16, 16), "batch": 4, "ada_p": 0.0}
)


@pytest.fixture(scope="module")
def features() -> ProjectedFeatures:
    return ProjectedFeatures(read_state(lite0_file("tests with")).tensors, 64)


def test_hinge_losses_of_known_logits() -> None:
    real, fake = torch.tensor([[2.0, 0.5]]), torch.tensor([[-3.0, 0.25]])
    assert float(hinge_discriminator(real, fake)) == pytest.approx(0.5 / 2 + 1.25 / 2)
    assert float(hinge_generator(fake)) == pytest.approx(2.75 / 2)


def test_values_within_range_cost_nothing_and_beyond_it_their_square() -> None:
    assert float(beyond_range(torch.tensor([-1.0, 0.3, 1.0]))) == 0
    assert float(beyond_range(torch.tensor([-3.0, 1.5, 0.0, 0.9]))) == pytest.approx((4 + 0.25) / 4)


def test_four_scales_and_sixteen_places_each(features: ProjectedFeatures) -> None:
    maps = features(torch.zeros(2, 3, 64, 64))
    assert [tuple(x.shape) for x in maps] == [
        (2, 32, 32, 32),
        (2, 64, 16, 16),
        (2, 128, 8, 8),
        (2, 256, 4, 4),
    ]
    assert ProjectedHeads(64, group=2)(maps).shape == (2, 64)


@pytest.mark.parametrize("resolution", [16, 128, 256])
def test_any_resolution_is_judged_in_sixteen_places(resolution: int) -> None:
    features = ProjectedFeatures(read_state(lite0_file("tests with")).tensors, resolution)
    assert ProjectedHeads(resolution, group=4)(features(torch.zeros(1, 3, resolution, resolution))).shape == (
        1,
        64,
    )


def test_deviations_of_known_samples_stay_within_their_group() -> None:
    x = torch.zeros(4, 1, 1, 2)
    x[0, 0, 0], x[1, 0, 0] = torch.tensor([1.0, 5.0]), torch.tensor([3.0, 5.0])
    seen = with_deviations(x, group=2)
    assert torch.equal(seen[:, :1], x)
    assert seen[:2, 1].flatten(1).tolist() == [pytest.approx([1.0, 0.0], abs=1e-3)] * 2
    assert seen[2:, 1].flatten().tolist() == pytest.approx([0.0] * 4, abs=1e-3)


def test_equal_samples_are_told_from_different_ones(features: ProjectedFeatures) -> None:
    random = torch.Generator().manual_seed(0)
    maps = features(torch.rand(4, 3, 64, 64, generator=random) * 2 - 1)
    heads = ProjectedHeads(64, group=4).eval()
    alone = heads([x[:1].repeat(4, 1, 1, 1) for x in maps])
    assert torch.allclose(alone[0], alone[3])
    assert not torch.allclose(alone[0], heads(maps)[0], atol=1e-3)  # the same sample, in other company


def test_the_mixing_is_the_same_every_time_and_nothing_of_it_is_trained(features: ProjectedFeatures) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    again = ProjectedFeatures(read_state(lite0_file("tests with")).tensors, 64)
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, tensor in features.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert not any(p.requires_grad for p in features.parameters())


def test_the_detour_of_a_strided_depthwise_convolution_changes_rounding_only() -> None:
    random = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(8, 1, 5, 5, generator=random), torch.randn(8, generator=random)
    conv = FoldedConv(weight, bias, stride=2, groups=8)
    x = torch.randn(2, 8, 12, 12, generator=random)
    detour = x.clone().requires_grad_()
    assert torch.allclose(conv(detour), conv(x), atol=1e-5)
    plain = x.clone().requires_grad_()
    padded = torch.nn.functional.pad(plain, conv.padding)
    wanted = torch.nn.functional.relu6(torch.nn.functional.conv2d(padded, weight, bias, stride=2, groups=8))
    cotangent = torch.randn(wanted.shape, generator=random)
    (mine,) = torch.autograd.grad(conv(detour), detour, cotangent)
    (theirs,) = torch.autograd.grad(wanted, plain, cotangent)
    assert torch.allclose(mine, theirs, atol=1e-5)


def test_the_heads_learn_to_tell_two_sets_apart_and_the_generator_follows_them() -> None:
    step = StyleGAN2Step(TINY, 16, seed=0)
    reals = torch.full((4, 3, 16, 16), -0.8) + 0.1 * torch.randn(4, 3, 16, 16)
    untouched = copy.deepcopy(step.generator.state_dict())
    place = RunPosition(seed=0, updates=0, samples=0)
    losses = []
    for _ in range(12):
        found, _ = step.critic.learn(reals, -reals)
        losses.append(float(found["loss_d"]))
    assert losses[-1] < 0.5 * losses[0]
    images = (-reals).requires_grad_()
    (gradient,) = torch.autograd.grad(step.critic.generator_loss(images), images)
    better = (-reals - 0.02 * gradient.sign()).detach()
    assert float(step.critic.generator_loss(better)) < float(step.critic.generator_loss(-reals))
    step.update(reals, place)
    assert differences(untouched, step.generator.state_dict()) != []


def run(folder: Path, out: Path, kimg: str, *more: str) -> str:
    options = ["--preset", "tiny", "--critic", "projected", "--batch", "4", "--precision", "fp32", "--resume"]
    places = ["--data", str(folder), "--out", str(out), "--kimg", kimg]
    result = CliRunner().invoke(
        training_command("stylegan2"), [*options, *places, *more], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "images"
    place.mkdir()
    random = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(place / f"{i:02}.png")
    return place


def test_pieces_give_the_weights_of_the_whole(folder: Path, tmp_path: Path) -> None:
    for name, parts in (("whole", ["0.016"]), ("pieces", ["0.008", "0.016"])):
        for kimg in parts:
            run(folder, tmp_path / name, kimg, "--features", "none")
    whole, pieces = (load_checkpoint(tmp_path / name) for name in ("whole", "pieces"))
    assert whole is not None
    assert pieces is not None
    assert differences(whole[0], pieces[0]) == []
    assert whole[0]["settings"]["critic"] == "projected"


@pytest.mark.parametrize(("features", "flattered"), [("efficientnet_lite0", True), ("pixels8", False)])
def test_a_score_of_the_critics_own_features_is_called_flattering(
    folder: Path, tmp_path: Path, features: str, flattered: bool
) -> None:
    more = ["--features", features, "--held-out", "4", "--score-images", "4"]
    assert ("the score flatters" in run(folder, tmp_path / "run", "0.004", *more)) is flattered
