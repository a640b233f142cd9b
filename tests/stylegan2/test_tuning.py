"""Tuning a generator to an image, and the file of what was changed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distill.errors import DistillError
from distill.networks.image_distance import FeatureDistance
from distill.networks.perceptual import load_perceptual
from distill.stylegan2.delta import load_delta, tuned_generator, write_delta
from distill.stylegan2.generator import Generator
from distill.stylegan2.tuning import TunedWeights, tune
from distill.weights.safetensors_file import write_tensors


class Plain(FeatureDistance):
    """The mean squared difference of pixels, in place of a network."""

    def __init__(self) -> None:
        super().__init__(load_perceptual("none"))

    def features(self, images_NCHW: Tensor) -> list[Tensor]:
        return [images_NCHW]

    def distance(self, found, wanted) -> Tensor:
        return (found[0] - wanted[0]).square().mean(dim=(1, 2, 3))


@pytest.fixture(scope="module")
def pivot(tiny_teacher: Generator) -> tuple[Tensor, Tensor]:
    """A latent, and an image near what it draws."""
    ws = tiny_teacher.map(
        torch.randn(1, tiny_teacher.z_dim, generator=torch.Generator().manual_seed(5))
    ).clone()
    return ws[0], (tiny_teacher.synthesize(ws)[0] * 0.8).clone()


@pytest.fixture(scope="module")
def tuned(tiny_teacher: Generator, pivot) -> TunedWeights:
    return tune(tiny_teacher, pivot[1], pivot[0], distance=Plain(), bound=0.0, steps=30)


def missed(generator: Generator, pivot) -> float:
    return float((generator.synthesize(pivot[0][None])[0] - pivot[1]).square().mean())


def test_the_tuned_generator_draws_the_image_and_its_parent_stays(tiny_teacher, pivot, tuned):
    before = missed(tiny_teacher, pivot)
    child = tuned_generator(tiny_teacher, tuned.changes)
    assert missed(child, pivot) < 0.5 * before
    assert missed(tiny_teacher, pivot) == before
    assert all(name.startswith("synthesis.") for name in tuned.changes)
    assert not any("noise_const" in name for name in tuned.changes)


def test_tuning_stops_at_its_bound(tiny_teacher, pivot, tuned):
    start = missed(tiny_teacher, pivot)
    soon = tune(tiny_teacher, pivot[1], pivot[0], distance=Plain(), bound=0.7 * start, steps=30)
    assert 0 < soon.steps < tuned.steps == 30
    never = tune(tiny_teacher, pivot[1], pivot[0], distance=Plain(), bound=10.0, steps=30)
    assert (never.steps, never.changes) == (0, {})


def test_a_delta_gives_the_same_generator_again(tiny_teacher, pivot, tuned, tmp_path):
    path = tmp_path / "me.delta.safetensors"
    write_delta(path, tuned.changes, tiny_teacher)
    child, again = tuned_generator(tiny_teacher, tuned.changes), load_delta(path, tiny_teacher)
    ws = pivot[0][None]
    assert torch.equal(child.synthesize(ws), again.synthesize(ws))
    assert again.sha256 != tiny_teacher.sha256
    assert again.precision == tiny_teacher.precision
    exact = (
        tiny_teacher.network.state_dict()["synthesis.b4.conv1.weight"]
        + tuned.changes["synthesis.b4.conv1.weight"]
    )
    assert torch.allclose(again.network.state_dict()["synthesis.b4.conv1.weight"], exact, atol=1e-5)


def test_a_delta_of_another_parent_is_refused_in_a_line(tiny_teacher, tuned, tmp_path):
    path = tmp_path / "me.delta.safetensors"
    stranger = tuned_generator(tiny_teacher, {}, sha256="cd" * 32)
    write_delta(path, tuned.changes, stranger)
    with pytest.raises(
        DistillError, match="a delta to the generator with sha256 cdcdcdcdcdcd…, this one"
    ) as caught:
        load_delta(path, tiny_teacher)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_delta_are_refused(tiny_teacher, tuned, tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    write_tensors(tmp_path / "other.safetensors", tuned.changes, {"format": "else"})
    write_delta(tmp_path / "odd.safetensors", {"synthesis.b4.conv1.bias": torch.zeros(3)}, tiny_teacher)
    for name, message in (
        ("notes.txt", "not a weight file"),
        ("other.safetensors", "not a delta of a generator"),
        ("odd.safetensors", "adds to synthesis.b4.conv1.bias what does not fit"),
    ):
        with pytest.raises(DistillError, match=message):
            load_delta(tmp_path / name, tiny_teacher)
