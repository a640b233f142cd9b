"""The README of the format gives code that works, without this package."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import distill.shards

EXAMPLES = re.findall(
    r"```python\n(.+?)```", Path(distill.shards.__file__).with_name("README.md").read_text(), re.S
)


@pytest.mark.parametrize(("codec", "place"), [("raw", 0), ("jpeg", 1), ("webp", 1)])
def test_an_example_reads_a_triplet(codec: str, place: int, make_data_set: Any, make_content: Any) -> None:
    folder = make_data_set(codec=codec)
    save = (
        "\nimport numpy as np\nnp.savez('out.npz', **{role: np.asarray(triplet[role]) for role in triplet})"
    )
    alone = "\nimport sys\nassert not any(name.startswith('distill') for name in sys.modules)"
    script = EXAMPLES[place] + save + alone
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=folder, check=True)
    images = make_content(codec=codec).images
    with np.load(folder / "out.npz") as found:
        assert list(found) == ["content", "style", "mixed"]
        for role, pixels in images.items():
            error = np.abs(found[role].astype(int) - pixels[0])
            assert error.max() <= (12 if codec == "jpeg" else 0)


def test_the_examples_are_short() -> None:
    for example in EXAMPLES:
        assert len([line for line in example.splitlines() if line.strip()]) <= 10
