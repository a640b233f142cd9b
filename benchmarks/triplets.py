"""What the benchmarks draw: networks, latents, triplets as `distill generate` draws them, and their operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from distill.stylegan2.fused import FusedSynthesis
from distill.stylegan2.load import load_generator
from distill.stylegan2.networks import GeneratorNetwork, GeneratorShape, SynthesisNetwork

CONFIG_F = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
CROSSOVER = 8
BATCHES = {"cpu": {64: 16, 256: 2, 512: 1, 1024: 1}, "cuda": {64: 64, 256: 32, 512: 16, 1024: 8}}
Triplet = Callable[[Tensor, Tensor], Sequence[Tensor]]  # content's w+ and style's -> three batches of images


def build(name: str) -> GeneratorNetwork:
    """The embedded teacher, or config F with random weights, noise and biases awake, images in range."""
    if name == "portraits":
        return load_generator("portraits").network
    torch.manual_seed(0)
    channels = {size: width for size, width in CONFIG_F.items() if size <= int(name)}
    network = GeneratorNetwork(GeneratorShape(z_dim=512, w_dim=512, mapping_layers=8, channels=channels))
    for key, parameter in network.synthesis.named_parameters():
        if key.endswith("noise_strength"):
            parameter.data.uniform_(0.05, 0.2)
        elif key.endswith("bias") and "affine" not in key:
            parameter.data.normal_(0, 0.1)
        elif key.endswith("torgb.weight"):
            parameter.data.mul_(0.2)
    return network.eval().requires_grad_(False)


def latents(network: GeneratorNetwork, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Content's w+ and style's, [N, L, D] each."""
    z = torch.randn(2 * batch, network.shape.z_dim, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        w_ND = network.mapping(z.to(device))
        w_ND = network.mapping.w_avg.lerp(w_ND, 0.7)
        content, style = w_ND[:, None].repeat(1, network.shape.num_ws, 1).split(batch)
    return content, style


def mix(content: Tensor, style: Tensor) -> Tensor:
    return torch.cat([content[:, :CROSSOVER], style[:, CROSSOVER:]], dim=1)


def sharing(net: SynthesisNetwork | FusedSynthesis) -> Triplet:
    """Draw content and mixed from one trunk."""

    @torch.inference_mode()
    def draw(content: Tensor, style: Tensor) -> list[Tensor]:
        trunk = net.run(net.begin(len(content)), content, 0, CROSSOVER, "const")
        ends = [
            net.finish(net.run(trunk, ws, CROSSOVER, net.num_ws, "const"))
            for ws in (content, mix(content, style))
        ]
        return [ends[0], net(style, "const"), ends[1]]

    return draw


def triplet_flops(shape: GeneratorShape, *, shared_layers: int) -> float:
    """Floating-point operations of content, style and mixed, the layers below `shared_layers` once for two."""
    layers = layer_flops(shape)
    return sum(flops * (2 if index < shared_layers else 3) for index, flops in layers)


def layer_flops(shape: GeneratorShape) -> list[tuple[int, float]]:
    """(number of the w it reads, operations) of every layer: convolution, filter, colours; no elementwise work."""
    layers: list[tuple[int, float]] = []
    for i, (size, outputs) in enumerate(sorted(shape.channels.items())):
        pixels = float(size**2)
        if size > 4:
            inputs = shape.channels[size // 2]
            products = 9 * inputs * outputs * pixels / 4 + 16 * outputs * pixels
            layers.append((2 * i - 1, 2 * products))
        layers += [(2 * i, 2 * 9 * outputs**2 * pixels), (2 * i + 1, 2 * 3 * outputs * pixels)]
    return layers
