"""Scores of pairs: known values, independence of batches, what is left out; baselines, kernel distance, faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data
from skimage.metrics import structural_similarity

from distill.attributes import face_scores
from distill.attributes.face_scores import FaceScores
from distill.attributes.protocol import Kind
from distill.faces.detection import Face
from distill.metrics.features import Features, load_features
from distill.metrics.kernel import kernel_distance
from distill.metrics.pairs import PairScores, copy_content, mean_of_inputs
from distill.networks.losses import perceptual_distance
from distill.networks.perceptual import load_perceptual


class Halves:
    """Perceptual features: the picture itself and its 2x2 averages."""

    name = "halves"
    weights = (1.0, 1.0)

    def __call__(self, images, /):
        return [images, torch.nn.functional.avg_pool2d(images, 2)]


def images(seed: int, count: int = 7, side: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def scored(output: torch.Tensor, target: torch.Tensor, batch: int = 7) -> dict[str, float]:
    scores = PairScores(perceptual=Halves(), features=load_features("pixels8"))
    for first in range(0, len(output), batch):
        scores.add(output[first : first + batch], target[first : first + batch])
    return scores.result()


def test_equal_pairs_and_known_differences() -> None:
    found = scored(images(0), images(0))
    assert found == pytest.approx(
        {"l1": 0, "ssim": 1, "perceptual_halves": 0, "frechet_pixels8": 0}, abs=1e-6
    )
    black, white = torch.full((2, 3, 16, 16), -1.0), torch.full((2, 3, 16, 16), 1.0)
    assert scored(black, white)["l1"] == pytest.approx(1)  # of 0..1
    assert scored(white * 3, white)["l1"] == 0  # what a display would clip is clipped


def test_scores_are_those_of_the_measures_themselves() -> None:
    a, b = images(0), images(1)
    found = scored(a, b)
    to_01 = [((x + 1) / 2).permute(0, 2, 3, 1).double().numpy() for x in (a, b)]
    ssims = [
        structural_similarity(
            x, y, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for x, y in zip(*to_01, strict=True)
    ]  # fmt: skip
    assert found["ssim"] == pytest.approx(np.mean(ssims), abs=1e-6)
    assert found["l1"] == pytest.approx(np.abs(to_01[0] - to_01[1]).mean(), abs=1e-6)
    expected = perceptual_distance(Halves()(a), Halves()(b)).mean().item()
    assert found["perceptual_halves"] == pytest.approx(expected)


@pytest.mark.parametrize("batch", [1, 3])
def test_batches_do_not_matter(batch: int) -> None:
    assert scored(images(0), images(1), batch) == pytest.approx(scored(images(0), images(1)), rel=1e-5)


def test_what_cannot_be_scored_is_left_out() -> None:
    nothing = PairScores(perceptual=load_perceptual("none"), features=None)
    assert nothing.result() == {}
    nothing.add(images(0), images(1))
    assert list(nothing.result()) == ["l1", "ssim"]
    single = PairScores(perceptual=None, features=load_features("pixels8"))
    single.add(images(0, 1), images(1, 1))
    assert list(single.result()) == ["l1", "ssim"]  # one pair has no covariance
    with pytest.raises(ValueError, match="shape"):
        nothing.add(images(0), images(1, 6))


def test_inception_features_give_kid_too() -> None:
    of_pixels = load_features("pixels8").extract
    scores = PairScores(perceptual=None, features=Features("inception", of_pixels))
    scores.add(images(0), images(1))
    assert {"frechet_inception", "kernel_inception"} <= set(scores.result())


def test_baselines() -> None:
    a, b = images(0), images(1)
    both = torch.cat([a, b], dim=1)
    assert torch.equal(copy_content(both), a)
    assert torch.allclose(mean_of_inputs(both), (a + b) / 2)
    assert torch.equal(mean_of_inputs(a), copy_content(a))


def test_kernel_distance_against_all_pairs_and_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.metrics.kernel.BLOCK", 4)
    random = np.random.default_rng(0)
    a, b = random.normal(size=(9, 5)), random.normal(1, 1, size=(6, 5))

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (x @ y / 5 + 1) ** 3

    def within(x: np.ndarray) -> float:
        return float(np.mean([kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]))

    expected = within(a) + within(b) - 2 * np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(expected)
    same = [kernel_distance(*random.normal(size=(2, 20, 5))) for _ in range(200)]
    assert abs(np.mean(same)) < 0.1 * expected  # unbiased: no floor for few images
    with pytest.raises(ValueError, match="at least two"):
        kernel_distance(a[:1], b)


class Brightness:
    """A scorer of faces; the brightness of a picture stands for what a network would say."""

    kinds: Mapping[str, Kind] = {"brightness": "value"}

    def __call__(self, pictures: NDArray[np.uint8], faces: list[Face | None], /) -> dict[str, NDArray[Any]]:
        assert all(found is not None for found in faces)
        return {"brightness": pictures.mean(axis=(1, 2, 3)) / 255}


def test_faces_near_and_far_and_rows_without_one() -> None:
    face = data.astronaut()[:256, 96:352]  # one face
    turned = np.ascontiguousarray(face[:, ::-1])
    blank = np.zeros_like(face)

    scores = FaceScores(scorer=Brightness())
    content = np.stack([face, blank, turned])
    scores.add(
        content, {"copy": content, "target": np.stack([blank] * 3)}, only=np.array([True, True, False])
    )
    assert (scores.faces, scores.without) == (1, 1)
    assert scores.between_people() is None
    found = scores.result()
    assert found["copy"]["identity_distance"] == 0
    assert found["copy"]["same_person"] == 1
    assert found["target"]["identity_distance"] > face_scores.SAME_PERSON
    assert found["target"]["same_person"] == 0
    assert found["target"]["brightness_miss"] == 0
    assert found["copy"]["brightness_moved"] == 0
    assert found["target"]["brightness_moved"] == pytest.approx(-face.mean() / 255)
    assert found["copy"]["brightness_miss"] == pytest.approx(face.mean() / 255)
    scores.add(content[2:], {"copy": content[2:], "target": content[2:]})
    assert scores.between_people() is not None
