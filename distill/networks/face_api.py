"""The network for gender and age of face-api, as published: a small Xception for faces of 112 px.

It is the model of the package @vladmandic/face-api 1.7.15 (MIT; made by Vincent Mühler for face-api.js), which was
trained apart from the networks that select the faces of a data set. Its file holds the numbers back to back: weights
as one byte each, whose step and zero stand in the package's manifest and here, biases as float32.

Shapes: N faces, C channels, H = W = 112 px going in. `SAME` padding of an even side puts its one row behind.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import DistillError
from distill.files import open_regular

SHA256 = "49f92bbc0afef2342c4385e4a2b0acb6d7a727c6f0aa539499719a81acf9abaa"  # of age_gender_model.bin
BYTES = 429_708
SIDE = 112  # px
MEANS = (122.782, 117.001, 104.298)  # R, G, B; the difference to them is divided by SCALE
SCALE = 255.0
BEHIND = (0, 1, 0, 1)  # left, right, top, bottom

LayerKind = Literal["full", "separable", "dense"]


class FaceApiLayer(NamedTuple):
    """A layer of the file. `steps`: (step, zero) of each of its weights: a byte b stands for (b - zero) * step."""

    name: str
    kind: LayerKind
    kernel: int
    inputs: int
    outputs: int
    steps: tuple[tuple[float, int], ...]


LAYERS = (
    FaceApiLayer("first", "full", 3, 3, 32, ((0.00543182504, 137),)),
    FaceApiLayer("entry0_sep0", "separable", 3, 32, 64, ((0.00569198061, 107), (0.00908922588, 123))),
    FaceApiLayer("entry0_sep1", "separable", 3, 64, 64, ((0.00683894625, 119), (0.0116325664, 112))),
    FaceApiLayer("entry0_expand", "full", 1, 32, 64, ((0.0102548122, 90),)),
    FaceApiLayer("entry1_sep0", "separable", 3, 64, 128, ((0.00525096164, 122), (0.0107885094, 135))),
    FaceApiLayer("entry1_sep1", "separable", 3, 128, 128, ((0.00553213919, 127), (0.0136023886, 119))),
    FaceApiLayer("entry1_expand", "full", 1, 64, 128, ((0.00757185104, 153),)),
    FaceApiLayer("main0_sep0", "separable", 3, 128, 128, ((0.00576632841, 116), (0.0121361162, 130))),
    FaceApiLayer("main0_sep1", "separable", 3, 128, 128, ((0.00431477322, 131), (0.0110716203, 112))),
    FaceApiLayer("main0_sep2", "separable", 3, 128, 128, ((0.00364517359, 133), (0.00879174494, 129))),
    FaceApiLayer("main1_sep0", "separable", 3, 128, 128, ((0.0049157519, 124), (0.0108686915, 123))),
    FaceApiLayer("main1_sep1", "separable", 3, 128, 128, ((0.00501011727, 120), (0.0103111482, 134))),
    FaceApiLayer("main1_sep2", "separable", 3, 128, 128, ((0.00491152371, 150), (0.00897646605, 136))),
    FaceApiLayer("exit_sep0", "separable", 3, 128, 256, ((0.00507480444, 140), (0.0114530783, 127))),
    FaceApiLayer("exit_sep1", "separable", 3, 256, 256, ((0.00774175139, 147), (0.0113477132, 132))),
    FaceApiLayer("exit_expand", "full", 1, 128, 256, ((0.00671728101, 124),)),
    FaceApiLayer("last", "separable", 3, 256, 512, ((0.00272017425, 119), (0.0100763643, 132))),
    FaceApiLayer("age", "dense", 1, 512, 1, ((0.00867405499, 146),)),
    FaceApiLayer("gender", "dense", 1, 512, 2, ((0.00299482264, 114),)),
)


def load_face_api(path: Path) -> FaceApiNetwork:
    """Open the published file. Raises DistillError for one that is missing or any other."""
    try:
        with open_regular(path) as file:
            data = file.read(BYTES + 1)
    except OSError as error:
        raise DistillError(f"{path}: cannot be read ({error.strerror})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise DistillError(
            f"{path}: sha256 is {found[:12]}…, that of age_gender_model.bin of @vladmandic/face-api 1.7.15 is "
            f"{SHA256[:12]}…; fetch it again: distill weights fetch face-api-age-gender"
        )
    return FaceApiNetwork(data)


class FaceApiNetwork(nn.Module):
    """Faces [N, 3, 112, 112] as RGB from 0 to 255 -> (age in years [N], logits of male and female [N, 2])."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        for name, tensor in read_tensors(data):
            self.register_buffer(name, tensor)

    def forward(self, faces_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        means = torch.tensor(MEANS, device=faces_NCHW.device).reshape(3, 1, 1)
        x = F.relu(self._full("first", F.pad((faces_NCHW - means) / SCALE, BEHIND), stride=2))
        x = self._reduce("entry0", x, x)
        x = self._reduce("entry1", F.relu(x), x)
        for block in ("main0", "main1"):
            inside = x
            for layer in ("sep0", "sep1", "sep2"):
                inside = self._separable(f"{block}_{layer}", F.relu(inside))
            x = x + inside
        x = self._reduce("exit", F.relu(x), x)
        features_NC = F.relu(self._separable("last", x)).mean(dim=(2, 3))  # 7x7, all of it
        return self._dense("age", features_NC)[:, 0], self._dense("gender", features_NC)

    def _reduce(self, block: str, x: Tensor, beside: Tensor) -> Tensor:
        """Halve the side: two separable convolutions and a maximum, plus a projection of what came in."""
        x = self._separable(f"{block}_sep1", F.relu(self._separable(f"{block}_sep0", x)))
        x = F.max_pool2d(F.pad(x, BEHIND, value=-math.inf), 3, 2)
        return x + self._full(f"{block}_expand", beside, stride=2)

    def _full(self, name: str, x: Tensor, *, stride: int) -> Tensor:
        return F.conv2d(x, self.get_buffer(f"{name}_weight0"), self.get_buffer(f"{name}_bias"), stride=stride)

    def _separable(self, name: str, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.get_buffer(f"{name}_weight0"), padding=1, groups=x.shape[1])
        return F.conv2d(x, self.get_buffer(f"{name}_weight1"), self.get_buffer(f"{name}_bias"))

    def _dense(self, name: str, x_NC: Tensor) -> Tensor:
        return F.linear(x_NC, self.get_buffer(f"{name}_weight0"), self.get_buffer(f"{name}_bias"))


def read_tensors(data: bytes) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of the file by name, in the layout of torch. Raises DistillError for another length."""
    if len(data) != BYTES:
        raise DistillError(f"age_gender_model.bin has {BYTES} bytes, these are {len(data)}")
    start = 0
    for layer in LAYERS:
        for number, (shape, (step, zero)) in enumerate(zip(_shapes(layer), layer.steps, strict=True)):
            count = math.prod(shape)
            stored = np.frombuffer(data, np.uint8, count, start).reshape(shape)
            start += count
            weight = ((stored.astype(np.float64) - zero) * step).astype(np.float32)
            # torch has the outputs first; a depthwise filter [k, k, C, 1] has one input a channel.
            order = {"dense": (1, 0)}.get(layer.kind, (2, 3, 0, 1) if shape[3:] == (1,) else (3, 2, 0, 1))
            yield (
                f"{layer.name}_weight{number}",
                torch.from_numpy(np.ascontiguousarray(weight.transpose(order))),
            )
        bias = np.frombuffer(data, "<f4", layer.outputs, start)
        start += bias.nbytes
        yield f"{layer.name}_bias", torch.from_numpy(bias.astype(np.float32))


def _shapes(layer: FaceApiLayer) -> tuple[tuple[int, ...], ...]:
    """The shapes of a layer's weights in the file."""
    inputs, outputs, side = layer.inputs, layer.outputs, layer.kernel
    return {
        "full": ((side, side, inputs, outputs),),
        "separable": ((side, side, inputs, 1), (1, 1, inputs, outputs)),
        "dense": ((inputs, outputs),),
    }[layer.kind]
