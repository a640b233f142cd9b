"""Scores of output images against their targets, pair by pair, and the two baselines a student must beat.

Shapes: N pairs, C = 3, k inputs of a student (3k channels), H W image, D features. Images are floats in [-1, 1].
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from distill.metrics.features import Features
from distill.metrics.frechet import frechet_distance, moments, score_name
from distill.metrics.kernel import kernel_distance
from distill.metrics.ssim import ssim
from distill.networks.losses import perceptual_distance
from distill.networks.perceptual import PerceptualFeatures
from distill.pixels import to_uint8

HIGHER_IS_BETTER = ("ssim",)  # of all others, lower is better


class PairScores:
    """Collect batches of (output, target); every score is a mean over all pairs, whatever the batches.

    `perceptual` without layers (`none`) and `features=None` leave their scores out. The features of both sides
    are kept on the host until the end: 8 N D bytes.
    """

    def __init__(
        self,
        *,
        perceptual: PerceptualFeatures | None,
        features: Features | None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.perceptual = perceptual if perceptual is not None and perceptual.weights else None
        self.features = features
        self.device = torch.device(device)
        self.count = 0
        self._sums: dict[str, Tensor] = {}
        self._features: tuple[list[Tensor], list[Tensor]] = ([], [])

    @torch.no_grad()
    def add(self, output_NCHW: Tensor, target_NCHW: Tensor) -> None:
        """Score N pairs; sides of at least 11 px (SSIM's window). Raises ValueError for unequal shapes."""
        if output_NCHW.shape != target_NCHW.shape:
            raise ValueError(
                f"outputs of shape {list(output_NCHW.shape)}, targets of {list(target_NCHW.shape)}"
            )
        output = output_NCHW.to(self.device).float().clamp(-1, 1)
        target = target_NCHW.to(self.device).float()
        for name, values_N in scores_of_each(output, target, self.perceptual).items():
            total = values_N.double().sum()
            self._sums[name] = self._sums[name] + total if name in self._sums else total
        if self.features is not None:
            for kept, images in zip(self._features, (output, target), strict=True):
                kept.append(self.features.extract(to_uint8(images)).float().cpu())
        self.count += len(output)

    def result(self) -> dict[str, float]:
        """Return the means of all pairs so far; nothing for no pairs.

        `l1`: mean absolute difference on the 0..1 scale. `ssim`: 1 for equal pairs. `perceptual_<features>`: 0 for
        equal pairs. `frechet_<features>`: between the two sets; left out for fewer than two pairs. With Inception's
        features that is FID's formula, and KID's stands beside it as `kernel_inception`.
        """
        scores = {name: float(total) / self.count for name, total in self._sums.items()}
        if self.features is not None and self.count > 1:
            output, target = (torch.cat(kept).numpy().astype(np.float64) for kept in self._features)
            scores[score_name(self.features.name)] = frechet_distance(moments(output), moments(target))
            if self.features.name == "inception":
                scores["kernel_inception"] = kernel_distance(output, target)
        return scores


@torch.no_grad()
def scores_of_each(
    output_NCHW: Tensor, target_NCHW: Tensor, perceptual: PerceptualFeatures | None
) -> dict[str, Tensor]:
    """Return `l1`, `ssim` and, of features with layers, `perceptual_<features>` of each pair, [N]."""
    a, b = (output_NCHW + 1) / 2, (target_NCHW + 1) / 2  # SSIM's first factor depends on where 0 is
    scores = {"l1": (a - b).abs().mean(dim=(1, 2, 3)), "ssim": ssim(a, b, data_range=1.0)}
    if perceptual is not None and perceptual.weights:
        name = f"perceptual_{perceptual.name}"
        scores[name] = perceptual_distance(perceptual(output_NCHW), perceptual(target_NCHW))
    return scores


def copy_content(inputs_NCHW: Tensor) -> Tensor:
    """Return the first input of each row, [N, 3, H, W]: the student that changes nothing."""
    return inputs_NCHW[:, :3]


def mean_of_inputs(inputs_NCHW: Tensor) -> Tensor:
    """Average the inputs of each row, [N, 3k, H, W] -> [N, 3, H, W]: the student that blends."""
    N, channels, H, W = inputs_NCHW.shape
    return inputs_NCHW.reshape(N, channels // 3, 3, H, W).mean(dim=1)
