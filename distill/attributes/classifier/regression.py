"""Multinomial regression on features: its penalty, and what a picture gets from a layer that has not seen it.

N pictures, D standardised features, K classes. Every problem here is convex, so nothing is drawn at random.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from distill.errors import Interrupted

# Weight of the squared norm of the layer, from strong to weak: each step a factor of the square root of 10.
PENALTIES = tuple(10.0 ** (-step / 2) for step in range(1, 13))
PATIENCE = 3  # steps without a better validation loss
FOLDS = 5
Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """`weight` [K, D] and `bias` [K]."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x_ND: Tensor) -> Tensor:
        return F.linear(x_ND, self.weight, self.bias)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """The features of all pictures [N, D], more versions of each (mirror images) to learn from, and their classes."""

    x: Tensor
    others: Sequence[Tensor]
    truth: Tensor
    classes: int

    def learn(self, rows: Rows, penalty: float, start: Layer | None = None) -> Layer:
        """Return the layer of least cross entropy + penalty / 2 × |weight|² over some pictures."""
        chosen = torch.from_numpy(rows)
        x = torch.cat([part[chosen] for part in (self.x, *self.others)])
        targets = self.truth[chosen].repeat(1 + len(self.others))
        weight = start.weight.clone() if start else torch.zeros(self.classes, x.shape[1])
        bias = start.bias.clone() if start else torch.zeros(self.classes)
        parameters = [weight.requires_grad_(), bias.requires_grad_()]
        optimiser = torch.optim.LBFGS(
            parameters, max_iter=200, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimiser.zero_grad()
            loss = F.cross_entropy(F.linear(x, weight, bias), targets) + penalty / 2 * weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        return Layer(weight=weight.detach(), bias=bias.detach())

    def loss(self, layer: Layer, rows: Rows) -> float:
        chosen = torch.from_numpy(rows)
        return F.cross_entropy(layer(self.x[chosen]), self.truth[chosen]).item()


def find_penalty(
    pictures: Pictures,
    train: Rows,
    validation: Rows,
    *,
    stop: threading.Event,
    note: Callable[[str], None] = lambda line: None,
) -> tuple[float, float]:
    """Return the penalty of least validation loss, and that loss; less is not tried once it has not helped thrice."""
    best, least, worse = PENALTIES[0], float("inf"), 0
    layer: Layer | None = None
    for penalty in PENALTIES:
        check(stop)
        layer = pictures.learn(train, penalty, layer)
        loss = pictures.loss(layer, validation)
        note(f"penalty {penalty:.2g}: validation loss {loss:.4f}")
        best, least, worse = (penalty, loss, 0) if loss < least else (best, least, worse + 1)
        if worse == PATIENCE:
            break
    return best, least


def left_out_logits(
    pictures: Pictures, rows: Rows, groups: Sequence[str], penalty: float, *, stop: threading.Event
) -> NDArray[np.float64]:
    """Return logits [len(rows), K] of each picture, from a layer that has learnt from the other four fifths."""
    folds = folds_of([int(pictures.truth[row]) for row in rows], [groups[row] for row in rows])
    logits = np.empty((len(rows), pictures.classes))
    for fold in range(FOLDS):
        check(stop)
        out = folds == fold
        if out.any() and not out.all():
            layer = pictures.learn(rows[~out], penalty)
            logits[out] = layer(pictures.x[torch.from_numpy(rows[out])]).double().numpy()
    return logits


def folds_of(truth: Sequence[int], groups: Sequence[str]) -> Rows:
    """Deal the groups of each class out to the folds in turn; a group has the class of its first picture."""
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
