"""Time and memory of `distill generate` against the number of triplets and of workers.

    python benchmarks/scaling.py --sizes 512 1024 2048 4096

Each row is the command itself in a folder of its own, each worker with a core. Where nothing grows but the work, the
rate is the same in every row of one number of workers, and the memory too. Other options go to the command.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from pipeline import generate, one_and_all, teacher
from side_by_side import machine, print_table, sentence, write_json


def main() -> int:
    options, extra = parse()
    facts = machine(torch.device(options.device))
    print(sentence(facts), end="\n\n", flush=True)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        source = teacher(options.network, folder)
        for workers in options.workers:
            for n in options.sizes:
                asked = argparse.Namespace(n=n, shard_size=options.shard_size, device=options.device)
                report = generate(source, "fresh", workers, folder / f"{workers}-{n}", asked, extra)
                rows.append(
                    {
                        "n": n,
                        "workers": workers,
                        "seconds": n / report["rows_per_second"],
                        "triplets_per_s": report["rows_per_second"],
                        "peak_mib": report["peak_mib"],
                    }
                )
    print_table(
        ("workers", "n", "seconds", "triplets/s", "driver MiB", "largest worker MiB"),
        [
            [
                str(row["workers"]),
                str(row["n"]),
                f"{row['seconds']:.1f}",
                f"{row['triplets_per_s']:.2f}",
                f"{row['peak_mib'][0]:.0f}",
                f"{max(row['peak_mib'][1:], default=0):.0f}",
            ]
            for row in rows
        ],
    )
    write_json(options.json, {"machine": facts, "command": sys.argv, "rows": rows})
    return 0


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description="Time and memory against n and workers.")
    parser.add_argument("--network", default="portraits", help="portraits, 256, 512, 1024, or a file")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048, 4096])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, nargs="+", help="default: one, and one for each GPU or core")
    parser.add_argument("--shard-size", type=int, default=128)
    parser.add_argument("--folder", type=Path, help="where the data sets are written and deleted")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options, extra = parser.parse_known_args()
    options.workers = options.workers or one_and_all(options.device)
    return options, extra


if __name__ == "__main__":
    sys.exit(main())
