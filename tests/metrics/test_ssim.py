"""SSIM agrees with scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from distill.metrics.ssim import ssim


@pytest.mark.parametrize("noise", [0.0, 3.0, 40.0, 200.0])
@pytest.mark.parametrize("side", [16, 65])
def test_ssim_equals_scikit_image(noise: float, side: int) -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 255, (2, side, side, 3))
    b = a + rng.normal(0, noise, a.shape)
    ours = ssim(*(torch.from_numpy(x).permute(0, 3, 1, 2) for x in (a, b)), data_range=255.0)
    theirs = [
        structural_similarity(
            x,
            y,
            channel_axis=2,
            data_range=255.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-9)


def test_images_below_the_window_are_refused() -> None:
    with pytest.raises(ValueError, match="smaller than the window"):
        ssim(torch.zeros(1, 3, 10, 10), torch.zeros(1, 3, 10, 10), data_range=1.0)
