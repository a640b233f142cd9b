"""What a student is trained on, as pure functions. All sums are made in float32, also under autocast.

A discriminator's outputs are one list for each scale: its features, and last its scores [N, 1, h, w].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Scales = Sequence[Sequence[Tensor]]

FEATURE_MATCHING_GAIN = 4.0  # of the public implementation, on the mean over layers; λ (10) comes on top
EPS = 1e-10


def lsgan_generator(fake: Scales) -> Tensor:
    """The mean square by which the scores of fakes miss "real" (1), summed over the scales (Mao et al. 2017)."""
    return torch.stack([_misses(features[-1], 1.0) for features in fake]).sum()


def lsgan_discriminator(real: Scales, fake: Scales) -> Tensor:
    """The mean of what is missed on real (1) and on fake (0), summed over the scales.

    The factor 1/2 slows the discriminator down relative to the generator (the public implementation).
    """
    missed = [_misses(r[-1], 1.0) + _misses(f[-1], 0.0) for r, f in zip(real, fake, strict=True)]
    return torch.stack(missed).sum() / 2


def feature_matching(real: Scales, fake: Scales) -> Tensor:
    """Four times the mean over scales and layers of |D's features of fake - of real| (Wang et al. 2018, eq. 4).

    The public normalisation: 4 / (n_layers + 1) for each of its n_layers + 1 features, 1 / num_D for each scale.
    Scores are left out; no gradient flows into the features of real.
    """
    scales = [
        torch.stack([_distance(f, r) for f, r in zip(fakes[:-1], reals[:-1], strict=True)]).mean()
        for fakes, reals in zip(fake, real, strict=True)
    ]
    return FEATURE_MATCHING_GAIN * torch.stack(scales).mean()


def perceptual(fake: Sequence[Tensor], real: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted sum over layers of |features of fake - of real|; 0 where there are no layers.

    Johnson et al. 2016, with means of absolute differences as in the public Pix2PixHD.
    """
    terms = [weight * _distance(f, r) for weight, f, r in zip(weights, fake, real, strict=True)]
    return torch.stack(terms).sum() if terms else torch.zeros(())


def perceptual_of_each(fake: Sequence[Tensor], real: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The same for each image, [N]; 0 where there are no layers."""
    terms = [
        weight * (_precise(f) - _precise(r.detach())).abs().mean(dim=(1, 2, 3))
        for weight, f, r in zip(weights, fake, real, strict=True)
    ]
    return torch.stack(terms).sum(dim=0) if terms else torch.zeros(())


def perceptual_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """How differently a network sees two sets of images: [N], 0 for equal ones. For measuring, not for training.

    The mean over layers of |a' - b'|^2, a' and b' scaled to length 1 along the channels and averaged over the
    pixels: Zhang et al. 2018, eq. 1, without learned weights, so it is no LPIPS and carries its features' name.
    """
    layers = [(_unit(x) - _unit(y)).square().sum(dim=1).mean(dim=(1, 2)) for x, y in zip(a, b, strict=True)]
    return torch.stack(layers).mean(dim=0)


def real_and_fake(both: Scales) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    """Cut the outputs of one pass over [real; fake], 2N samples, into those of real and those of fake."""
    halves = [[feature.chunk(2) for feature in features] for features in both]
    real = [[half[0] for half in features] for features in halves]
    return real, [[half[1] for half in features] for features in halves]


def _misses(scores: Tensor, wanted: float) -> Tensor:
    return (_precise(scores) - wanted).square().mean()


def _distance(fake: Tensor, real: Tensor) -> Tensor:
    return (_precise(fake) - _precise(real.detach())).abs().mean()


def _unit(features_NCHW: Tensor) -> Tensor:
    x = _precise(features_NCHW)
    return x / (x.square().sum(dim=1, keepdim=True) + EPS).sqrt()


def _precise(x: Tensor) -> Tensor:
    """Bring half precision to float32; leave the others."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
