"""Draw faces, mix two of them at each layer, and save the pictures: python examples/explore_latents.py OUT"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import distill
from distill.pixels import to_uint8, write_png


def main(out: Path) -> None:
    generator = distill.load_generator("portraits")
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(8))
    content, style = generator.map(z, truncation_psi=0.7)  # w+ [L, D] each
    mixes = [torch.cat([content[:crossover], style[crossover:]]) for crossover in range(generator.num_ws + 1)]
    images = to_uint8(
        generator.synthesize(torch.stack(mixes))
    )  # [N, H, W, 3]; the first is style, the last content
    out.mkdir(parents=True, exist_ok=True)
    write_png(out / "mixes.png", torch.cat(list(images), dim=1).numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/latents"))
