"""How fast shards are written and read at random, and how large they are, by codec.

    python benchmarks/shards.py 64 256 512

Triplets are crops of scikit-image's photographs of people, animals and things, reduced to the side; written as
`distill generate` writes them (encoded, checksummed, synced to disk), read row by row in random order with all
roles decoded, from the page cache. Codecs take turns in each round.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from side_by_side import Times, machine, print_table, race, sentence, write_json
from skimage import data

from distill.shards.codec import CODECS, encode_images
from distill.shards.folder import shard_path
from distill.shards.layout import ShardContent
from distill.shards.read import open_shard
from distill.shards.write import commit_shard
from distill.stylegan2.facts import Teacher
from pipelines import RECIPES

CPU = torch.device("cpu")


def main() -> int:
    options = parse()
    facts = machine(CPU)
    print(sentence(facts), end="\n\n", flush=True)
    rows = [row for side in options.sides for row in measure(side, options)]
    print_table(
        ("side", "codec", "KiB a triplet", "written/s", "read/s", "PSNR"),
        [
            [
                f"{row['side']} px",
                row["codec"],
                f"{row['kib']:.0f}",
                f"{row['written_per_s']:.0f}",
                f"{row['read_per_s']:.0f}",
                "exact" if row["psnr_db"] == float("inf") else f"{row['psnr_db']:.1f} dB",
            ]
            for row in rows
        ],
    )
    write_json(options.json, {"machine": facts, "command": sys.argv, "rows": rows})
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write and random-read rates of shards, by codec.")
    parser.add_argument("sides", type=int, nargs="*", default=[64, 256, 512], help="px")
    parser.add_argument("--rows", type=int, default=64, help="triplets of a shard")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="that encode")
    parser.add_argument("--folder", type=Path, help="where the shards are written and deleted")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    return parser.parse_args()


def measure(side: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Race the codecs at one side, writing and then reading."""
    images = {
        role: crops(side, options.rows, seed) for seed, role in enumerate(("content", "style", "mixed"))
    }
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folders = {codec: Path(name) / codec for codec in CODECS}
        for folder in folders.values():
            folder.mkdir()
        writers = {c: writer(folders[c], c, side, images, options.threads) for c in CODECS}
        written = race(writers, rounds=options.rounds, device=CPU)
        read = race({c: reader(folders[c], options.rows) for c in CODECS}, rounds=options.rounds, device=CPU)
        return [
            row_of(codec, side, shard_path(folders[codec], 0), images, written[codec], read[codec])
            for codec in CODECS
        ]


def crops(side: int, count: int, seed: int) -> NDArray[np.uint8]:
    """Random square crops of photographs, reduced to `side` (or enlarged, where the photograph is smaller)."""
    random = np.random.default_rng(seed)
    photos = [Image.fromarray(load()) for load in (data.astronaut, data.chelsea, data.coffee, data.rocket)]
    found = []
    for photo in itertools.islice(itertools.cycle(photos), count):
        most = min(photo.size)
        length = int(random.integers(most // 2, most + 1))
        left, top = (int(random.integers(0, limit - length + 1)) for limit in photo.size)
        box = (left, top, left + length, top + length)
        found.append(np.asarray(photo.resize((side, side), Image.Resampling.LANCZOS, box=box)))
    return np.stack(found)


def writer(
    folder: Path, codec: str, side: int, images: dict[str, NDArray[np.uint8]], threads: int
) -> Callable[[], object]:
    """Write one shard of these images as the main job does: encode, build, commit."""
    facts = Teacher(name="none", sha256="0" * 64, resolution=side, num_ws=10, z_dim=8, w_dim=8)
    base = RECIPES["style-mix"].without_faces().revised(codec=codec)
    recipe = base.bind(facts)
    rows = len(next(iter(images.values())))
    candidates = np.arange(rows)

    def write() -> None:
        stored: dict[str, Any] = dict(images)
        if codec != "raw":
            stored = {role: encode_images(x, codec, threads=threads) for role, x in images.items()}
        content = ShardContent(
            index=0,
            digest=recipe.digest,
            recipe_json=recipe.to_json(),
            codec=codec,
            resolution=side,
            images=stored,
            columns={"candidate": candidates},
            tried={"candidate": candidates, "reason": np.zeros(rows, np.uint8)},
            reasons=["accepted"],
        )
        commit_shard(folder, content)

    return write


def reader(folder: Path, rows: int) -> Callable[[], object]:
    """Read every row once, in random order, all roles."""
    order = np.random.default_rng(7).permutation(rows).tolist()

    def read() -> str:
        digest = hashlib.blake2b(digest_size=4)
        with open_shard(shard_path(folder, 0)) as shard:
            for row in order:
                for role in shard.roles:
                    digest.update(shard.image(role, row)[0, 0])
        return digest.hexdigest()

    return read


def row_of(
    codec: str, side: int, path: Path, images: dict[str, NDArray[np.uint8]], written: Times, read: Times
) -> dict[str, Any]:
    rows = len(images["content"])
    with open_shard(path) as shard:
        errors = [
            (shard.image(role, row).astype(float) - images[role][row]) ** 2
            for role in images
            for row in range(rows)
        ]
    mse = float(np.mean(errors))
    return {
        "side": side,
        "codec": codec,
        "kib": path.stat().st_size / rows / 1024,
        "written_per_s": rows / written.median,
        "read_per_s": rows / read.median,
        "psnr_db": float("inf") if mse == 0 else float(10 * np.log10(255**2 / mse)),
    }


if __name__ == "__main__":
    sys.exit(main())
