"""What a generator computes on the way to an image.

Shapes: N samples, L layers of w+, D latent width, C channels, h w the layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from distill.errors import DistillError
from distill.stylegan2.generator import Generator, Noise


@torch.inference_mode()
def activations(
    generator: Generator, ws_NLD: Tensor, sides: Sequence[int], *, noise: Noise = "const"
) -> list[Tensor]:
    """Return what the last convolution of each side (px, rising) gives for w+: float32 [N, C, side, side] each.

    Nothing behind the last side is computed. Raises DistillError for a side that the generator does not have.
    """
    known = sorted(generator.network.shape.channels)
    net, start = generator.synthesis, 0
    state, found = net.begin(len(ws_NLD)), []
    for side in sides:
        if side not in known:
            raise DistillError(
                f"this generator has layers of {', '.join(map(str, known))} px, but none of {side}"
            )
        stop = 2 * int(math.log2(side)) - 3  # one more than the w that its last convolution reads
        state = net.run(state, ws_NLD, start, stop, noise)
        found.append(state.features.float())
        start = stop
    return found
