"""The resizing of TensorFlow 1, by its formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distill.networks.tensorflow_resize import tensorflow_resize


def by_hand(image_HW: np.ndarray, side: int) -> np.ndarray:
    """Pixel i lies at i × old / new, between its two neighbours; beyond the last there is the last again."""

    def along(x: np.ndarray, axis: int) -> np.ndarray:
        at = np.arange(side) * x.shape[axis] / side
        low = np.floor(at).astype(int)
        high, share = np.minimum(low + 1, x.shape[axis] - 1), at - low
        share = share[:, None] if axis == 0 else share
        return x.take(low, axis) * (1 - share) + x.take(high, axis) * share

    return along(along(image_HW, 0), 1)


@pytest.mark.parametrize(("height", "width", "side"), [(16, 16, 7), (5, 9, 12), (8, 8, 8)])
def test_pixels_lie_where_tensorflow_puts_them(height, width, side):
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 255
    found = tensorflow_resize(images, side)
    expected = np.stack([[by_hand(c, side) for c in image] for image in images.double().numpy()])
    assert found.numpy() == pytest.approx(expected, abs=2e-3)
