"""Kill workers and drivers of a run at random moments, resume, and compare the result byte by byte.

    python benchmarks/kill_storm.py --n 2000 --shard-size 128 --worker-kills 10 --driver-kills 5 --seed 0

First the same data set without a cluster, with one worker and with two: three trees that must be the same.
Then a run with two workers, some of which get SIGKILL in the middle of their work, then SIGKILL for the driver
itself and the same command again, until the numbers asked for are reached; when a run ends before that, another
one begins in a fresh folder. Prints the counts and "identical", or the differences and exits with 1.
Options after `--` go to `distill generate`. Linux only: processes are found in /proc.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

POLL_S = 0.05
STALL_S = 600.0
RESUMABLE = (0, 3)  # 3: some shards failed, and the same command tries them again


@dataclass
class Storm:
    """A run that is being disturbed: what is still to be killed, and what has happened so far."""

    command: list[str]
    workdir: Path
    chance: random.Random
    shard_s: float  # how long an undisturbed shard takes
    worker_kills: int
    driver_kills: int
    folders: list[Path] = field(default_factory=list)
    starts: int = 0
    killed_workers: int = 0
    killed_drivers: int = 0
    slowest_exit_s: float = 0.0

    def rage(self) -> list[Path]:
        """Kill until the numbers are reached, let the last run finish; return the completed folders."""
        while not self.folders or self.kills_left():
            self.folders.append(self.workdir / f"storm-{len(self.folders)}")
            while not self.finish(self.folders[-1]):
                pass
        return self.folders

    def kills_left(self) -> bool:
        return self.killed_workers < self.worker_kills or self.killed_drivers < self.driver_kills

    def finish(self, folder: Path) -> bool:
        """Start a driver on the folder and kill its workers; False when it was killed itself."""
        self.starts += 1
        with (self.workdir / "storm.log").open("ab") as log:
            driver = subprocess.Popen(
                [*self.command, "--workers", "2", "--out", str(folder)], stdout=log, stderr=log
            )
        try:
            while self.kills_left() and self.wait_for_progress(driver, folder):
                if self.killed_workers < self.worker_kills:
                    self.kill_worker(driver, folder)
                else:
                    self.kill_driver(driver, folder)
                    return False
            code = driver.wait()
        finally:
            driver.kill()
            driver.wait()
        if code not in RESUMABLE:
            raise SystemExit(f"the driver ended with {code}; see {self.workdir / 'storm.log'}")
        return code == 0

    def wait_for_progress(self, driver: subprocess.Popen[bytes], folder: Path) -> bool:
        """Wait for one more shard and a random moment after it; False once the driver has ended."""
        before, since = count_shards(folder), time.monotonic()
        while count_shards(folder) == before or not workers_of(driver.pid):
            if driver.poll() is not None:
                return False
            if time.monotonic() > since + STALL_S:
                raise SystemExit(f"no new shard in {folder} for {STALL_S:.0f} s")
            time.sleep(POLL_S)
        try:
            driver.wait(self.chance.uniform(0, self.shard_s))
        except subprocess.TimeoutExpired:
            return True
        return False

    def kill_worker(self, driver: subprocess.Popen[bytes], folder: Path) -> None:
        pid = busiest(workers_of(driver.pid))
        if pid is not None and kill(pid):
            self.killed_workers += 1
            self.say(f"worker kill {self.killed_workers}/{self.worker_kills} (pid {pid})", folder)

    def kill_driver(self, driver: subprocess.Popen[bytes], folder: Path) -> None:
        family = workers_of(driver.pid)
        driver.kill()
        driver.wait()
        since = time.monotonic()
        while any(is_alive(pid) for pid in family):
            if time.monotonic() > since + 60:
                raise SystemExit(f"workers {family} outlived their driver by 60 s")
            time.sleep(POLL_S)
        self.slowest_exit_s = max(self.slowest_exit_s, time.monotonic() - since)
        self.killed_drivers += 1
        self.say(f"driver kill {self.killed_drivers}/{self.driver_kills} (pid {driver.pid})", folder)

    def say(self, what: str, folder: Path) -> None:
        print(f"  {what} at {count_shards(folder)} shards of {folder.name}", flush=True)


def main() -> int:
    options = parse()
    workdir = options.out or Path(tempfile.mkdtemp(prefix="kill-storm-"))
    workdir.mkdir(parents=True, exist_ok=True)
    command = command_of(options)
    shards = -(-options.n // options.shard_size)

    reference = workdir / "none"
    took = generate(command, reference, "--cluster", "none")
    print(f"undisturbed: {options.n} triplets in {shards} shards, {took:.1f} s", flush=True)
    results = []
    for workers in () if options.skip_comparison else (1, 2):
        results.append(workdir / f"workers-{workers}")
        took_here = generate(command, results[-1], "--workers", str(workers))
        print(f"--workers {workers}: {took_here:.1f} s", flush=True)

    storm = Storm(
        command=command,
        workdir=workdir,
        chance=random.Random(options.seed),
        shard_s=took / shards,
        worker_kills=options.worker_kills,
        driver_kills=options.driver_kills,
    )
    if storm.kills_left():
        results += storm.rage()
    print(
        f"{storm.killed_workers} worker kills, {storm.killed_drivers} driver kills, {storm.starts} starts,"
        f" {len(storm.folders)} folders; orphans gone within {storm.slowest_exit_s:.1f} s"
    )
    return report(reference, results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill workers and drivers, resume, compare every byte.")
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--shard-size", type=int, default=128)
    parser.add_argument("--worker-kills", type=int, default=10)
    parser.add_argument("--driver-kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills, and of the data")
    parser.add_argument("--task", default="style-mix")
    parser.add_argument("--generator", help="default: the one of distill generate")
    parser.add_argument("--out", type=Path, help="empty folder for all runs; default: a temporary one, kept")
    parser.add_argument(
        "--skip-comparison", action="store_true", help="no runs with 1 and 2 undisturbed workers"
    )
    parser.add_argument("extra", nargs="*", help="after --: options of distill generate")
    return parser.parse_args()


def command_of(options: argparse.Namespace) -> list[str]:
    named = {
        "--task": options.task,
        "--n": options.n,
        "--shard-size": options.shard_size,
        "--seed": options.seed,
    }
    if options.generator:
        named["--generator"] = options.generator
    pairs = [str(word) for pair in named.items() for word in pair]
    return [sys.executable, "-m", "distill", "generate", *pairs, *options.extra]


def generate(command: list[str], folder: Path, *where: str) -> float:
    """Run the command undisturbed; return how many seconds it took."""
    since = time.monotonic()
    done = subprocess.run(
        [*command, *where, "--out", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{folder}: exit code {done.returncode}\n{done.stderr}")
    return time.monotonic() - since


def report(reference: Path, results: list[Path]) -> int:
    """Print the differences of every result from the reference; return the exit code."""
    expected = tree(reference)
    differences = {folder: compare(expected, tree(folder)) for folder in results}
    for folder, lines in differences.items():
        for line in lines:
            print(f"{folder}: {line}")
    if any(differences.values()):
        return 1
    size = sum(path.stat().st_size for path in reference.rglob("*") if path.is_file())
    print(f"identical: {len(results) + 1} trees of {len(expected)} files, {size:,} bytes each")
    return 0


def tree(folder: Path) -> dict[str, str]:
    """sha256 of every file, by its name within the folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def compare(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    missing = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    extra = [f"{name} is extra" for name in sorted(found.keys() - expected.keys())]
    both = sorted(expected.keys() & found.keys())
    return missing + extra + [f"{name} differs" for name in both if expected[name] != found[name]]


def count_shards(folder: Path) -> int:
    return len(list(folder.glob("shard-*.h5")))


def workers_of(driver: int) -> list[int]:
    """Return the pids of the worker processes among the driver's descendants."""
    parents = {pid: int(fields[1]) for pid in all_pids() if (fields := stat_of(pid))}
    family = {driver}
    while more := {pid for pid, parent in parents.items() if parent in family and pid not in family}:
        family |= more
    return sorted(pid for pid in family - {driver} if b"spawn_main" in read(f"/proc/{pid}/cmdline"))


def busiest(pids: list[int]) -> int | None:
    """Return the pid that used most processor time within a moment; None without any."""
    before = {pid: ticks(pid) for pid in pids}
    time.sleep(0.1)
    return max(pids, key=lambda pid: ticks(pid) - before[pid], default=None)


def ticks(pid: int) -> int:
    fields = stat_of(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def is_alive(pid: int) -> bool:
    fields = stat_of(pid)
    return bool(fields) and fields[0] not in "ZX"


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def all_pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def stat_of(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; [] for a process that is gone."""
    return read(f"/proc/{pid}/stat").decode(errors="replace").rpartition(")")[2].split()


def read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    sys.exit(main())
