"""The blocks of Python on pages: what lies there and is known before them, and what holds after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NOT_RUN = {
    "CONTRIBUTING.md": "changes the package: tests/generation/test_contributing.py runs it in a copy",
    "distill/serve/README.md": "asks a server that needs gradio: make browser",
}


@dataclass(frozen=True)
class Blocks:
    """`given` as in `pages.table`; `smaller` other names for files.

    `before` is Python before each block, with its `number`; `after` what holds after the last.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    smaller: Mapping[str, str] = field(default_factory=dict)
    after: str = ""


PYTHON = {
    "distill/attributes/README.md": Blocks(
        given={"me.jpg": "face", "smile.onnx": "smile.onnx", "smile.toml": "smile.toml"},
        after="assert scorer.kinds == {'smile': 'probability'} and scorer.needs_face and len(faces) == 1",
    ),
    "distill/faces/regions/README.md": Blocks(
        before="""
import torch
from distill.faces.detection import FaceDetector
from distill.pixels import to_uint8
from distill.stylegan2.load import load_generator
generator = load_generator("portraits", precision="fp32")
ws = generator.map(torch.zeros(1, generator.z_dim), truncation_psi=0.5)
images = to_uint8(generator.synthesize(ws)).numpy()
landmarks = [FaceDetector()(images[0])[0].landmarks]
""",
        after="assert masks.shape == (1, 64, 64) and masks.max() > 0.5",
    ),
    "distill/shards/README.md": Blocks(
        given={"raw": "style-mix", "jpeg": "style-mix-jpeg"},
        before="import os; os.replace(['raw', 'jpeg'][number] + '/shard-00000.h5', 'shard-00000.h5')",
        after="""
assert list(triplet) == ["content", "style", "mixed"] and triplet["mixed"].size == (64, 64)
assert len(w_plus) == 10 and crossover.ndim == 0
""",
    ),
    "distill/shards/images/README.md": Blocks(
        given={"data/faces": "images"},
        before="from pathlib import Path; import numpy as np",
        after="assert len(faces.labels['gender']) == len(faces.weights) == 16",
    ),
    "distill/training/README.md": Blocks(
        smaller={"runs/edits": "attributes"},
        after="assert younger is not student",
    ),
}
