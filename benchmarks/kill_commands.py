"""Kill every command that goes on where it was stopped, again and again, and compare the results byte by byte.

    python benchmarks/kill_commands.py --kills 30
    python benchmarks/kill_commands.py --kills 30 --kinds refilter export

Each kind is run once undisturbed. Then it gets SIGKILL at random moments, half of them within milliseconds of a new
name in its folder, and the same command is given again, until it ends; in a fresh folder if kills are left then.
Prints the counts and "identical", or the differences and exits with 1. Sizes are tiny: minutes in all.

A command runs in a fork of this process, which has everything imported: no second of a run is spent on starting.
Of trainings, times are left out of `stats.jsonl` before it is compared; the page and TensorBoard are not compared.
Workers of a pool are killed by `kill_storm.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from distill.cli.main import all_commands, cli, run

TIMES = ("seconds", "images_per_second")
NOT_COMPARED = ("index.html", "tensorboard")
JUST_AFTER_S = 0.01  # a new name in the folder
KINDS = ("generation", "embedding", "student", "teacher", "refilter", "export")


@dataclass
class Place:
    """Where all happens: a folder, and the data sets in it that the commands start from."""

    folder: Path
    rows: int

    def command(self, kind: str, out: Path) -> list[str]:
        """The command of a kind; given again with the same `out` it goes on."""
        mixes, images = str(self.folder / "mixes"), str(self.folder / "images")
        training = [
            "--out",
            str(out),
            "--resume",
            "--device",
            "cpu",
            "--features",
            "pixels8",
            "--score-images",
            "8",
        ]
        often = [
            "--tick-kimg",
            "0.016",
            "--snapshot-kimg",
            "0.048",
            "--save-kimg",
            "0.032",
            "--score-kimg",
            "0.048",
        ]
        return {
            "generation": self.generate(out),
            "embedding": self.embed(out),
            "student": ["train-pix2pix", "--data", mixes, *training, *often, "--resolution", "32", "--batch", "8",
                        "--perceptual", "none", "--constant-epochs", "2", "--decay-epochs", "1", "--set", "ngf=4"],
            "teacher": ["train-stylegan2", "--data", images, *training, *often, "--resolution", "32", "--batch", "8",
                        "--kimg", "0.192"],
            "refilter": ["refilter", mixes, "--where", "ssim > 0.3", "--out", str(out)],
            "export": ["export", mixes, "--to", "pix2pixhd", "--out", str(out)],
        }[kind]  # fmt: skip

    def generate(self, out: Path) -> list[str]:
        sizes = ["--n", str(self.rows), "--shard-size", "8", "--seed", "3"]
        return [
            "generate",
            "--task",
            "style-mix",
            *sizes,
            "--cluster",
            "none",
            "--device",
            "cpu",
            "--out",
            str(out),
        ]

    def embed(self, out: Path) -> list[str]:
        """Four batches of two faces, in two shards."""
        sizes = ["--n", "8", "--shard-size", "4", "--batch-size", "2", "--steps", "4", "--min-ssim", "-1"]
        where = ["--cluster", "none", "--device", "cpu", "--out", str(out)]
        return ["generate", "--task", "face-to-drawing", "--second-generator", "avatars", *sizes, *where]

    def prepare(self) -> None:
        """Make the data sets: triplets of the embedded teacher, and a set of plain images out of them."""
        finish(self.generate(self.folder / "mixes"))
        finish(
            [
                "export",
                str(self.folder / "mixes"),
                "--to",
                "pix2pixhd",
                "--out",
                str(self.folder / "pictures"),
            ]
        )
        pictures = str(self.folder / "pictures" / "train_A")
        finish(["prepare-images", pictures, "--out", str(self.folder / "images"), "--resolution", "32",
                "--align", "none", "--workers", "1"])  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill commands, give them again, compare every byte.")
    parser.add_argument("--kills", type=int, default=30, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rows", type=int, default=64, help="of the data set")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    torch.set_num_threads(1)
    import_all()
    worst = 0
    with tempfile.TemporaryDirectory(prefix="kill-commands-") as name:
        place = Place(Path(name), options.rows)
        place.prepare()
        for kind in options.kinds:
            worst = max(worst, storm(place, kind, options.kills, random.Random(options.seed)))
    return worst


def storm(place: Place, kind: str, kills: int, chance: random.Random) -> int:
    """Run one kind undisturbed and through its kills; print what came of it, return the exit code."""
    reference = place.folder / f"{kind}-reference"
    began = time.monotonic()
    finish(place.command(kind, reference))
    took, expected = time.monotonic() - began, tree(reference)
    killed, starts, folders, differences = 0, 0, 0, []
    while killed < kills:
        out = place.folder / f"{kind}-{folders}"
        folders, ended = folders + 1, False
        while not ended:
            starts += 1
            ended = survives(place.command(kind, out), out, took, chance if killed < kills else None)
            killed += not ended
        differences += [f"{out.name}: {line}" for line in compare(expected, tree(out))]
    print("\n".join(differences[:20]))
    verdict = f"{len(differences)} differences" if differences else "identical"
    print(
        f"{kind}: {killed} kills, {starts} starts, {folders} folders of {len(expected)} files, {took:.1f} s"
        f" undisturbed: {verdict}, {time.monotonic() - began:.0f} s in all",
        flush=True,
    )
    return bool(differences)


def survives(command: Sequence[str], out: Path, took: float, chance: random.Random | None) -> bool:
    """Start a command and kill it at a moment that chance chooses; True where it ended before, or is left alone."""
    pid = start(command)
    if chance is not None:
        until = time.monotonic() + chance.uniform(0, took)
        at_a_name = chance.random() < 0.5
        while time.monotonic() < until:
            before = names(out)
            time.sleep(0.001)
            if at_a_name and time.monotonic() > until - took / 2 and names(out) != before:
                time.sleep(chance.uniform(0, JUST_AFTER_S))
                break
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return False
    else:
        status = os.waitpid(pid, 0)[1]
    check(status, command)
    return True


def finish(command: Sequence[str]) -> None:
    check(os.waitpid(start(command), 0)[1], command)


def check(status: int, command: Sequence[str]) -> None:
    if status != 0:
        raise SystemExit(f"distill {' '.join(command)}: ended with {os.waitstatus_to_exitcode(status)}")


def start(command: Sequence[str]) -> int:
    """Run a command in a fork; its output goes nowhere, except for errors at its end."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            code = run(command)
        finally:
            os._exit(code)
    return pid


