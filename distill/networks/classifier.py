"""Networks that tell classes apart, built from their tensors: EfficientNet-Lite0, and a small one of our own.

Shapes: N images, C = 3 channels (1 is possible for the small one), H W in px, K classes, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from distill.errors import UnsupportedCheckpoint
from distill.networks.efficientnet_lite import HEAD, STAGES, EfficientNetLite0, head_of, named
from distill.weights.state import few

Tensors = Mapping[str, Tensor]
FC_WEIGHT, FC_BIAS = "_fc.weight", "_fc.bias"  # the names of efficientnet-lite-pytorch
COUNTER = ".num_batches_tracked"
WIDTHS = (32, 64, 96, 128)  # of the small network, a stride of 2 before each
GROUPS = 8
MOST_WIDTHS = 8


class Lite0Classifier(nn.Module):
    """EfficientNet-Lite0 with a last layer of its own: [N, 3, H, W] → logits [N, K].

    `tensors` have the names of the package efficientnet-lite-pytorch. Raises UnsupportedCheckpoint for one that is
    missing, unknown or of another shape.
    """

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        asked = _Asked(tensors)
        self.network, self.head = EfficientNetLite0(asked, stages=len(STAGES)), head_of(asked)
        classes = _classes(asked, FC_WEIGHT)
        with torch.device("meta"):  # nothing is drawn at random
            self.fc = nn.Linear(HEAD, classes)
        last = {"weight": named(asked, FC_WEIGHT, (classes, HEAD)), "bias": named(asked, FC_BIAS, (classes,))}
        self.fc.load_state_dict(last, assign=True)
        asked.refuse_others()

    def features(self, images_NCHW: Tensor) -> Tensor:
        """Return what the last layer sees, [N, D]."""
        features: Tensor = self.head(self.network(images_NCHW)[-1]).mean(dim=[2, 3])
        return features

    def forward(self, images_NCHW: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.features(images_NCHW))
        return logits


class SmallCnn(nn.Module):
    """A few convolutions of stride 2 and one layer over their mean: [N, C, H, W] → logits [N, K]."""

    def __init__(self, widths: Sequence[int], classes: int, channels: int = 3) -> None:
        super().__init__()
        before = [channels, *widths[:-1]]
        convs = [nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(before, widths, strict=True)]
        norms = [nn.GroupNorm(GROUPS, width) for width in widths]
        self.convs, self.norms = nn.ModuleList(convs), nn.ModuleList(norms)
        self.fc = nn.Linear(widths[-1], classes)

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Draw the weights that training starts from (He et al. 2015)."""
        for name, value in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(value)
            elif name.startswith("norms"):
                nn.init.ones_(value)
            elif name.startswith("convs"):
                nn.init.kaiming_normal_(value, nonlinearity="relu", generator=generator)
            else:
                nn.init.normal_(value, std=0.01, generator=generator)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        x = images_NCHW
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu(norm(conv(x)))
        logits: Tensor = self.fc(x.mean(dim=[2, 3]))
        return logits


def small_cnn(tensors: Tensors) -> SmallCnn:
    """Build the small network from its tensors. Raises UnsupportedCheckpoint where they are another's."""
    asked = _Asked(tensors)
    shapes: list[list[int]] = []
    while (name := f"convs.{len(shapes)}.weight") in tensors and len(shapes) < MOST_WIDTHS:
        shapes.append(list(tensors[name].shape))
    odd = [shape for shape in shapes if len(shape) != 4 or shape[0] % GROUPS or not shape[0] * shape[1]]
    if not shapes or odd:
        raise UnsupportedCheckpoint(
            f"convs.0.weight is {'of shape ' + str(odd[0]) if odd else 'missing'}: not the network small_cnn"
        )
    with torch.device("meta"):
        network = SmallCnn([shape[0] for shape in shapes], _classes(asked, "fc.weight"), shapes[0][1])
    state = {name: named(asked, name, value.shape) for name, value in network.state_dict().items()}
    network.load_state_dict(state, assign=True)
    asked.refuse_others()
    return network


# What a scorer file may name, and what builds it.
ARCHITECTURES: Mapping[str, Callable[[Tensors], nn.Module]] = {
    "efficientnet_lite0": Lite0Classifier,
    "small_cnn": small_cnn,
}


class _Asked(dict[str, Tensor]):
    """Tensors that remember which of them were asked for."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__(tensors)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.asked.add(name)
        return super().__getitem__(name)

    def refuse_others(self) -> None:
        others = [name for name in self if name not in self.asked and not name.endswith(COUNTER)]
        if others:
            raise UnsupportedCheckpoint(f"tensors that this architecture does not have: {few(others)}")


def _classes(tensors: Tensors, name: str) -> int:
    if name not in tensors:
        raise UnsupportedCheckpoint(f"the tensor {name} is missing")
    shape = list(tensors[name].shape)
    if len(shape) != 2 or shape[0] < 1:
        raise UnsupportedCheckpoint(f"{name} has shape {shape}, not [classes, features]")
    return shape[0]
