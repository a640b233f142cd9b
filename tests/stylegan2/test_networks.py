"""The reference network reproduces the public implementation's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distill.errors import DistillError
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import build_generator
from distill.stylegan2.networks import GeneratorNetwork, GeneratorShape
from distill.weights.checkpoint import Checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"
TOLERANCE = 1e-4  # images span about -6 to 6


class Reference:
    """One file of numbers, and the generator built from its tensors."""

    def __init__(self, name: str) -> None:
        with np.load(GOLDEN / f"{name}.npz") as data:
            self.values = {key: torch.from_numpy(data[key]) for key in data.files}
        state = {key.removeprefix("state/"): v for key, v in self.values.items() if key.startswith("state/")}
        self.generator = build_generator(
            Checkpoint(state=state, facts={}, format="safetensors", sha256="0" * 64)
        )

    def differs(self, computed: torch.Tensor, key: str) -> float:
        return float((computed - self.values[key]).abs().max())


@pytest.fixture(params=["stylegan2_tiny32", "stylegan2_tiny64"])
def reference(request: pytest.FixtureRequest) -> Reference:
    return Reference(request.param)


def test_mapping_and_truncation(reference: Reference) -> None:
    g, z = reference.generator, reference.values["z"]
    assert reference.differs(g.map(z), "ws") < TOLERANCE
    assert reference.differs(g.map(z, truncation_psi=0.7), "ws_psi07") < TOLERANCE
    assert (
        reference.differs(g.map(z, truncation_psi=0.5, truncation_cutoff=4), "ws_psi05_cutoff4") < TOLERANCE
    )


def test_synthesis(reference: Reference) -> None:
    g, values = reference.generator, reference.values
    assert reference.differs(g.synthesize(values["ws"]), "img_const") < TOLERANCE
    assert reference.differs(g.synthesize(values["ws"], noise="none"), "img_none") < TOLERANCE
    assert reference.differs(g.synthesize(values["ws_psi07"]), "img_psi07_const") < TOLERANCE
    assert reference.differs(g.synthesize(values["ws_mixed"]), "img_mixed_const") < TOLERANCE


def test_shared_layers_are_exact(reference: Reference) -> None:
    g = reference.generator
    ws = reference.values["ws"]
    for crossover in range(1, g.num_ws):
        mixed = torch.cat([ws[:, :crossover], ws.flip(0)[:, crossover:]], dim=1)
        content, other = g.synthesize_branches([ws, mixed], shared_layers=crossover)
        assert torch.equal(content, g.synthesize(ws))
        assert torch.equal(other, g.synthesize(mixed))


def test_branches_that_differ_too_early_are_refused(reference: Reference) -> None:
    ws = reference.values["ws"]
    with pytest.raises(ValueError, match="differ below layer 3"):
        reference.generator.synthesize_branches([ws, ws.flip(0)], shared_layers=3)


def test_facts_follow_from_the_tensors(reference: Reference) -> None:
    g = reference.generator
    assert g.resolution == reference.values["img_const"].shape[-1]
    assert g.num_ws == reference.values["ws"].shape[1]
    assert g.w_avg.shape == (g.w_dim,)
    assert reference.values["z"].shape[1] == g.z_dim


def test_wrong_shapes_and_names_are_refused(reference: Reference) -> None:
    g = reference.generator
    with pytest.raises(DistillError, match=rf"takes \[N, {g.z_dim}\]"):
        g.map(torch.zeros(1, g.z_dim + 1))
    with pytest.raises(DistillError, match="w\\+ has shape"):
        g.synthesize(torch.zeros(1, g.num_ws - 1, g.w_dim))
    with pytest.raises(DistillError, match="noise 'loud'"):
        g.synthesize(reference.values["ws"], noise="loud")  # type: ignore[arg-type]


def test_random_noise_changes_the_image_where_the_network_uses_noise(reference: Reference) -> None:
    g, ws = reference.generator, reference.values["ws"]
    assert not torch.equal(g.synthesize(ws, noise="random"), g.synthesize(ws, noise="random"))


@pytest.mark.parametrize("resolution", [4, 8, 1024])
def test_networks_from_4_to_1024_px(resolution: int) -> None:
    channels = {2**i: 4 for i in range(2, resolution.bit_length())}
    shape = GeneratorShape(z_dim=8, w_dim=8, mapping_layers=2, channels=channels)
    g = Generator(GeneratorNetwork(shape), sha256="0" * 64)
    assert g.num_ws == {4: 2, 8: 4, 1024: 18}[resolution]
    assert g.synthesize(g.map(torch.randn(1, 8))).shape == (1, 3, resolution, resolution)


def test_gradients_of_an_image_and_their_gradients_are_right() -> None:
    """As training and projection need them, path lengths twice."""
    torch.manual_seed(0)
    shape = GeneratorShape(z_dim=2, w_dim=2, mapping_layers=1, channels={4: 2, 8: 2})
    net = GeneratorNetwork(shape).double()
    ws = torch.randn(1, shape.num_ws, 2, dtype=torch.float64, requires_grad=True)
    weight = net.get_parameter("synthesis.b8.conv0.weight")

    def image(ws_NLD: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        drawn: torch.Tensor = net.synthesis(ws_NLD, "const")
        return drawn

    assert torch.autograd.gradcheck(image, (ws, weight), fast_mode=True)
    assert torch.autograd.gradgradcheck(image, (ws, weight), fast_mode=True)