def import_all() -> None:
    """Import what commands import when they run."""
    import distill.cli.report
    import distill.editing.export
    import distill.generation.job
    import distill.shards.export
    import distill.shards.images.prepare
    import distill.shards.refilter.run
    import distill.training.pix2pix.trainer
    import distill.training.run
    import distill.training.stylegan2.trainer  # noqa: F401

    context = cli.make_context("distill", ["--version"], resilient_parsing=True)
    for name in all_commands():
        cli.get_command(context, name)


def names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()


def tree(folder: Path) -> dict[str, str]:
    """sha256 of every file that is compared, by its name within the folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    found = {str(path.relative_to(folder)): path for path in files}
    return {
        name: hashlib.sha256(content(path)).hexdigest()
        for name, path in found.items()
        if name.split("/")[0] not in NOT_COMPARED
    }


def content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.name != "stats.jsonl":
        return data
    lines = [json.loads(line) for line in data.splitlines()]
    return json.dumps([{key: line[key] for key in line if key not in TIMES} for line in lines]).encode()


def compare(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    missing = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    extra = [f"{name} is extra" for name in sorted(found.keys() - expected.keys())]
    both = sorted(expected.keys() & found.keys())
    return missing + extra + [f"{name} differs" for name in both if expected[name] != found[name]]


if __name__ == "__main__":
    sys.exit(main())
