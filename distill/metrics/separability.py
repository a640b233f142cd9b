"""Linear separability: how well a plane in latent space tells an attribute of the images.

Karras et al. 2019, "A Style-Based Generator Architecture", section 4.2: of the images an attribute's classifier is
surest of, a linear SVM learns the class from the latent; H(Y|X) bits of the class Y stay unknown where the SVM's
answer X is known, and the score is 2 to the sum of them over all attributes. The published scores (154.2 in z, 4.27
in w) are over 40 attributes of CelebA-HQ; one over K others is called ls_K and does not compare with them.

Shapes: N samples, D latent width.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distill.errors import DistillError

SURE = 0.9  # a probability that some sample must reach, else the classifier cannot tell the classes apart
LEAST = 40  # samples that must have a score

Floats = NDArray[np.floating]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surest:
    """Which samples an attribute is surest of: their `rows` [n], and the class of each, 0 or 1, [n]."""

    rows: Numbers
    classes: Numbers


@dataclass(frozen=True, kw_only=True)
class Separation:
    """How well a plane separates one attribute: bits that stay unknown, and the share that lies on its own side."""

    bits: float
    accuracy: float


def select_surest(name: str, scores_N: Floats, *, probability: bool) -> Surest:
    """Return the surest half of the samples, surest first; those without a score (NaN) are left out of the count.

    A `probability` is as sure as its larger side; of another score, such as an age, the class is the side of the
    median and the certainty the distance from there. Raises DistillError, naming the attribute, where too few
    samples have a score, where nothing is sure, and where all are of one class.
    """
    known = np.flatnonzero(np.isfinite(scores_N))
    if not len(known):
        raise DistillError(
            f"{name!r}: none of {len(scores_N)} samples has a score; take another --scorer, or a generator whose"
            " images it can score"
        )
    if len(known) < LEAST:
        raise DistillError(
            f"{name!r}: {len(known)} of {len(scores_N)} samples have a score, {LEAST} are needed; raise --samples"
        )
    scores = scores_N[known].astype(np.float64)
    middle = 0.5 if probability else float(np.median(scores))
    certainty = np.abs(scores - middle)
    if probability and middle + certainty.max() < SURE:
        raise DistillError(
            f"the scorer of {name!r} is never sure: the surest of {len(known)} samples is at"
            f" {middle + certainty.max():.2f}, {SURE} is needed; take another --scorer"
        )
    order = np.argsort(-certainty, kind="stable")[: len(known) // 2]
    classes = (scores[order] > middle).astype(np.int64)
    if classes.min() == classes.max():
        raise DistillError(
            f"{name!r}: the {len(order)} surest of {len(known)} samples are all of one class, so nothing separates"
            " them; take another --scorer, or more --samples"
        )
    return Surest(rows=known[order], classes=classes)


def separate(latents_ND: Floats, classes_N: Numbers) -> Separation:
    """Fit scikit-learn's LinearSVC with its defaults, and ask it about the very samples it has learnt."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    machine = LinearSVC(random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the published program takes what comes, too
        machine.fit(latents_ND, classes_N)
    answers = machine.predict(latents_ND)
    joint = [[np.mean((answers == x) & (classes_N == y)) for y in (0, 1)] for x in (0, 1)]
    return Separation(bits=conditional_entropy(joint), accuracy=float((answers == classes_N).mean()))


def conditional_entropy(joint_XY: ArrayLike) -> float:
    """Return H(Y|X) in bits of joint probabilities [X, Y]."""
    joint = np.asarray(joint_XY, dtype=np.float64)
    joint = joint / joint.sum()
    return max(0.0, _entropy(joint) - _entropy(joint.sum(axis=1)))


def separability_score(bits: Sequence[float]) -> float:
    """Join the attributes: 2 to the sum of their bits, 1 where every one is separated."""
    return float(2.0 ** sum(bits))


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())
