"""The search of the published projector in its plain order, one image at a time, for project.py to measure against.

Karras et al. 2020, appendix D, and the published description of the PyTorch release; float32. One step: a rate that
rises over 5 % and falls over 25 % of the steps, noise on w that fades over 75 %, an image, its features at 256 px or
less, a squared distance, the likeness of every noise map to itself moved by a pixel at every scale down to 8 px with
weight 1e5, a backward pass, Adam, noise maps normalised, and a line of progress, which waits for the numbers.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from distill.stylegan2.generator import Generator
from distill.stylegan2.spread import WSpread

SEED = 303


def plain_loop(
    generator: Generator, image: Tensor, features: Callable[[Tensor], Tensor], spread: WSpread, steps: int
) -> Tensor:
    """Embed one image [1, 3, H, W] from 0 to 255; return its w in every layer, [1, L, D]."""
    synthesis, device, log = generator.network.synthesis, generator.device, io.StringIO()
    random = torch.Generator().manual_seed(SEED)
    wanted = features(at_most_256(image))
    w = spread.centre.clone()[None, None].requires_grad_()
    maps = {
        name: torch.randn(buffer.shape, generator=random).to(device).requires_grad_()
        for name, buffer in synthesis.named_buffers()
        if "noise_const" in name
    }
    adam = torch.optim.Adam([w, *maps.values()], lr=0.1, betas=(0.9, 0.999))
    kept = torch.zeros(steps, generator.w_dim, device=device)
    for step in range(steps):
        t = step / steps
        fall, rise = min(1.0, (1 - t) / 0.25), min(1.0, t / 0.05)
        adam.param_groups[0]["lr"] = 0.1 * (0.5 - 0.5 * math.cos(fall * math.pi)) * rise
        scale = spread.deviation * 0.05 * max(0.0, 1 - t / 0.75) ** 2
        jitter = torch.randn(1, 1, generator.w_dim, generator=random).to(device) * scale
        ws = (w + jitter).repeat(1, generator.num_ws, 1)
        drawn = at_most_256((functional_call(synthesis, maps, (ws, "const")) + 1) * 127.5)
        distance = (wanted - features(drawn)).square().sum()
        penalty = torch.zeros((), device=device)
        for noise in maps.values():
            scaled = noise[None, None]
            while True:
                penalty = penalty + (scaled * scaled.roll(1, 3)).mean() ** 2
                penalty = penalty + (scaled * scaled.roll(1, 2)).mean() ** 2
                if scaled.shape[2] <= 8:
                    break
                scaled = F.avg_pool2d(scaled, 2)
        loss = distance + 1e5 * penalty
        adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        adam.step()
        print(f"step {step + 1}: distance {distance.item():.2f}, loss {loss.item():.2f}", file=log)
        kept[step] = w.detach()[0, 0]
        with torch.no_grad():
            for noise in maps.values():
                noise -= noise.mean()
                noise *= noise.square().mean().rsqrt()
    return kept[-1:, None].repeat(1, generator.num_ws, 1)


def at_most_256(images: Tensor) -> Tensor:
    """Average larger images down to 256 px, as the published program does before the features."""
    return F.interpolate(images, size=(256, 256), mode="area") if images.shape[2] > 256 else images
