"""Which two of five pictures are selected, and what drops a candidate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attribute_edits import Redness, batch_of, pictures

from distill.errors import DistillError
from distill.generation.batch import Batch
from distill.generation.selections.base import check_scorer
from distill.generation.selections.pair import Apart, OfOneAttribute, Opposite, select_pairs

NAN = float("nan")


@pytest.mark.parametrize(
    ("probabilities", "found"),
    [
        ([0.01, 0.2, 0.5, 0.8, 0.99], (0, 4)),
        ([0.04, 0.02, 0.5, 0.97, 0.95], (1, 3)),
        ([0.99, 0.8, 0.5, 0.2, 0.01], (4, 0)),
        ([0.0, 0.0, 0.3, 1.0, 1.0], (1, 3)),
        ([NAN, 0.05, 0.5, NAN, 0.92], (1, 4)),
        ([0.05, 0.2, 0.5, 0.8, 0.89], "uncertain"),
        ([0.11, 0.2, 0.5, 0.8, 0.99], "uncertain"),
        ([0.6, 0.7, 0.8, 0.9, 0.99], "same"),
        ([0.01, 0.1, 0.2, 0.3, 0.5], "same"),
        ([NAN, NAN, 0.95, 0.97, 0.99], "same"),
    ],
)
def test_opposite_ends_are_the_most_certain_of_either_class(probabilities: list[float], found: Any) -> None:
    assert Opposite(attribute="gender", min_confidence=0.9).choose(np.float32(probabilities)) == found


@pytest.mark.parametrize(
    ("ages", "found"),
    [
        ([20, 25, 30, 40, 55], (0, 4)),
        ([30, 22, 35, 50, 45], (1, 3)),
        ([NAN, 22, 35, NAN, 45], (1, 4)),
        ([20, 25, 30, 35, 39.9], "too-close"),
        ([70, 60, 50, 40, 20], "too-close"),
        ([60, 20, 30, 45, 30], (1, 3)),
        ([NAN, NAN, 20, NAN, 60], (2, 4)),
    ],
)
def test_distant_ends_rise_along_the_direction(ages: list[float], found: Any) -> None:
    assert Apart(attribute="age", source="lower", min_gap=20).choose(np.float32(ages)) == found


def selected(
    selection: OfOneAttribute, scorer: Any, *reds: list[int], ends: list[int], finder: Any = None
) -> Batch:
    batch = batch_of(pictures(*reds), source_end=np.array(ends))
    if finder:
        batch.find_faces(list(batch.images), finder)
    select_pairs(batch, selection, scorer)
    return batch


def red_of(batch: Batch, role: str) -> list[int]:
    shown = batch.images[role][:, 0, 0, 0].tolist()
    assert batch.host(role)[:, 0, 0, 0].tolist() == shown
    return shown


def test_the_chosen_pictures_become_source_and_target_either_way_round() -> None:
    settings = Opposite(attribute="gender", find_faces=False)
    reds = [100, 110, 127, 140, 160], [100, 90, 127, 170, 160], [100, 110, 127, 128, 129]
    batch = selected(settings, Redness(), *reds, ends=[0, 1, 1])
    assert batch.reasons == [None, None, "gender.uncertain"]
    assert red_of(batch, "source")[:2] == [100, 170]
    assert red_of(batch, "target")[:2] == [160, 90]
    assert batch.params["source_picture"][:2].tolist() == [0, 3]
    assert batch.params["target_picture"][:2].tolist() == [4, 1]
    assert batch.params.keys() == {"source_picture", "target_picture"}
    assert batch.scores["gender"].shape == batch.scores["age"].shape == (3, 5)
    assert np.isfinite(batch.scores["gender"]).all(), "also of candidates that are dropped"


@pytest.mark.parametrize(("source", "first"), [("lower", 40), ("higher", 200)])
def test_age_has_a_source_of_its_own_choice(source: Any, first: int) -> None:
    settings = Apart(attribute="age", find_faces=False, source=source, min_gap=20)
    batch = selected(settings, Redness(), [40, 60, 90, 120, 200], [90, 91, 92, 93, 94], ends=[1, 0])
    assert batch.reasons == [None, "age.too-close"]
    assert red_of(batch, "source")[0] == first


class Finder:
    """Finds one face in every picture that is not black, and counts how often it looks."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: Any) -> list[Any]:
        self.calls += 1
        return ["face"] if image.any() else []


class Strict(Redness):
    def __call__(self, images: Any, faces: Any, /) -> dict[str, Any]:
        scores = super().__call__(images, faces)
        missing = np.array([face is None for face in faces])
        return {name: np.where(missing, np.float32("nan"), values) for name, values in scores.items()}


def test_pictures_without_a_face_have_no_score_and_one_face_is_no_pair() -> None:
    finder = Finder()
    reds = [0, 100, 120, 150, 170], [0, 0, 0, 0, 170], [0, 0, 0, 0, 0]
    batch = selected(Opposite(attribute="gender"), Strict(), *reds, ends=[0, 0, 0], finder=finder)
    assert batch.reasons == [None, "face.none", "face.none"]
    assert np.isnan(batch.scores["gender"]).sum(axis=1).tolist() == [1, 4, 5]
    assert red_of(batch, "source")[0] == 100
    assert finder.calls == 15
    batch.find_faces(["source", "target"], finder)  # type: ignore[arg-type]
    assert batch.faces_in("source", 0) == batch.faces_in("target", 0) == ["face"]
    assert finder.calls == 15, "what was found is not looked for again"


def test_an_attribute_that_the_scorer_does_not_give_is_refused_with_those_it_gives() -> None:
    with pytest.raises(DistillError, match=r"unknown attribute 'smile': .*gender, age"):
        check_scorer(Opposite(attribute="smile", find_faces=False), Redness())
    with pytest.raises(DistillError, match="need a scorer"):
        check_scorer(Opposite(attribute="gender"), None)
