"""Whether the filters decide the same about images drawn in another precision.

    python benchmarks/decisions.py --tasks style-mix gender-swap ageing --n 1024

Makes the data set of each task twice with the command itself, in fp32 and in --precision, and compares what became
of every candidate that both runs tried: accepted, or dropped for which reason.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import torch
from side_by_side import machine, print_table, sentence, write_json

Decisions = dict[tuple[str, int], int]  # (shard's file, candidate) -> number of the reason; 0: accepted


def main() -> int:
    options, extra = parse()
    facts = machine(torch.device("cpu"))
    print(sentence(facts), end="\n\n", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        rows = [compare(task, Path(name), options, extra) for task in options.tasks]
    print_table(
        ("task", "candidates", "accepted in fp32", "same reason", "same verdict"),
        [
            [
                row["task"],
                str(row["candidates"]),
                f"{row['accepted']:.1%}",
                f"{row['same_reason']:.2%}",
                f"{row['same_verdict']:.2%}",
            ]
            for row in rows
        ],
    )
    write_json(options.json, {"machine": facts, "command": sys.argv, "rows": rows})
    return 0


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description="Same decisions in two precisions; other options go to distill generate as they are."
    )
    parser.add_argument("--tasks", nargs="+", default=["style-mix", "gender-swap", "ageing"])
    parser.add_argument("--n", type=int, default=1024)
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp16"])
    parser.add_argument("--folder", type=Path, help="where the data sets are written and deleted")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    return parser.parse_known_args()


def compare(task: str, folder: Path, options: argparse.Namespace, extra: list[str]) -> dict[str, Any]:
    """Make one task's data set in both precisions; count the candidates with one and the same fate."""
    exact, fast = (
        decisions_of(task, precision, folder / f"{task}-{precision}", options.n, extra)
        for precision in ("fp32", options.precision)
    )
    both = exact.keys() & fast.keys()
    accepted = [key for key in both if exact[key] == 0]
    return {
        "task": task,
        "candidates": len(both),
        "accepted": len(accepted) / len(both),
        "same_reason": sum(exact[key] == fast[key] for key in both) / len(both),
        "same_verdict": sum((exact[key] == 0) == (fast[key] == 0) for key in both) / len(both),
    }


def decisions_of(task: str, precision: str, out: Path, n: int, extra: list[str]) -> Decisions:
    command = [sys.executable, "-m", "distill", "generate", "--task", task, "--n", str(n), "--out", str(out)]
    subprocess.run([*command, "--precision", precision, *extra], check=True)
    decisions: Decisions = {}
    for path in sorted(out.glob("shard-*.h5")):
        with h5py.File(path) as shard:
            tried = zip(shard["tried/candidate"][:], shard["tried/reason"][:], strict=True)
            decisions |= {(path.name, int(candidate)): int(reason) for candidate, reason in tried}
    return decisions


if __name__ == "__main__":
    sys.exit(main())
