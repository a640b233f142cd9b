"""Two ways to learn classes: one layer on the frozen features of EfficientNet-Lite0, or a small network from scratch.

N pictures, S px side, D features, K classes.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from distill.attributes.classifier.regression import LabelledFeatures, check, find_penalty, left_out_logits
from distill.attributes.classifier.split import LabelSplit
from distill.faces.alignment import Pixels
from distill.networks.classifier import COUNTER, FC_BIAS, FC_WEIGHT, WIDTHS, Lite0Classifier, SmallCnn
from distill.networks.efficientnet_lite import HEAD, lite0_file, lite0_installed
from distill.pixels import to_float
from distill.weights.state_files import read_state

LITE0, SMALL = "efficientnet_lite0", "small_cnn"
SIDES = {LITE0: 128, SMALL: 64}  # px, where nothing else is asked
PATIENCE = 12  # epochs without a better validation loss
EPOCHS, BATCH, RATE, DECAY = 120, 32, 2e-3, 0.02  # of the small network: AdamW, cosine
SHIFT = 1 / 16  # of the side: the farthest that a picture is moved
Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ClassifierTask:
    """What to learn: the class of each picture [N] and its group, the split, and whether mirror images `flip`."""

    truth: Numbers
    groups: Sequence[str]
    split: LabelSplit
    classes: int
    flip: bool
    seed: int


@dataclass(frozen=True, kw_only=True)
class FittedClassifier:
    """What was learnt: the tensors of the architecture, logits [N, K] of all pictures, and what was tried.

    `held_logits` [M, K] are for the temperature: of the pictures `held` [M], by what has not learnt from them.
    """

    tensors: Mapping[str, Tensor]
    logits: NDArray[np.float64]
    held: Numbers
    held_logits: NDArray[np.float64]
    facts: Mapping[str, Any]


class ClassLearner(Protocol):
    """Takes chips as they come, then learns."""

    def take(self, chips_NHWC: Pixels) -> None: ...

    def fit(
        self, task: ClassifierTask, *, stop: threading.Event, note: Callable[[str], None]
    ) -> FittedClassifier: ...


def make_learner(name: str, *, device: str, flip: bool) -> ClassLearner:
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

    def fit(
        self, task: ClassifierTask, *, stop: threading.Event, note: Callable[[str], None]
    ) -> FittedClassifier:
        """Choose the penalty by validation, then learn from both parts.

        Few pictures calibrate badly, so the temperature comes from all that are learnt from, each predicted by a
        layer that has not seen it.
        """
        raw_ND, *mirrored = [torch.cat(parts).double().numpy() for parts in self.features if parts]
        known = np.sort(np.concatenate([task.split.train, task.split.validation]))
        mean, std = raw_ND[known].mean(axis=0), raw_ND[known].std(axis=0, ddof=1).clip(min=1e-3)
        pictures = LabelledFeatures(
            x=(raw_ND - mean) / std,
            others=[(part - mean) / std for part in mirrored],
            truth=task.truth,
            classes=task.classes,
        )
        penalty, loss = find_penalty(pictures, task.split.train, task.split.validation, stop=stop, note=note)
        held_logits = left_out_logits(pictures, known, task.groups, penalty, stop=stop)
        layer = pictures.learn(known, penalty)
        weight = layer.weight / std  # the standardisation goes into the layer
        last = {FC_WEIGHT: weight, FC_BIAS: layer.bias - weight @ mean}
        tensors = {**self.tensors, **{name: torch.from_numpy(value).float() for name, value in last.items()}}
        facts = {
            "features": HEAD,
            "penalty": penalty,
            "validation_loss": loss,
            "calibrated": "each fifth left out",
        }
        logits = layer(pictures.x)
        return FittedClassifier(
            tensors=tensors, logits=logits, held=known, held_logits=held_logits, facts=facts
        )


class SmallLearner:
    """Keeps the pictures; learns a small convolutional network by AdamW with mirrored and shifted copies."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.chips: list[Pixels] = []

    def take(self, chips_NHWC: Pixels) -> None:
        self.chips.append(chips_NHWC)

    def fit(
        self, task: ClassifierTask, *, stop: threading.Event, note: Callable[[str], None]
    ) -> FittedClassifier:
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
        judged = torch.from_numpy(task.split.validation)
        for epoch in range(EPOCHS):
            for batch in _batches(torch.from_numpy(task.split.train), generator):
                check(stop)
                x = _varied(to_float(images[batch]), generator, flip=task.flip)
                loss = F.cross_entropy(network(x.to(self.device)), truth[batch].to(self.device))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
            found = F.cross_entropy(self._logits(network, images[judged]), truth[judged]).item()
            note(f"epoch {epoch + 1}: validation loss {found:.4f}")
            if best.is_over(found, epoch, network.state_dict()):
                break
        network.load_state_dict(best.state)
        facts = {"epoch": best.epoch + 1, "validation_loss": best.loss, "calibrated": "validation part"}
        logits = self._logits(network, images).double().numpy()
        state = {name: value.cpu() for name, value in best.state.items()}
        held = task.split.validation
        return FittedClassifier(
            tensors=state, logits=logits, held=held, held_logits=logits[held], facts=facts
        )

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
        return epoch - self.epoch >= PATIENCE


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
