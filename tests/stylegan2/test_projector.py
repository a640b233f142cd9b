"""The published projector: the numbers of NVIDIA's program, and one image beside others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from distill.errors import DistillError
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import build_generator
from distill.stylegan2.projection import rate_at
from distill.stylegan2.projector import project_as_published
from distill.stylegan2.spread import measure_spread
from distill.weights.checkpoint import Checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"


def pooled(images: torch.Tensor) -> torch.Tensor:
    """Stand in for LPIPS: colours from 0 to 1, averaged to 8 × 8."""
    return F.adaptive_avg_pool2d(images / 255, 8)


@pytest.fixture(scope="module")
def reference() -> tuple[Generator, torch.Tensor]:
    """The reference network, and a picture that it draws, from 0 to 255."""
    with np.load(GOLDEN / "stylegan2_tiny32.npz") as data:
        state = {
            name.removeprefix("state/"): torch.from_numpy(data[name])
            for name in data.files
            if name.startswith("state/")
        }
        image = torch.from_numpy(data["img_const"][1])
    facts = {"mapping_lr_multiplier": 0.01}
    checkpoint = Checkpoint(state=state, facts=facts, format="safetensors", sha256="0" * 64)
    return build_generator(checkpoint), ((image + 1) * 127.5).clamp(0, 255)


def test_the_numbers_of_the_published_program(reference):
    generator, image = reference
    spread = measure_spread(generator, 1000)
    assert spread.deviation == pytest.approx(5.568152, abs=1e-5)
    assert spread.centre[:3].tolist() == pytest.approx([0.260883, 0.358314, 0.499463], abs=1e-5)
    found = project_as_published(generator, image[None], pooled, steps=50, spread=spread)
    w_D = found.ws[0, 0]
    assert w_D[:4].tolist() == pytest.approx([-0.95735, 1.04237, 0.50714, 1.38215], abs=2e-3)

    def distance(w_D):  # drawn with the noise maps of the checkpoint
        drawn = generator.synthesize(w_D.expand(1, generator.num_ws, -1))
        return float((pooled(image[None]) - pooled((drawn + 1) * 127.5)).square().sum())

    assert distance(spread.centre) == pytest.approx(92.32, abs=0.01)
    assert distance(w_D) == pytest.approx(8.03, abs=0.02)
    rates = [rate_at(t) for t in (0.01, 0.05, 0.9, 0.99)]
    assert rates == pytest.approx([0.02, 0.1, 0.034549, 0.000394], abs=1e-6)


def test_images_beside_each_other_are_found_as_if_alone(reference):
    generator, image = reference
    images = torch.stack([image.flip(2), image])
    together = project_as_published(generator, images, pooled, steps=20)
    alone = project_as_published(generator, images[1:], pooled, steps=20)
    assert torch.allclose(together.ws[1:], alone.ws, atol=1e-3)
    assert torch.equal(together.ws, together.ws[:, :1].expand_as(together.ws))


def test_noise_maps_stay_noise(reference):
    generator, image = reference
    found = project_as_published(generator, image[None], pooled, steps=10)
    for noise in found.noise.values():
        assert noise.mean().item() == pytest.approx(0, abs=1e-5)
        assert noise.square().mean().item() == pytest.approx(1, abs=1e-4)


def test_other_sizes_are_refused(reference):
    with pytest.raises(DistillError, match=r"\[1, 3, 16, 16\], this generator draws \[N, 3, 32, 32\]"):
        project_as_published(reference[0], torch.zeros(1, 3, 16, 16), pooled)
