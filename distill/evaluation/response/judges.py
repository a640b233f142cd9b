"""Who reads which attribute: the scorer that was asked for, and the built-in one where that does not know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill.attributes.builtin import SCORES, network_sha256
from distill.attributes.judge import Judge, open_judge
from distill.attributes.open import BUILTIN, open_scorer
from distill.attributes.protocol import Kind, main_scores
from distill.errors import DistillError
from distill.evaluation.faces import judge_note
from distill.faces.alignment import Floats, Pixels
from distill.faces.detection import Face
from distill.networks.edits import EditCondition


@dataclass(frozen=True, kw_only=True, eq=False)
class ResponseJudges:
    """Scorers by the score that each of them gives; `unknown`: attributes of the student that none of them knows."""

    by_score: Mapping[str, Judge]
    unknown: Sequence[str] = ()

    @property
    def judges(self) -> list[Judge]:
        return list({id(judge): judge for judge in self.by_score.values()}.values())

    @property
    def names(self) -> list[str]:
        return list(self.by_score)

    def kind(self, score: str) -> Kind:
        return self.by_score[score].scorer.kinds[score]

    def read(self, images: Sequence[Pixels], face: Face) -> dict[str, Floats]:
        """Score registered images [n, H, W, 3] of one face: score -> float64 [n]."""
        found: dict[str, Floats] = {}
        for judge in self.judges:
            scores = judge.scorer(np.stack(images), [face] * len(images))
            mine = [name for name, each in self.by_score.items() if each is judge]
            found |= {name: np.asarray(scores[name], dtype=np.float64) for name in mine}
        return {name: found[name] for name in self.by_score}

    def line(self) -> str:
        """Name who reads what: `face-api for gender and age; builtin for smile`."""
        return "; ".join(f"{judge.name} for {' and '.join(self._scores_of(judge))}" for judge in self.judges)

    def facts(self, selected_by: Mapping[str, Any] | None) -> dict[str, Any]:
        """By score, who reads it and whether that selected the data; None where it is not known who did."""
        return {
            name: {
                "name": judge.name,
                "sha256": sorted(judge.hashes),
                "selected_data": None if selected_by is None else judge.selected(selected_by),
            }
            for name, judge in self.by_score.items()
        }

    def notes(self, selected_by: Mapping[str, Any] | None) -> list[str]:
        """Say of each scorer whether it selected the data, and what nobody reads."""
        told = [judge_note(judge, selected_by, ", ".join(self._scores_of(judge))) for judge in self.judges]
        return told + [
            f"{name}: not measured: no scorer here knows it; --scorer FILE takes one that does"
            for name in self.unknown
        ]

    def _scores_of(self, judge: Judge) -> list[str]:
        return [name for name, each in self.by_score.items() if each is judge]


def open_response_judges(source: str, conditions: Sequence[EditCondition], *, device: str) -> ResponseJudges:
    """Open the scorer, and the built-in one for what a student knows and that scorer does not.

    Raises DistillError where one is not there, and where no attribute of the student can be read.
    """
    first = open_judge(source, device=device)
    given = [name for name in first.scorer.names if not name.endswith("_spread")]
    left = [condition.name for condition in conditions if condition.name not in given]
    known = [name for name in left if name in SCORES]
    by_score = dict.fromkeys(given, first)
    if known and first.name == BUILTIN:
        by_score = dict.fromkeys((*given, *known), _builtin((*given, *known), device))
    elif known:
        by_score |= dict.fromkeys(known, _builtin(tuple(known), device))
    unknown = [name for name in left if name not in known]
    if len(unknown) == len(conditions):
        raise DistillError(
            f"the scorer {first.name} reads {', '.join(main_scores(first.scorer))}, and the student changes"
            f" {', '.join(unknown)}: name a --scorer that reads one of them"
        )
    asked = [condition.name for condition in conditions if condition.name in by_score]
    others = [name for name in by_score if name not in asked]
    return ResponseJudges(by_score={name: by_score[name] for name in (*asked, *others)}, unknown=unknown)


def _builtin(scores: tuple[str, ...], device: str) -> Judge:
    """Open the built-in scorer for these scores."""
    scorer = open_scorer(BUILTIN, scores, device=device)
    hashes = {scorer.sha256, *map(network_sha256, scores)}
    return Judge(name=BUILTIN, scorer=scorer, hashes=frozenset(hashes))
