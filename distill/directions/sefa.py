"""Directions without an attribute: the closed-form factorisation of the style layers (Shen and Zhou 2021).

A step d in w changes the styles of a layer by A d, A being its affine weight [channels, D]. The directions that
change them most are the eigenvectors of the sum of A^T A over the layers, in order of their eigenvalues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from torch import Tensor

from distill.directions.unit import Floats
from distill.errors import DistillError
from distill.stylegan2.networks import EqualizedLinear, SynthesisNetwork


@dataclass(frozen=True, kw_only=True)
class Factor:
    """A unit vector [D] in w, its eigenvalue, and the share of it in the sum of all eigenvalues."""

    vector: Floats
    eigenvalue: float
    share: float


def affine_weights(synthesis: SynthesisNetwork, layers: tuple[int, int]) -> list[Tensor]:
    """Return the affine weights [channels, D], as they act, of the convolutions that read w number LO to HI.

    Layers that write RGB are left out, as in the paper. Raises DistillError where no convolution is among them.
    """
    weights: list[Tensor] = []
    for block, name, index in synthesis.layers:
        if name == "torgb" or not layers[0] <= index <= layers[1]:
            continue
        affine = cast(EqualizedLinear, synthesis.get_submodule(f"{block}.{name}.affine"))
        weights.append(affine.weight.detach() * affine.weight_gain)
    if not weights:
        raise DistillError(
            f"layers {layers[0]}-{layers[1]}: only a layer that writes colours reads them; take lower ones"
        )
    return weights


def factorise(weights: Sequence[Tensor], count: int) -> list[Factor]:
    """Return the first `count` eigenvectors of the sum of A^T A, largest first, their largest number positive.

    Raises DistillError for more than the width of w.
    """
    matrices = [weight.double().cpu().numpy() for weight in weights]
    width = matrices[0].shape[1]
    if not 1 <= count <= width:
        raise DistillError(
            f"{count} directions: w of this generator has {width} dimensions, so ask for 1 to {width}"
        )
    values, vectors = np.linalg.eigh(sum(a.T @ a for a in matrices))
    found = []
    for k in range(1, count + 1):
        vector = vectors[:, -k]
        sign = np.sign(vector[np.abs(vector).argmax()])
        found.append(
            Factor(vector=vector * sign, eigenvalue=float(values[-k]), share=float(values[-k] / values.sum()))
        )
    return found
