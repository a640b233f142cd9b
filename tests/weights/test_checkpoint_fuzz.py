"""Mutated weight files are read or refused in one line; nothing else ever happens."""

from __future__ import annotations

import codecs
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoint_files import small_state, write_nvidia_pytorch, write_nvidia_tensorflow, write_rosinality
from execution_watch import watching

from distill.errors import DistillError
from distill.weights.checkpoint import Checkpoint, read_checkpoint, save_safetensors

Mutation = Callable[[bytearray, random.Random], None]


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at : at + 8] = rng.choice((b"\xff" * 4, b"\x00" * 4, b"\x7f" * 8, rng.randbytes(3), b"\xff"))


def cut(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 10, 100))]


def repeat(data: bytearray, rng: random.Random) -> None:
    at, size = rng.randrange(len(data)), rng.choice((1, 5, 50, 500))
    data[at:at] = data[at : at + size]


def insert_opcodes(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = bytes(
        rng.choice(b"NR\x81b.()t]}aesu0h\x00\x94\x93Q\x85\x86\x87\x8fcX") for _ in range(rng.randint(1, 4))
    )


def swap(data: bytearray, rng: random.Random) -> None:
    size = rng.choice((1, 4, 40))
    a, b = rng.randrange(len(data)), rng.randrange(len(data))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(1, len(data)) :]


MUTATIONS: list[Mutation] = [flip, flip, overwrite, cut, repeat, insert_opcodes, swap, truncate]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """One small file of every format, old and new."""
    folder, state = tmp_path_factory.mktemp("originals"), small_state(resolution=4)
    checkpoint = Checkpoint(state=state, facts={"conv_clamp": None}, format="safetensors", sha256="")
    save_safetensors(folder / "safetensors", checkpoint)
    for protocol in (2, 4, 5):
        write_nvidia_pytorch(folder / f"torch{protocol}", state, protocol=protocol, bare=True)
        write_nvidia_tensorflow(folder / f"tf{protocol}", state, protocol=protocol)
    for legacy in (False, True):
        write_rosinality(folder / f"rosinality{legacy}", state, legacy=legacy, with_args=True)
    codecs.lookup("cp437")  # of names in a zip archive
    for file in folder.iterdir():  # so that lazy imports of the standard library are over
        read_checkpoint(file)
    return [file.read_bytes() for file in sorted(folder.iterdir())]


def outcome(file: Path) -> str:
    try:
        read_checkpoint(file)
    except DistillError as error:
        return type(error).__name__ if "\n" not in str(error) else "more than one line"
    return "read"


def fuzz(originals: list[bytes], count: int, seed: int, file: Path) -> Counter[str]:
    """Read `count` mutated files; count what became of them. Any exception but DistillError comes through."""
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    events: list[str] = []
    for _ in range(count):
        data = bytearray(rng.choice(originals))
        for _ in range(rng.randint(1, 3)):
            if data:
                rng.choice(MUTATIONS)(data, rng)
        file.write_bytes(data)
        with watching(events):
            outcomes[outcome(file)] += 1
    assert events == []
    return outcomes


def test_mutated_files(originals: list[bytes], tmp_path: Path) -> None:
    outcomes = fuzz(originals, 200, 1, tmp_path / "mutated")
    assert outcomes.total() == 200
    assert set(outcomes) <= {"read", "UnsafePickle", "UnsupportedCheckpoint"}
    assert outcomes["UnsafePickle"] > 50


@pytest.mark.slow
def test_many_mutated_files(
    originals: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = fuzz(originals, 2_000, 2, tmp_path / "mutated")
    assert set(outcomes) <= {"read", "UnsafePickle", "UnsupportedCheckpoint"}
    with capsys.disabled():
        print(f"\n2,000 mutated weight files, 0 executions, 0 uncaught: {dict(outcomes)}")
