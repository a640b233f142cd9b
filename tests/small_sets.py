"""Words of `distill generate` for a data set that takes a second."""

from __future__ import annotations

SMALL_SET = [
    "--task",
    "style-mix",
    "--align",
    "none",
    "--batch-size",
    "4",
    "--shard-size",
    "4",
    "--precision",
    "fp32",
]
