"""The parts of train-classifier: splits that keep their promises, temperatures and errors that mean something."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest

from distill.attributes.calibration import (
    calibration,
    class_calibration,
    error_by_chance,
    fit_class_temperature,
    tempered,
)
from distill.attributes.classifier.judge import judge, mistakes, wilson
from distill.attributes.classifier.regression import (
    FOLDS,
    LabelledFeatures,
    find_penalty,
    folds_of,
    left_out_logits,
)
from distill.attributes.classifier.split import PARTS, split_rows
from distill.errors import DistillError


def parts(labels: list[str], groups: list[str], seed: int = 0) -> dict[str, list[int]]:
    split = split_rows(labels, groups, validation=0.2, test=0.2, seed=seed)
    return {part: getattr(split, part).tolist() for part in PARTS}


def test_each_class_is_split_in_the_same_shares() -> None:
    labels = ["a"] * 100 + ["b"] * 10
    found = parts(labels, [str(row) for row in range(110)])
    assert sorted(row for rows in found.values() for row in rows) == list(range(110))
    for part, (a, b) in {"train": (60, 6), "validation": (20, 2), "test": (20, 2)}.items():
        assert Counter(labels[row] for row in found[part]) == {"a": a, "b": b}
    assert parts(labels, [str(row) for row in range(110)]) == found
    assert parts(labels, [str(row) for row in range(110)], seed=1) != found


def test_a_group_is_never_parted() -> None:
    labels, groups = ["a", "a", "a", "a", "b", "b", "b", "b"] * 15, [str(row // 4) for row in range(120)]
    found = parts(labels, groups)
    places = Counter(group for rows in found.values() for group in {groups[row] for row in rows})
    assert set(places.values()) == {1}
    with pytest.raises(DistillError, match=r"train part has 0 pictures of class 'a'.*smaller groups"):
        parts(labels, labels)


def planted(count: int, classes: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(logits), and logits that are `temperature` times as large."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (count, classes))
    sums = tempered(logits, 1).cumsum(axis=1)
    truth = np.minimum((rng.random((count, 1)) > sums).sum(axis=1), classes - 1)
    return logits * temperature, truth


@pytest.mark.parametrize(("classes", "temperature"), [(2, 3.0), (5, 0.5)])
def test_a_planted_temperature_is_found_for_any_number_of_classes(classes: int, temperature: float) -> None:
    logits, truth = planted(4000, classes, temperature)
    found = fit_class_temperature(logits, truth)
    assert found == pytest.approx(temperature, rel=0.1)
    assert class_calibration(tempered(logits, found), truth).error < 0.03
    assert class_calibration(tempered(logits, 1), truth).error > 0.05


def test_few_pictures_without_a_mistake_do_not_give_certainty() -> None:
    truth = np.repeat([0, 1], 10)
    logits = np.where(np.arange(2) == truth[:, None], 5.0, -5.0)
    p = tempered(logits, fit_class_temperature(logits, truth))
    assert p.max() == pytest.approx(11 / 12, abs=0.01)


def test_two_classes_are_calibrated_as_a_yes_and_a_no() -> None:
    logits, truth = planted(300, 2, 2.0)
    p = tempered(logits, 1)
    both, yes = class_calibration(p, truth), calibration(p[:, 1], truth == 1)
    assert (both.error, both.accuracy) == (pytest.approx(yes.error), pytest.approx(yes.accuracy))


def test_even_true_probabilities_show_an_error_for_few_pictures() -> None:
    logits, truth = planted(60, 2, 1.0)
    chance = error_by_chance(tempered(logits, 1), seed=0, draws=50)
    assert 0.02 < chance < 0.2
    assert class_calibration(tempered(logits, 1), truth).error < 2.5 * chance


def test_a_judgement_counts_what_is_there() -> None:
    logits = np.log([[0.91, 0.09], [0.2, 0.8], [0.3, 0.7], [0.05, 0.95]])
    truth = np.array([0, 0, 1, 1])
    found = judge(logits, truth, 1.0, seed=0)
    assert found.confusion == [[1, 1], [0, 2]]
    assert (found.accuracy, found.balanced) == (0.75, 0.75)
    assert (found.sure, found.sure_accuracy) == (2, 1.0)
    assert found.error == pytest.approx((0.09 + 0.3 + 0.8 + 0.05) / 4)
    assert sum(part.count for part in found.bins) == 4
    wrong = mistakes(logits, truth, 1.0, ["p", "q", "r", "s"], ["a", "b"])
    assert wrong == [{"file": "q", "label": "a", "told": "b", "confidence": 0.8}]
    assert wilson(8, 10) == (pytest.approx(0.4902, abs=1e-3), pytest.approx(0.9433, abs=1e-3))


def test_pictures_are_told_by_layers_that_have_not_seen_them() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 200)
    x = rng.normal(0, 1, (200, 40))
    x[:, 0] += 2 * truth  # the one feature that tells, among 39 that a layer can learn by heart
    pictures = LabelledFeatures(x=x, others=[], truth=truth, classes=2)
    rows, groups, go_on = np.arange(200), [str(row) for row in range(200)], threading.Event()
    penalty, loss = find_penalty(pictures, rows[:120], rows[120:], stop=go_on)
    assert 1e-3 < penalty < 0.5
    assert loss < 0.55
    seen, unseen = 1e-4, left_out_logits(pictures, rows, groups, 1e-4, stop=go_on)
    layer = pictures.learn(rows, seen)
    by_heart = class_calibration(tempered(layer(x), 1), truth)
    honest = class_calibration(tempered(unseen, 1), truth)
    assert by_heart.accuracy > honest.accuracy
    mended = tempered(unseen, fit_class_temperature(unseen, truth))
    assert class_calibration(mended, truth).error < honest.error


def test_folds_have_all_classes_and_keep_groups_together() -> None:
    truth, groups = [0] * 30 + [1] * 10, [str(row // 2) for row in range(40)]
    folds = folds_of(truth, groups)
    for fold in range(FOLDS):
        assert Counter(np.array(truth)[folds == fold].tolist()) == {0: 6, 1: 2}
    assert (folds[::2] == folds[1::2]).all()
