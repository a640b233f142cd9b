"""Two ways to learn classes: one layer on the frozen features of EfficientNet-Lite0, or a small network from scratch.

N pictures, S px side, D features, K classes.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from distill.classifiers.split import Split
from distill.errors import DistillError, Interrupted
from distill.faces.alignment import Pixels
from distill.models.classifier import COUNTER, FC_BIAS, FC_WEIGHT, WIDTHS, Lite0Classifier, SmallCnn
from distill.models.efficientnet_lite import HEAD, lite0_file, lite0_installed
from distill.models.state_files import read_state
from distill.pixels import to_float

LITE0, SMALL = "efficientnet_lite0", "small_cnn"
SIDES = {LITE0: 128, SMALL: 64}  # px, where nothing else is asked
# Weight of the squared norm of the last layer, from strong to weak: each step a factor of the square root of 10.
PENALTIES = tuple(10.0 ** (-step / 2) for step in range(1, 13))
PATIENCE = {LITE0: 3, SMALL: 12}  # steps or epochs without a better validation loss
EPOCHS, BATCH, RATE, DECAY = 120, 32, 2e-3, 0.02  # of the small network: AdamW, cosine
SHIFT = 1 / 16  # of the side: the farthest that a picture is moved
Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What to learn: `truth`, the class of each picture [N], the split, and whether mirror images may `flip`."""

    truth: Numbers
    split: Split
    classes: int
    flip: bool
    seed: int


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What was learnt: the tensors of the architecture, logits [N, K] of all pictures, and what was tried."""

    tensors: Mapping[str, Tensor]
    logits: NDArray[np.float64]
    facts: Mapping[str, Any]


class Learner(Protocol):
    """Takes chips as they come, then learns."""

    def take(self, chips_NHWC: Pixels) -> None: ...

    def fit(self, task: Task, *, stop: threading.Event, note: Callable[[str], None]) -> Fitted: ...


def make_learner(name: str, *, device: str, flip: bool) -> Learner:
    return Lite0Learner(device, flip=flip) if name == LITE0 else SmallLearner(device)


def choose_network(name: str) -> str:
    """Turn "auto" into EfficientNet-Lite0 where its weights are installed, else the small network."""
    if name == "auto":
        return LITE0 if lite0_installed() else SMALL
    return name


class Lite0Learner:
    """Keeps the features of each picture, and of its mirror image; learns one layer, a multinomial regression."""

    def __init__(self, device: str, *, flip: bool) -> None:
        read = read_state(lite0_file("classifiers on"), keep=lambda name: not name.endswith(COUNTER))
        self.tensors = read.tensors
        self.network = Lite0Classifier(self.tensors).eval().to(device)
        self.device, self.flip = device, flip
        self.features: list[list[Tensor]] = [[], []]

    @torch.inference_mode()
    def take(self, chips_NHWC: Pixels) -> None:
        images = to_float(torch.from_numpy(chips_NHWC).to(self.device))
        for mirrored in range(1 + self.flip):
            found = self.network.features(images.flip(3) if mirrored else images)
            self.features[mirrored].append(found.cpu())

    def fit(self, task: Task, *, stop: threading.Event, note: Callable[[str], None]) -> Fitted:
        x_ND, *mirrored = [torch.cat(parts) for parts in self.features if parts]
        x_ND, mirrored = x_ND.clone(), [part.clone() for part in mirrored]  # out of inference mode
        rows, truth = torch.from_numpy(task.split.train), torch.from_numpy(task.truth)
        learnt = torch.cat([part[rows] for part in (x_ND, *mirrored)])
        mean, std = learnt.mean(dim=0), learnt.std(dim=0).clamp(min=1e-3)
        targets = truth[rows].repeat(1 + len(mirrored))
        path = _Path(((learnt - mean) / std), targets, task.classes)
        held = torch.from_numpy(task.split.validation)
        best = path.search((x_ND[held] - mean) / std, truth[held], stop=stop, note=note)
        weight = best.weight / std  # the standardisation goes into the layer
        bias = best.bias - weight @ mean
        tensors = {**self.tensors, FC_WEIGHT: weight, FC_BIAS: bias}
        facts = {"features": HEAD, "penalty": best.penalty, "validation_loss": best.loss}
        logits = F.linear(x_ND, weight, bias).double().numpy()
        return Fitted(tensors=tensors, logits=logits, facts=facts)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layer:
    weight: Tensor
    bias: Tensor
    penalty: float
    loss: float  # on validation


class _Path:
    """Multinomial regressions of falling penalty, each started from the one before; convex, so nothing is random."""

    def __init__(self, x_ND: Tensor, targets_N: Tensor, classes: int) -> None:
        self.x_ND, self.targets_N = x_ND, targets_N
        self.weight = torch.zeros(classes, x_ND.shape[1], requires_grad=True)
        self.bias = torch.zeros(classes, requires_grad=True)

    def search(
        self, x_ND: Tensor, truth_N: Tensor, *, stop: threading.Event, note: Callable[[str], None]
    ) -> _Layer:
        """Return the layer that does best on what is given; stop early when less penalty has not helped thrice."""
        best: _Layer | None = None
        worse = 0
        for penalty in PENALTIES:
            check(stop)
            self._solve(penalty)
            with torch.no_grad():
                loss = F.cross_entropy(F.linear(x_ND, self.weight, self.bias), truth_N).item()
            note(f"penalty {penalty:.2g}: validation loss {loss:.4f}")
            if best is None or loss < best.loss:
                weight, bias = self.weight.detach().clone(), self.bias.detach().clone()
                best, worse = _Layer(weight=weight, bias=bias, penalty=penalty, loss=loss), 0
            else:
                worse += 1
            if worse == PATIENCE[LITE0]:
                break
        if best is None:  # there is always a first
            raise DistillError("no penalty was tried")
        return best

    def _solve(self, penalty: float) -> None:
        optimiser = torch.optim.LBFGS(
            [self.weight, self.bias], max_iter=200, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimiser.zero_grad()
            logits = F.linear(self.x_ND, self.weight, self.bias)
            loss = F.cross_entropy(logits, self.targets_N) + penalty / 2 * self.weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimiser.step(closure)  # type: ignore[no-untyped-call]


class SmallLearner:
    """Keeps the pictures; learns a small convolutional network by AdamW with mirrored and shifted copies."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.chips: list[Pixels] = []

    def take(self, chips_NHWC: Pixels) -> None:
        self.chips.append(chips_NHWC)

    def fit(self, task: Task, *, stop: threading.Event, note: Callable[[str], None]) -> Fitted:
        images = torch.from_numpy(np.concatenate(self.chips))
        truth = torch.from_numpy(task.truth)
        generator = torch.Generator().manual_seed(task.seed)
        network = SmallCnn(WIDTHS, task.classes)
        network.start(generator)
        network.to(self.device)
        steps = -(-len(task.split.train) // BATCH) * EPOCHS
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        best = _Best(copy.deepcopy(network.state_dict()))
        held = torch.from_numpy(task.split.validation)
        for epoch in range(EPOCHS):
            for batch in _batches(torch.from_numpy(task.split.train), generator):
                check(stop)
                x = _varied(to_float(images[batch]), generator, flip=task.flip)
                loss = F.cross_entropy(network(x.to(self.device)), truth[batch].to(self.device))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
            found = F.cross_entropy(self._logits(network, images[held]), truth[held]).item()
            note(f"epoch {epoch + 1}: validation loss {found:.4f}")
            if best.is_over(found, epoch, network.state_dict()):
                break
        network.load_state_dict(best.state)
        facts = {"epoch": best.epoch + 1, "validation_loss": best.loss}
        logits = self._logits(network, images).double().numpy()
        state = {name: value.cpu() for name, value in best.state.items()}
        return Fitted(tensors=state, logits=logits, facts=facts)

    @torch.inference_mode()
    def _logits(self, network: SmallCnn, images: Tensor) -> Tensor:
        parts = [network(to_float(part).to(self.device)).cpu() for part in torch.split(images, 256)]
        return torch.cat(parts)


@dataclass
class _Best:
    """The state with the lowest validation loss so far."""

    state: dict[str, Any]
    loss: float = field(default=float("inf"))
    epoch: int = -1

    def is_over(self, loss: float, epoch: int, state: Mapping[str, Any]) -> bool:
        """Look at an epoch; tell whether it is time to stop."""
        if loss < self.loss:
            self.state, self.loss, self.epoch = copy.deepcopy(dict(state)), loss, epoch
        return epoch - self.epoch >= PATIENCE[SMALL]


def check(stop: threading.Event) -> None:
    if stop.is_set():
        raise Interrupted("interrupted: nothing was written; the same command starts again")


def _batches(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
    return torch.split(rows[torch.randperm(len(rows), generator=generator)], BATCH)


def _varied(images_NCHW: Tensor, generator: torch.Generator, *, flip: bool) -> Tensor:
    """Mirror every other picture, and move each by up to a sixteenth of its side; its edges are repeated."""
    count, _, height, width = images_NCHW.shape
    if flip:
        mirrored = torch.rand(count, generator=generator) < 0.5
        images_NCHW = torch.where(mirrored.reshape(-1, 1, 1, 1), images_NCHW.flip(3), images_NCHW)
    far = max(1, round(SHIFT * height))
    padded = F.pad(images_NCHW, (far, far, far, far), mode="replicate")
    moves = torch.randint(2 * far + 1, (count, 2), generator=generator).tolist()
    moved = [image[:, y : y + height, x : x + width] for image, (y, x) in zip(padded, moves, strict=True)]
    return torch.stack(moved)
