"""SSIM agrees with scikit-image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity

from distill.metrics.ssim import ssim

WAYS = {
    "gaussian": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
    "uniform": {},  # what scikit-image does when it is told nothing
}


def pairs(noise: float, side: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a = rng.uniform(0, 255, (2, side, side, 3))
    return a, a + rng.normal(0, noise, a.shape)


def ours(a: np.ndarray, b: np.ndarray, **settings: Any) -> np.ndarray:
    return ssim(*(torch.from_numpy(x).permute(0, 3, 1, 2) for x in (a, b)), **settings).numpy()


@pytest.mark.parametrize("window", WAYS)
@pytest.mark.parametrize("noise", [0.0, 3.0, 40.0, 200.0])
@pytest.mark.parametrize("side", [16, 65])
def test_ssim_equals_scikit_image(noise: float, side: int, window: str) -> None:
    a, b = pairs(noise, side)
    theirs = [
        structural_similarity(x, y, channel_axis=2, data_range=255.0, **WAYS[window])
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(ours(a, b, data_range=255.0, window=window), theirs, atol=1e-9)


@pytest.mark.parametrize("window", WAYS)
def test_grey_is_scikit_image_s_grey(window: str) -> None:
    a, b = pairs(40.0, 33)
    theirs = [
        structural_similarity(rgb2gray(x), rgb2gray(y), data_range=255.0, **WAYS[window])
        for x, y in zip(a, b, strict=True)
    ]
    found = ours(a, b, data_range=255.0, window=window, channels="grey")
    np.testing.assert_allclose(found, theirs, atol=1e-9)


def test_bytes_need_no_range_in_scikit_image() -> None:
    a, b = (x.clip(0, 255).astype(np.uint8) for x in pairs(40.0, 33))
    theirs = [structural_similarity(x, y, channel_axis=2) for x, y in zip(a, b, strict=True)]
    found = ours(a.astype(np.float32), b.astype(np.float32), data_range=255.0, window="uniform")
    np.testing.assert_allclose(found, theirs, atol=1e-6)


def test_images_below_the_window_are_refused() -> None:
    with pytest.raises(ValueError, match="smaller than the window"):
        ssim(torch.zeros(1, 3, 10, 10), torch.zeros(1, 3, 10, 10), data_range=1.0)
