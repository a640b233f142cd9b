"""Linear models between two ends, or along a number, by scikit-learn; how strict each is, is found on folds left out.

Shapes: N faces, D latent width. `ridge` is the weight of half the squared length of the normal beside the mean loss.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.svm import LinearSVC

from distill.directions.unit import Floats

RIDGES = (1.0, 0.1, 0.01, 0.001)
FOLDS = 3
INTERCEPT = 10.0  # LinearSVC holds the intercept down too, the less the larger this is


def between(x_ND: Floats, high_N: NDArray[np.bool_], method: str) -> tuple[Floats, float]:
    """Return the normal [D] between two ends that weigh the same, and its ridge.

    `method`: logistic (logistic regression) or svm (linear support vector machine, squared hinge loss).
    """
    if method == "logistic":
        model, scoring = LogisticRegression(class_weight="balanced", max_iter=5000), "neg_log_loss"
    else:
        model = LinearSVC(class_weight="balanced", dual=False, intercept_scaling=INTERCEPT, max_iter=20_000)
        scoring = "balanced_accuracy"
    strengths = [
        1 / (ridge * len(x_ND)) for ridge in RIDGES
    ]  # their sum of losses stands where a mean is here
    search = GridSearchCV(model, {"C": strengths}, scoring=scoring, cv=StratifiedKFold(FOLDS))
    search.fit(x_ND, high_N)
    ridge = RIDGES[strengths.index(search.best_params_["C"])]
    return np.asarray(search.best_estimator_.coef_[0], np.float64), ridge


def along(x_ND: Floats, value_N: Floats) -> tuple[Floats, float]:
    """Return the slope [D] of a number by ridge regression, and its ridge."""
    found = RidgeCV(alphas=[ridge * len(x_ND) for ridge in RIDGES]).fit(x_ND, value_N)
    return np.asarray(found.coef_, np.float64), float(found.alpha_) / len(x_ND)
