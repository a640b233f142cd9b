"""Make pairs of men and women, and look into the data set: python examples/make_pairs.py OUT [N]"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import distill
from distill.pixels import write_png


def main(out: Path, n: int) -> None:
    choices = distill.TaskChoices(seed=3, min_confidence=0.95)
    data = distill.generate("gender-swap", n=n, out=out, choices=choices)
    pair = data[0]  # role -> uint8 [3, H, W]
    source, target = (pair[role].permute(1, 2, 0).numpy() for role in data.roles)
    write_png(out.with_name(f"{out.name}-first.png"), np.concatenate([source, target], axis=1))
    print(f"{len(data)} pairs of {data.resolution} px, digest {data.digest}")


if __name__ == "__main__":
    main(
        Path(sys.argv[1] if len(sys.argv) > 1 else "runs/pairs"),
        int(sys.argv[2]) if len(sys.argv) > 2 else 64,
    )
