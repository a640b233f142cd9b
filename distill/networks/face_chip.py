"""A small network that reads numbers off a grey face chip: whether it smiles, how far it is turned.

Shapes: N faces as R, G, B from 0 to 255, H = W = 48 px, K numbers.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.weights.registry import embedded_entry, resolve_entry
from distill.weights.state_files import read_state

ENTRIES = {"smile": "people-smile", "yaw": "people-yaw"}  # of `distill weights`
SIDE = 48  # px
WIDTHS = (1, 24, 48, 64, 96)
HIDDEN = 64
GROUPS = 8
GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
FLAT = 1.0  # grey levels added to the spread of a chip, so that one of a single colour is not divided by 0


class FaceChipNetwork(nn.Module):
    """Faces [N, 3, 48, 48] → numbers [N, K].

    A chip is turned to grey, and its levels are taken relative to its own mean and spread, so that neither colours
    nor exposure count.
    """

    def __init__(self, numbers: int = 1) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(WIDTHS)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, width) for width in WIDTHS[1:])
        self.hidden = nn.Linear(WIDTHS[-1] * (SIDE >> len(self.convs)) ** 2, HIDDEN)
        self.last = nn.Linear(HIDDEN, numbers)

    def forward(self, faces_NCHW: Tensor) -> Tensor:
        grey = (faces_NCHW * faces_NCHW.new_tensor(GREY).reshape(3, 1, 1)).sum(dim=1, keepdim=True)
        return self.read(grey)

    def read(self, grey_N1HW: Tensor) -> Tensor:
        """Read the numbers off chips that are grey already."""
        mean, spread = grey_N1HW.mean(dim=(2, 3), keepdim=True), grey_N1HW.std(dim=(2, 3), keepdim=True)
        x = (grey_N1HW - mean) / (spread + FLAT)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        x = F.dropout(x.flatten(1), 0.2, self.training)
        numbers: Tensor = self.last(F.relu(self.hidden(x)))
        return numbers


def load_face_chip(attribute: str) -> FaceChipNetwork:
    """Open the embedded network for "smile" or "yaw". Raises DistillError for a file that is missing or changed."""
    path = resolve_entry(embedded_entry(ENTRIES[attribute]))
    with torch.device("meta"):  # nothing is drawn at random
        network = FaceChipNetwork()
    network.load_state_dict(
        {name: value.float() for name, value in read_state(path).tensors.items()}, assign=True
    )
    return network.eval().requires_grad_(False)
