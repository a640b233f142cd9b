"""The networks for apparent gender and age of davisking/dlib-models, by Cydral Technology (CC0).

Their tensors lie in stylegan_weights/attributes/: weights as 16-bit integers with a step for each output, biases as
float32. Each convolution has the scale and offset of the layer behind it in its weights.
Shapes: N faces as RGB from 0 to 255, C channels, H = W = 32 px (gender) or 64 px (age).
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.weights.registry import embedded_entry, resolve_entry
from distill.weights.state_files import read_state

MEANS = (
    122.782,
    117.001,
    104.298,
)  # R, G, B of dlib's input_rgb_image; the difference to them is divided by SCALE
SCALE = 256.0
SIDES = {"gender": 32, "age": 64}  # px
ENTRIES = {"gender": "dlib-gender", "age": "dlib-age"}  # of `distill weights`
AGES = 81  # classes: 0 to 80 years
STEP = ".step"  # the tensor NAME.step [outputs] belongs to the integers of NAME


class GenderNetwork(nn.Module):
    """Faces [N, 3, 32, 32] → logits of female and male [N, 2]."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 32, 64, 64)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise(widths))
        self.hidden = nn.Linear(64 * 8 * 8, 16)
        self.last = nn.Linear(16, 2)

    def forward(self, faces_NCHW: Tensor) -> Tensor:
        x = standardised(faces_NCHW)
        for number, conv in enumerate(self.convs):
            x = F.relu(conv(x))
            if number % 2:
                x = F.avg_pool2d(x, 2)
        logits: Tensor = self.last(F.relu(self.hidden(x.flatten(1))))
        return logits


class AgeNetwork(nn.Module):
    """Faces [N, 3, 64, 64] → logits of 0 to 80 years [N, 81]."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 64, 7, stride=2)
        self.blocks = nn.ModuleList(
            Residual(a, b) for a, b in ((64, 64), (64, 128), (128, 128), (128, 256), (256, 256))
        )
        self.last = nn.Linear(256, AGES)

    def forward(self, faces_NCHW: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(standardised(faces_NCHW))), 3, 2)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.last(x.mean(dim=(2, 3)))
        return logits


class Residual(nn.Module):
    """Two convolutions and what came in; a block with more channels out than in halves the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.halves = outputs > inputs
        stride, padding = (2, 0) if self.halves else (1, 1)
        self.conv0 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=padding)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        inside = self.conv1(F.relu(self.conv0(x)))
        beside = F.avg_pool2d(x, 2) if self.halves else x
        size = [max(a, b) for a, b in zip(inside.shape[1:], beside.shape[1:], strict=True)]
        return F.relu(_filled(inside, size) + _filled(beside, size))


def standardised(faces_NCHW: Tensor) -> Tensor:
    means = torch.tensor(MEANS, device=faces_NCHW.device).reshape(3, 1, 1)
    return (faces_NCHW - means) / SCALE


def new_network(attribute: str) -> nn.Module:
    """Make the network for "gender" or "age" without numbers in it."""
    with torch.device("meta"):
        return GenderNetwork() if attribute == "gender" else AgeNetwork()


def load_age_gender(attribute: str) -> nn.Module:
    """Open the embedded network for "gender" or "age". Raises DistillError for a file that is missing or changed."""
    path = resolve_entry(embedded_entry(ENTRIES[attribute]))
    network = new_network(attribute)
    network.load_state_dict(_widened(read_state(path).tensors), assign=True)
    return network.eval().requires_grad_(False)


def _widened(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Turn integers and their steps into float32."""
    return {
        name: values.float() * stored[name + STEP].reshape(-1, *[1] * (values.ndim - 1))
        if name + STEP in stored
        else values
        for name, values in stored.items()
        if not name.endswith(STEP)
    }


def _filled(x_NCHW: Tensor, size: list[int]) -> Tensor:
    """Put zeros behind the channels, rows and columns up to a size [C, H, W]."""
    channels, height, width = (want - there for want, there in zip(size, x_NCHW.shape[1:], strict=True))
    return F.pad(x_NCHW, (0, width, 0, height, 0, channels))
