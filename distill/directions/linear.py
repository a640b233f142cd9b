"""Linear models of few thousand numbers, solved to the end: logistic regression, squared hinge, ridge regression.

Shapes: N faces, D latent width. A target is a sign (-1 or 1) for the first two, any number for the third. Each
minimises a mean loss plus ridge / 2 times the squared length of the normal; the intercept is free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from distill.directions.unit import Floats

RIDGES = (1.0, 0.1, 0.01, 0.001)
FOLDS = 3

# A loss of margins or residuals: (x @ b + c, target) -> (values [N], derivatives by the first [N]).
Loss = Callable[[Floats, Floats], tuple[Floats, Floats]]
Solver = Callable[[Floats, Floats, Sequence[float]], list[tuple[Floats, float]]]


def logistic(at_N: Floats, sign_N: Floats) -> tuple[Floats, Floats]:
    margin = at_N * sign_N
    return np.logaddexp(0.0, -margin), -sign_N * expit(-margin)


def hinge(at_N: Floats, sign_N: Floats) -> tuple[Floats, Floats]:
    short = np.maximum(0.0, 1.0 - at_N * sign_N)
    return short**2, -2.0 * sign_N * short


def square(at_N: Floats, target_N: Floats) -> tuple[Floats, Floats]:
    return (at_N - target_N) ** 2 / 2, at_N - target_N


def balanced(target_N: Floats) -> Floats:
    """Let both signs weigh the same; numbers that are no signs all weigh the same."""
    if not np.isin(target_N, (-1.0, 1.0)).all():
        return np.full(len(target_N), 1 / len(target_N))
    up = target_N > 0
    return np.asarray(np.where(up, 0.5 / max(up.sum(), 1), 0.5 / max((~up).sum(), 1)))


def descent(loss: Loss) -> Solver:
    """Solve for every ridge by L-BFGS, each from the last one's solution; the intercept is not regularised."""

    def solve(x_ND: Floats, sign_N: Floats, ridges: Sequence[float]) -> list[tuple[Floats, float]]:
        weights, start, found = balanced(sign_N), np.zeros(x_ND.shape[1] + 1), []

        def objective(b: Floats, ridge: float) -> tuple[float, Floats]:
            values, slopes = loss(x_ND @ b[:-1] + b[-1], sign_N)
            pull = weights * slopes
            gradient = np.append(pull @ x_ND + ridge * b[:-1], pull.sum())
            return float(weights @ values + ridge / 2 * b[:-1] @ b[:-1]), gradient

        for ridge in ridges:
            solved = minimize(
                objective, start, args=(ridge,), jac=True, method="L-BFGS-B",
                options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-13, "gtol": 1e-8},
            )  # fmt: skip
            start = solved.x
            found.append((start[:-1].copy(), float(start[-1])))
        return found

    return solve


def ridge_regression(x_ND: Floats, target_N: Floats, ridges: Sequence[float]) -> list[tuple[Floats, float]]:
    """Solve for every ridge from one decomposition."""
    centre, level = x_ND.mean(axis=0), float(target_N.mean())
    x = x_ND - centre
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    projected = vectors.T @ (x.T @ (target_N - level) / len(x))
    slopes = [vectors @ (projected / (np.maximum(values, 0) + ridge)) for ridge in ridges]
    return [(slope, level - float(centre @ slope)) for slope in slopes]


def best_ridge(x_ND: Floats, target_N: Floats, solve: Solver, loss: Loss) -> tuple[Floats, float]:
    """Return the normal for the ridge whose loss on the fold left out is least, and that ridge."""
    fold, total = np.arange(len(x_ND)) % FOLDS, np.zeros(len(RIDGES))
    for k in range(FOLDS):
        seen, unseen = fold != k, fold == k
        weights = balanced(target_N[unseen])
        for i, (normal, intercept) in enumerate(solve(x_ND[seen], target_N[seen], RIDGES)):
            total[i] += weights @ loss(x_ND[unseen] @ normal + intercept, target_N[unseen])[0]
    best = int(total.argmin())
    return solve(x_ND, target_N, RIDGES[: best + 1])[-1][0], RIDGES[best]
