"""What a scorer file says of its network: what goes in, what comes out, what the numbers mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from distill.attributes.protocol import Kind
from distill.networks.input_settings import InputSettings, Number, Positive, Text
from distill.schema import Frozen

MOST_OUTPUTS = 10_000

ScoreName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
# The keys of a score that speak of one kind of output only.
KEYS: Mapping[str, frozenset[str]] = {
    "softmax": frozenset({"labels", "positive", "given", "temperature"}),
    "sigmoid": frozenset({"labels", "given", "temperature"}),
    "expectation": frozenset({"values", "given", "temperature"}),
    "value": frozenset({"scale", "offset"}),
}


class ScoreSettings(Frozen):
    """How one output of the network, K numbers an image, becomes scores.

    - softmax: K `labels`; the probability of `positive` is the score `name`, else each label's is `name`_LABEL.
    - sigmoid: each number's probability is `name`_LABEL; without labels, K = 1 and it is `name`.
    - expectation: the mean of K `values` is `name`, their standard deviation `name`_spread.
    - value: K = 1, and scale × x + offset is `name`.

    `output` names a value of an ONNX graph. `given` says what the network gives: logits, or probabilities already.
    """

    name: ScoreName
    kind: Literal["softmax", "sigmoid", "expectation", "value"]
    output: Text = ""
    labels: tuple[Label, ...] = ()
    positive: Label | None = None
    values: tuple[Number, ...] = ()
    given: Literal["logits", "probabilities"] = "logits"
    temperature: Positive = 1.0
    scale: Number = 1.0
    offset: Number = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        allowed = KEYS[self.kind] | {"name", "kind", "output"}
        if stray := self.model_fields_set - allowed:
            raise ValueError(f"{min(stray)} does not go with kind {self.kind!r}")
        if self.kind == "softmax" and len(self.labels) < 2:
            raise ValueError(f"kind 'softmax' needs 2 labels or more, not {len(self.labels)}")
        if self.kind == "expectation" and len(self.values) < 2:
            raise ValueError(f"kind 'expectation' needs 2 values or more, not {len(self.values)}")
        if self.positive is not None and self.positive not in self.labels:
            raise ValueError(f"positive {self.positive!r} is not one of the labels {', '.join(self.labels)}")
        if twice := _twice(self.labels):
            raise ValueError(f"label {twice!r} appears twice")
        if self.positive is None and (odd := [label for label in self.labels if not _in_a_name(label)]):
            raise ValueError(
                f"label {odd[0]!r} is to be part of a score's name: letters, digits and _ only: rename it"
            )
        return self

    @property
    def count(self) -> int:
        """The numbers an image that the output must have."""
        return len(self.labels) or len(self.values) or 1

    @property
    def names(self) -> tuple[str, ...]:
        """The scores, in order."""
        if self.kind == "expectation":
            return self.name, f"{self.name}_spread"
        if self.labels and self.positive is None:
            return tuple(f"{self.name}_{label}" for label in self.labels)
        return (self.name,)

    @property
    def score_kind(self) -> Kind:
        return "probability" if self.kind in ("softmax", "sigmoid") else "value"


class ScorerSettings(Frozen):
    """A scorer: a network and what it means. `architecture` is for weights without a graph of their own."""

    network: Text = ""
    architecture: Text = ""
    input: InputSettings
    scores: Annotated[tuple[ScoreSettings, ...], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [name for score in self.scores for name in score.names]
        if twice := _twice(names) or next((name for name in names if name.endswith("_label")), None):
            raise ValueError(
                f"score {twice!r}: no two have one name, and none ends in _label, which tables use"
            )
        named = [number for number, score in enumerate(self.scores) if score.output]
        if named and len(named) < len(self.scores):
            raise ValueError(f"scores.{named[0]} names an output, another score does not; name it for each")
        if sum(score.count for score in self.scores) > MOST_OUTPUTS:
            raise ValueError(f"more than {MOST_OUTPUTS} outputs")
        return self

    @property
    def kinds(self) -> dict[str, Kind]:
        return {name: score.score_kind for score in self.scores for name in score.names}


def _twice(names: list[str] | tuple[str, ...]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _in_a_name(label: str) -> bool:
    return label.isascii() and label.replace("_", "a").isalnum()
