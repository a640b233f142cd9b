"""Who reads which attribute of a student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pytest
from comparisons import lit_face

from distill.attributes.judge import Judge
from distill.attributes.protocol import Kind
from distill.evaluation.response.judges import open_response_judges
from distill.faces.detection import FaceDetector
from distill.networks.edits import condition_of

CONDITIONS = (condition_of("hat", "probability", 1.0), condition_of("age", "value", 30.0))


class Hats:
    """Everybody wears a hat, and some a beard."""

    names: Sequence[str] = ("beard", "hat")
    kinds: Mapping[str, Kind] = MappingProxyType({"beard": "probability", "hat": "probability"})
    sha256, needs_face = "ab" * 32, True

    def __call__(self, images, faces):
        return {name: np.ones(len(images), np.float32) for name in self.names}


def test_the_builtin_scorer_reads_what_the_named_one_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    hats = Judge(name="hats", scorer=Hats(), hashes=frozenset({"ab" * 32}))
    monkeypatch.setattr("distill.evaluation.response.judges.open_judge", lambda source, device: hats)
    judges = open_response_judges("hats", CONDITIONS, device="cpu")
    assert judges.line() == "hats for hat and beard; builtin for age"
    assert judges.kind("age") == "value"
    assert judges.unknown == []
    image = lit_face(120)
    scores = judges.read([image, image], FaceDetector()(image)[0])
    assert list(scores) == ["hat", "age", "beard"]
    assert scores["hat"].tolist() == [1, 1]
    assert 1 < scores["age"][0] == scores["age"][1] < 90
    selected = {"scorer": "builtin"}
    assert [each["selected_data"] for each in judges.facts(selected).values()] == [False, True, False]
    notes = judges.notes(selected)
    assert notes[0].startswith("hat, beard: judged by the scorer hats, which did not select the data")
    assert notes[1].startswith("Warning: age: judged by the scorer builtin, which also selected the data")


def test_the_builtin_scorer_alone_is_opened_once() -> None:
    judges = open_response_judges("builtin", (*CONDITIONS[1:], CONDITIONS[0]), device="cpu")
    assert judges.line() == "builtin for age and gender"
    assert judges.unknown == ["hat"]
