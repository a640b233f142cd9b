"""One update of a generator whose latents spell pictures: the mapping is given, the pixels are learned.

While it learns, the synthesis sees w centred and turned: its first numbers are what pictures depend on most, and the
largest. Adam moves all weights alike, and would need long to find the few numbers that matter among those that do not
(twice the error after the same time). `finished` takes the turn into the weights. B pictures, Z and D the widths of z
and w.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import DistillError
from distill.stylegan2.networks import EqualizedLinear, GeneratorNetwork
from distill.training.checkpoint import load_checkpoint
from distill.training.position import RunPosition, stream_seed
from distill.training.stylegan2.settings import StyleGAN2Settings
from stylegan_weights.making.learner import Learner

Images = NDArray[np.uint8]
L2_WEIGHT, EDGE_WEIGHT = 4.0, 1.0
LEAST_SCALE = 0.15  # of a turned number of w that the pictures hardly depend on; 1 for the STRONGEST ones
STRONGEST = 10
CELLS = 16  # a side: mean colours that dependence is read from
RIDGE = 0.04  # of the pictures
LEAST_PSI = 0.6  # kinds are drawn pulled towards the centre of w too, as truncation will want them


class Codes(Protocol):
    """Which latents spell which pictures, and which numbers of w tell kinds."""

    def latents(self, numbers: NDArray[np.int64], z_dim: int, rng: np.random.Generator) -> Tensor: ...
    def of_kinds(self, w_dim: int) -> Tensor: ...


class SpelledStep:
    """A learner of pictures that latents spell."""

    def __init__(
        self, preset: StyleGAN2Settings, resolution: int, codes: Codes, *, turn: Tensor, seed: int
    ) -> None:
        self.preset, self.codes, self.turn, self.seed = preset, codes, turn, seed
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.generator = GeneratorNetwork(preset.shape(resolution)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.of_kinds = codes.of_kinds(preset.latent)

    def begin(self) -> None:
        """Make what training needs, once the mapping is what it will be."""
        self.learner = Learner(self.generator, self.preset)
        self.average = self.learner.average

    def grow_from(self, run: Path) -> None:
        """Go on from a run of fewer pixels; new blocks add no colour yet. Raises DistillError."""
        smaller = load_checkpoint(run)
        if smaller is None:
            raise DistillError(f"{run}: no checkpoint is there")
        state = dict(smaller[0]["step"]["average"])
        for name, tensor in self.generator.state_dict().items():
            if name not in state:
                state[name] = tensor * 0 if name.endswith("torgb.weight") else tensor
        for network in (self.generator, self.average):
            network.load_state_dict(state, strict=True)

    def draw(self, network: GeneratorNetwork, numbers: NDArray[np.int64], position: RunPosition) -> Tensor:
        """Draw these pictures [B] as images [B, 3, H, W]."""
        rng = np.random.default_rng(stream_seed(self.seed, position.updates, "z"))
        z = self.codes.latents(numbers, self.preset.latent, rng)
        psi = torch.from_numpy(rng.uniform(LEAST_PSI, 1.0, (len(numbers), 1))).float()
        w = network.mapping(z)
        w = torch.where(self.of_kinds, network.mapping.w_avg.lerp(w, psi), w)
        w = (w - network.mapping.w_avg) @ self.turn.T
        return network.synthesis(w[:, None].expand(-1, network.shape.num_ws, -1), "none")

    def update(
        self, batch: tuple[Tensor, NDArray[np.int64]], position: RunPosition
    ) -> Mapping[str, Tensor | float]:
        reals, numbers = batch
        error = self.draw(self.generator, numbers, position) - reals
        l1, l2, edges = error.abs().mean(), error.square().mean(), edge_error(error)
        self.learner.apply(l1 + L2_WEIGHT * l2 + EDGE_WEIGHT * edges, position)
        return {"l1": l1.detach(), "l2": l2.detach(), "edges": edges.detach()}

    @torch.no_grad()
    def finished(self) -> GeneratorNetwork:
        """Return the average as any other generator: its synthesis takes w as the mapping gives it."""
        network = copy.deepcopy(self.average)
        for name, layer in network.synthesis.named_modules():
            if name.endswith("affine"):
                assert isinstance(layer, EqualizedLinear)
                layer.weight.copy_(layer.weight @ self.turn)
                moved = layer.weight @ network.mapping.w_avg * layer.weight_gain
                layer.bias -= moved / layer.bias_gain
        return network

    @torch.no_grad()
    def judge(self, images: Images, numbers: NDArray[np.int64]) -> dict[str, float]:
        """Mean errors of the average on these of the pictures [N, H, H, 3]."""
        drawn = torch.cat(
            [
                self.draw(self.average, part, RunPosition(seed=0, updates=0, samples=0))
                for part in np.array_split(numbers, -(-len(numbers) // 32))
            ]
        )
        error = drawn - as_reals(images[numbers])
        return {"val_l1": float(error.abs().mean()), "val_edges": float(edge_error(error))}

    def state(self) -> dict[str, Any]:
        return self.learner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.learner.load_state(state)


def turn_of(images: Images, w: NDArray[np.float64], w_dim: int) -> Tensor:
    """Return the matrix [D, D] that turns the w [N, D'] of pictures [N, H, H, 3] by what these depend on.

    A linear regression of their mean colours on w, in its principal directions: the strongest first, each as large as
    the root of what it changes, from LEAST_SCALE to 1.
    """
    n, side = len(images), images.shape[1]
    step = side // CELLS
    cells = images.reshape(n, CELLS, step, CELLS, step, 3).mean(axis=(2, 4)).reshape(n, -1) / 127.5
    spread = w.std(axis=0) + 1e-6
    x, y = (w - w.mean(axis=0)) / spread, cells - cells.mean(axis=0)
    found = np.linalg.solve(x.T @ x + RIDGE * n * np.eye(x.shape[1]), x.T @ y)
    directions, strength, _ = np.linalg.svd(found, full_matrices=False)
    sizes = np.sqrt(strength / strength[min(STRONGEST, len(strength)) - 1]).clip(LEAST_SCALE, 1.0)
    turn = torch.zeros(w_dim, w_dim)
    rows = (directions * sizes).T / spread
    turn[: len(rows), : rows.shape[1]] = torch.from_numpy(rows).float()
    return turn


def reduced(images: Images, side: int) -> Images:
    """Return pictures [N, H, H, 3] by their mean colours in `side`×`side` cells."""
    n, step = len(images), images.shape[1] // side
    cells = images.reshape(n, side, step, side, step, 3)
    return np.concatenate(
        [np.round(part.mean(axis=(2, 4))).astype(np.uint8) for part in np.array_split(cells, -(-n // 1000))]
    )


def edge_error(error: Tensor) -> Tensor:
    """Mean size of the differences of neighbouring pixels of an error [B, 3, H, W]."""
    return error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()


def as_reals(images: Images) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
