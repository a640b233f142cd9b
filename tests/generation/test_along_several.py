"""What is asked of a candidate along several directions, and what a measured change must be to count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from attribute_edits import Redness, batch_of, pictures

from distill.directions.file import Direction
from distill.errors import DistillError
from distill.generation.edits.along_several import AlongSeveral, NamedDirection
from distill.generation.selections.measured import MeasuredChanges

NAMES = ("gender", "age", "smile")
NAN = float("nan")


def edit(*vectors: torch.Tensor, **settings: Any) -> AlongSeveral:
    known = list(zip(NAMES, vectors, strict=False))
    directions = [
        Direction(name=name, attribute=name, vector=vector, generator_sha256="ab" * 32, sha256="cd" * 32)
        for name, vector in known
    ]
    named = tuple(NamedDirection(attribute=name, direction=name, sha256="cd" * 32) for name, _ in known)
    attributes = tuple(name for name, _ in known)
    return AlongSeveral(attributes=attributes, directions=named, **settings).ready(directions)


def strengths(found: AlongSeveral, candidates: range) -> np.ndarray:
    drawn = found.sample(7, 3, candidates)
    assert list(drawn) == [f"strength_{name}" for name in found.attributes]
    return np.stack(list(drawn.values()), axis=1)


def test_one_or_two_attributes_are_asked_for_evenly_by_strengths_of_either_sign() -> None:
    drawn_NK = strengths(edit(*[torch.ones(6, 3)] * 3, strength=2.0), range(3000))
    asked_NK = drawn_NK != 0
    counts = np.bincount(asked_NK.sum(axis=1), minlength=4)
    assert counts[0] == counts[3] == 0
    np.testing.assert_allclose(counts[1:3], 1500, atol=120)
    np.testing.assert_allclose(asked_NK.sum(axis=0), 1500, atol=120)
    for k in range(3):
        quarters = np.histogram(drawn_NK[asked_NK[:, k], k], bins=4, range=(-2, 2))[0]
        np.testing.assert_allclose(quarters / quarters.sum(), 0.25, atol=0.04)


def test_what_is_asked_of_a_candidate_hangs_on_its_number_alone() -> None:
    found = edit(*[torch.ones(6, 3)] * 3)
    all_of_them = strengths(found, range(200))
    np.testing.assert_array_equal(strengths(found, range(150, 160)), all_of_them[150:160])
    assert (strengths(edit(torch.ones(6, 3)), range(50)) != 0).all(), "one attribute is always asked for"


def test_the_target_is_the_source_and_each_direction_by_its_strength() -> None:
    vectors = [torch.zeros(6, 3), torch.zeros(6, 3)]
    vectors[0][3:5], vectors[1][2:] = torch.randn(2, 3), torch.randn(4, 3)
    parents = torch.randn(2, 1, 6, 3)
    params = {"strength_gender": np.float32([2, 0]), "strength_age": np.float32([-1, 0.5])}
    found = edit(*vectors)
    ws = found.apply(parents, params)
    assert torch.equal(ws["source"], parents[:, 0])
    moved = torch.stack([2 * vectors[0] - vectors[1], 0.5 * vectors[1]])
    assert torch.allclose(ws["target"] - ws["source"], moved, atol=1e-6)
    assert found.shared_layers == 2


def test_a_direction_that_is_another_file_here_is_refused() -> None:
    found = edit(torch.ones(6, 3), torch.ones(6, 3))
    with pytest.raises(DistillError, match="the direction 'gender' is missing here"):
        found.ready([])


RULE = MeasuredChanges(
    attributes=("gender", "age"), kinds=("probability", "value"), min_changes=(0.25, 6.0), find_faces=False
)


@pytest.mark.parametrize(
    ("changes", "asked", "fault"),
    [
        ([0.4, 0], [1.0, 0], None),
        ([-0.25, 30], [-0.1, 0], None),
        ([0.4, -7], [1.0, -2.0], None),
        ([0.2, 0], [2.0, 0], "gender.too-little"),
        ([0.9, 5.9], [2.0, 1.0], "age.too-little"),
        ([-0.1, 0], [2.0, 0], "gender.too-little"),
        ([-0.9, 0], [2.0, 0], "gender.against"),
        ([0.9, 8], [2.0, -1.0], "age.against"),
        ([NAN, NAN], [2.0, 0], "face.none"),
    ],
)
def test_asked_changes_must_be_large_enough_and_of_the_right_sign(
    changes: list[float], asked: list[float], fault: str | None
) -> None:
    assert RULE.fault(np.float32(changes), np.float32(asked)) == fault
    assert fault is None or fault in RULE.reasons


def test_both_pictures_are_scored_and_drops_keep_their_scores() -> None:
    drawn = pictures([100, 160], [100, 101])
    batch = batch_of(
        {"source": drawn["strength0"], "target": drawn["strength1"]},
        strength_gender=np.float32([1.0, 1.0]),
        strength_age=np.float32([0.0, 0.0]),
    )
    RULE.judge(batch, Redness())
    assert batch.reasons == [None, "gender.too-little"]
    assert batch.scores["gender"].shape == batch.scores["age"].shape == (2, 2)
    np.testing.assert_allclose(batch.scores["age"][0], np.float32([100, 160]) * 80 / 255, rtol=1e-5)
