"""Multinomial regression on features: its penalty, and what a picture gets from a layer that has not seen it.

N pictures, D standardised features, K classes. Every problem here is convex, so nothing is drawn at random.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from distill.attributes.calibration import Floats, tempered
from distill.attributes.classifier.split import Rows
from distill.errors import DistillError, Interrupted

# Weight of half the squared norm of the layer, from strong to weak: each step a factor of the square root of 10.
PENALTIES = tuple(10.0 ** (-step / 2) for step in range(1, 13))
PATIENCE = 3  # steps without a better validation loss
FOLDS = 5
MOST_STEPS = 5000  # of L-BFGS


@dataclass(frozen=True, kw_only=True, eq=False)
class LastLayer:
    """`weight` [K, D] and `bias` [K]; a call gives logits [N, K]."""

    weight: Floats
    bias: Floats

    def __call__(self, x_ND: Floats) -> Floats:
        return x_ND @ self.weight.T + self.bias


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledFeatures:
    """The features of all pictures [N, D], more versions of each (mirror images) to learn from, and their classes."""

    x: Floats
    others: Sequence[Floats]
    truth: NDArray[np.int64]
    classes: int

    def learn(self, rows: Rows, penalty: float) -> LastLayer:
        """Return the layer of least cross entropy + penalty / 2 × |weight|² over some pictures.

        Raises DistillError where these do not have all classes.
        """
        x = np.concatenate([part[rows] for part in (self.x, *self.others)])
        truth = np.tile(self.truth[rows], 1 + len(self.others))
        if missing := set(range(self.classes)) - set(truth.tolist()):
            raise DistillError(
                f"{len(missing)} of {self.classes} classes lie in one fifth of the pictures alone, so the rest cannot"
                " teach them: make the groups smaller"
            )
        # Of two classes scikit-learn fits the difference d of both rows, whose |weight|² is |d|² / 2.
        strength = (2 if self.classes == 2 else 1) / (len(x) * penalty)
        found = LogisticRegression(C=strength, max_iter=MOST_STEPS).fit(x, truth)
        weight, bias = found.coef_, found.intercept_
        if self.classes == 2:
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        return LastLayer(weight=weight, bias=bias)

    def loss(self, layer: LastLayer, rows: Rows) -> float:
        p_NK = tempered(layer(self.x[rows]), 1.0)
        return float(log_loss(self.truth[rows], p_NK, labels=range(self.classes)))


def find_penalty(
    pictures: LabelledFeatures,
    train: Rows,
    validation: Rows,
    *,
    stop: threading.Event,
    note: Callable[[str], None] = lambda line: None,
) -> tuple[float, float]:
    """Return the penalty of least validation loss, and that loss; stop once three smaller ones have not helped."""
    best, least, worse = PENALTIES[0], float("inf"), 0
    for penalty in PENALTIES:
        check(stop)
        loss = pictures.loss(pictures.learn(train, penalty), validation)
        note(f"penalty {penalty:.2g}: validation loss {loss:.4f}")
        best, least, worse = (penalty, loss, 0) if loss < least else (best, least, worse + 1)
        if worse == PATIENCE:
            break
    return best, least


def left_out_logits(
    pictures: LabelledFeatures, rows: Rows, groups: Sequence[str], penalty: float, *, stop: threading.Event
) -> Floats:
    """Return logits [len(rows), K] of each picture, from a layer that has learnt from the other four fifths."""
    folds = folds_of([int(pictures.truth[row]) for row in rows], [groups[row] for row in rows])
    logits = np.empty((len(rows), pictures.classes))
    for fold in range(FOLDS):
        check(stop)
        out = folds == fold
        if out.any() and not out.all():
            logits[out] = pictures.learn(rows[~out], penalty)(pictures.x[rows[out]])
    return logits


def folds_of(truth: Sequence[int], groups: Sequence[str]) -> Rows:
    """Deal the groups of each class out to the folds in turn; a group has the class of its first picture.

    scikit-learn's StratifiedGroupKFold does not promise that two groups of a class lie in different folds.
    """
    first: dict[str, int] = {}
    for label, group in zip(truth, groups, strict=True):
        first.setdefault(group, label)
    dealt = sorted(first, key=lambda group: first[group])  # stable: by class, else in the order given
    place = {group: number % FOLDS for number, group in enumerate(dealt)}
    return np.array([place[group] for group in groups], dtype=np.int64)


def check(stop: threading.Event) -> None:
    """Raise Interrupted when asked to stop."""
    if stop.is_set():
        raise Interrupted("interrupted: nothing was written; the same command starts again")
