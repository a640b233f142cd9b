"""Fits to samples whose direction is known, and the linear models against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from planted import AGE, GENDER, D
from scipy.special import expit

from distill.directions.fit import ends_of, fit, judge
from distill.directions.linear import RIDGES, along, between
from distill.directions.unit import in_layers, layer_range, orthogonal, spread, to_unit
from distill.errors import DistillError


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(0)
    w = random.normal(size=(1500, D)) * np.array([1, 0.8, 0.6, 1, 0.5, 0.9]) + 3.0
    return w, expit(6 * (w - 3) @ GENDER).astype(np.float32), (40 + 12 * (w - 3) @ AGE).astype(np.float32)


@pytest.mark.parametrize(
    ("method", "least"), [("centroid", 0.9), ("logistic", 0.99), ("svm", 0.98), ("ridge", 0.97)]
)
def test_every_method_finds_the_planted_direction(samples, method, least):
    w, gender, age = samples
    for score, truth, kind in ((gender, GENDER, "probability"), (age, AGE, "value")):
        found = fit(w, score, "it", kind=kind, method=method)
        assert found.normal @ truth >= least
        assert np.linalg.norm(found.normal) == pytest.approx(1)
        seen = judge(w, score, found.normal, kind=kind)
        assert seen["faces"] == 300
        assert seen["accuracy"] > 0.9
        assert seen["correlation"] > 0.9


def test_a_rare_class_does_not_tilt_the_normal(samples):
    w, _, _ = samples
    rare = expit(6 * ((w - 3) @ GENDER - 1.2)).astype(np.float32)
    assert (rare > 0.5).mean() < 0.2
    for method in ("logistic", "svm"):
        assert fit(w, rare, "rare", kind="probability", method=method).normal @ GENDER > 0.97


def test_auto_is_logistic_for_a_probability_and_ridge_for_a_number(samples):
    w, gender, age = samples
    assert fit(w, gender, "gender", kind="probability").method == "logistic"
    assert fit(w, age, "age", kind="value").method == "ridge"


def test_the_ends_of_a_probability_are_sure_those_of_a_number_are_thirds(samples):
    _, gender, age = samples
    low, high = ends_of(gender, "probability", 0.9)
    assert gender[low].max() <= 0.1
    assert gender[high].min() >= 0.9
    assert [end.mean() for end in ends_of(age, "value")] == pytest.approx([1 / 3, 1 / 3], abs=0.01)


def test_one_class_only_is_refused_with_its_share(samples):
    w, gender, _ = samples
    with pytest.raises(DistillError, match=r"one class only: 100\.0% of 1500 faces .* raise --n"):
        fit(w, np.full_like(gender, 0.97), "gender", kind="probability")


def test_an_unknown_method_is_refused_with_the_known_ones(samples):
    w, gender, _ = samples
    with pytest.raises(DistillError, match="'pca'; known are auto, centroid, logistic, svm, ridge"):
        fit(w, gender, "gender", kind="probability", method="pca")


def test_ridge_regression_is_the_closed_form():
    random = np.random.default_rng(1)
    x = random.normal(size=(50, 3)) + 1
    y = x @ [1.0, -2.0, 0.5] + random.normal(size=50)
    slope, ridge = along(x, y)
    assert min(abs(np.log(ridge / np.array(RIDGES)))) < 1e-9
    centred = x - x.mean(axis=0)
    expected = np.linalg.solve(centred.T @ centred / 50 + ridge * np.eye(3), centred.T @ (y - y.mean()) / 50)
    np.testing.assert_allclose(slope, expected, atol=1e-12)


def test_logistic_regression_is_at_its_minimum_with_both_ends_weighing_the_same():
    random = np.random.default_rng(2)
    x = random.normal(size=(200, 4))
    high = expit(3 * x[:, 0] - 2) > random.uniform(size=200)
    normal, ridge = between(x, high, "logistic")
    sign, weights = np.where(high, 1.0, -1.0), np.where(high, 0.5 / high.sum(), 0.5 / (~high).sum())

    def slope_at(intercept):
        return -(weights * sign * expit(-(x @ normal + intercept) * sign))

    low, up = -20.0, 20.0  # the intercept at which the sum of slopes vanishes
    for _ in range(60):
        middle = (low + up) / 2
        low, up = (middle, up) if slope_at(middle).sum() < 0 else (low, middle)
    np.testing.assert_allclose(slope_at(low) @ x + ridge * normal, 0, atol=1e-4)


def test_a_support_vector_machine_looks_at_the_points_between_two_groups():
    near, far = np.array([[0.0, 1.0], [0.0, -1.0]]), np.array([[9.0, 4.0], [-9.0, -4.0]])
    x = np.concatenate([near, far] * 6)
    normal, _ = between(x, x[:, 1] > 0, "svm")
    assert normal[1] / np.linalg.norm(normal) > 0.9


def test_a_direction_is_orthogonal_to_others_in_every_layer():
    random = np.random.default_rng(3)
    vector, other = random.normal(size=(4, D)), random.normal(size=(4, D))
    others = {"other": other, "again": 2 * other, "low": in_layers(random.normal(size=D), 4, (0, 1))}
    result = orthogonal(vector, others)
    for one in others.values():
        np.testing.assert_allclose((result * one).sum(axis=1), 0, atol=1e-14)
    with pytest.raises(DistillError, match="nothing is left of the direction without other"):
        orthogonal(other, {"other": -3 * other})


def test_strength_1_is_one_standard_deviation_of_w():
    random = np.random.default_rng(4)
    w = random.normal(size=(4000, D)) * np.arange(1, D + 1)
    vector = to_unit(in_layers(np.eye(D)[2] * 17, 4, (1, 2)), w)
    assert not vector[0].any()
    assert not vector[3].any()
    np.testing.assert_allclose(np.linalg.norm(vector[1:3], axis=1), w[:, 2].std())
    assert spread(w, vector) == pytest.approx(w[:, 2].std())
    tilted = to_unit(in_layers(np.array([1.0, 1, 0, 0, 0, 0]), 4, (0, 3)), w)
    assert np.linalg.norm(tilted[0]) == pytest.approx((w[:, :2].sum(axis=1) / np.sqrt(2)).std())


@pytest.mark.parametrize(
    ("text", "layers"), [("0-7", (0, 7)), ("all", (0, 9)), ("4", (4, 4)), ("8-17", (8, 9))]
)
def test_layers_are_cut_at_the_last_one(text, layers):
    assert layer_range(text, 10) == layers


@pytest.mark.parametrize("text", ["", "7-3", "10-12", "a-b", "-1", "0-"])
def test_other_layers_are_refused(text):
    with pytest.raises(DistillError, match="layers"):
        layer_range(text, 10)
