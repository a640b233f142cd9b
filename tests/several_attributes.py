"""Two planted attributes as files: directions along which pictures become redder and greener, and their scorer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from attribute_edits import planted, write_planted
from onnx_files import model, node

from distill.stylegan2.generator import Generator

SCORER = """
network = "colours.onnx"
[input]
crop = "whole"
mean = 0.0
std = 1.0
[[scores]]
name = "red"
kind = "sigmoid"
output = "logit"
[[scores]]
name = "green"
kind = "value"
output = "level"
"""


def write_colours(folder: Path, teacher: Generator) -> list[str]:
    """Write directions and scorer of `red` (a probability) and `green` (0 to 100); return their options."""
    for channel, name in enumerate(("red", "green")):
        vector = planted(teacher, channel)[0]
        write_planted(folder / f"{name}.safetensors", teacher, name, vector=vector, name=f"more-{name}")
    middle = planted(teacher)[1] / 255
    constants = {
        "red": np.array([[255.0], [0], [0]], np.float32),
        "green": np.array([[0], [100.0], [0]], np.float32),
        "middle": np.array([-255.0 * middle], np.float32),
    }
    nodes = [
        node("GlobalAveragePool", ["images"], "mean"),
        node("Flatten", ["mean"], "flat"),
        node("Gemm", ["flat", "red", "middle"], "logit"),
        node("Gemm", ["flat", "green"], "level"),
    ]
    side = teacher.resolution
    data = model(nodes, constants, ["N", 3, side, side], {"logit": ["N", 1], "level": ["N", 1]})
    (folder / "colours.onnx").write_bytes(data)
    (folder / "colours.toml").write_text(SCORER)
    directions = ",".join(f"{name}={folder / name}.safetensors" for name in ("red", "green"))
    return [
        *("--attributes", "red,green", "--direction", directions, "--min-change", "green=0.5"),
        *("--scorer", str(folder / "colours.toml")),
    ]
