"""Files of every foreign format, and what chance makes of them: read by the reader that users reach, and measured.

As a program (`python tests/mutated_files.py KIND COUNT SEED`) it reads in a process of its own, since a library in C
may crash, and prints what became of the files as JSON.
"""

from __future__ import annotations

import codecs
import io
import json
import random
import resource
import struct
import sys
import tempfile
import time
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from checkpoint_files import small_state, write_nvidia_pytorch, write_nvidia_tensorflow, write_rosinality
from execution_watch import watching
from onnx_files import model, node

from distill.attributes.open import open_scorer
from distill.attributes.scorer_files import save_scorer
from distill.attributes.settings import ScorerSettings
from distill.directions.file import Direction, read_direction, write_direction
from distill.directions.foreign import read_array
from distill.errors import DistillError
from distill.networks.classifier import SmallCnn
from distill.networks.onnx_network import open_onnx, read_onnx_bytes
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.pix2pixhd_files import save_pth
from distill.networks.student import StudentFacts, load_student, save_student
from distill.weights.checkpoint import Checkpoint, read_checkpoint, save_safetensors

Mutation = Callable[[bytearray, random.Random], None]
Read = Callable[[Path], object]
TOML = b"""
network = "net.pth"
architecture = "small_cnn"
[input]
crop = "whole"
size = [32, 32]
channels = "rgb"
mean = [0.5, 0.5, 0.5]
std = 0.5
[[scores]]
name = "smile"
kind = "softmax"
labels = ["no", 'yes', "may\\u0062e"]
temperature = 1.5
"""


# ---- what chance does


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
    data[at:at] = data[at : at + size] * rng.choice((1, 1, 1, 100))


def insert_opcodes(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = bytes(
        rng.choice(b"NR\x81b.()t]}aesu0h\x00\x94\x93Q\x85\x86\x87\x8fcX") for _ in range(rng.randint(1, 4))
    )


def insert_text(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    words = (
        b"9" * 30,
        b"[[[[",
        b'{"a":',
        b'"',
        b"-1",
        b"1e400",
        b"\x1b[2J\n",
        "\u202e".encode(),
        b"a.a.a.a",
        b"null",
    )
    data[at:at] = rng.choice(words) * rng.choice((1, 1, 2, 300))


def swap(data: bytearray, rng: random.Random) -> None:
    size = rng.choice((1, 4, 40))
    a, b = rng.randrange(len(data)), rng.randrange(len(data))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


MUTATIONS: list[Mutation] = [flip, flip, overwrite, cut, repeat, insert_opcodes, insert_text, swap, truncate]


def changed(data: bytes, rng: random.Random) -> bytes:
    """Change a file by chance: as it lies, or one member of an archive or a header, packed again as it should be."""
    inside = rng.random() < 0.5
    if inside and data.startswith(b"PK\x03\x04"):
        return _with_a_member_changed(data, rng)
    if inside and data[8:9] == b"{":
        size = struct.unpack_from("<Q", data)[0]
        header = _by_chance(data[8 : 8 + size], rng)
        return struct.pack("<Q", len(header)) + header + data[8 + size :]
    return _by_chance(data, rng)


def _by_chance(data: bytes, rng: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        if made:
            rng.choice(MUTATIONS)(made, rng)
    return bytes(made)


def _with_a_member_changed(data: bytes, rng: random.Random) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        small = [entry for entry in old.infolist() if entry.filename.endswith((".pkl", ".npy"))]
        chosen = rng.choice(small or old.infolist()).filename
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry, _by_chance(content, rng) if entry.filename == chosen else content)
    return made.getvalue()


# ---- the files, and who reads them


def checkpoints(folder: Path) -> Read:
    state = small_state(resolution=4)
    checkpoint = Checkpoint(state=state, facts={"conv_clamp": None}, format="safetensors", sha256="")
    save_safetensors(folder / "safetensors", checkpoint)
    for protocol in (2, 4, 5):
        write_nvidia_pytorch(folder / f"torch{protocol}", state, protocol=protocol, bare=True)
        write_nvidia_tensorflow(folder / f"tf{protocol}", state, protocol=protocol)
    for legacy in (False, True):
        write_rosinality(folder / f"rosinality{legacy}", state, legacy=legacy, with_args=True)
    torch.save({"state_dict": OrderedDict(state), "epoch": 3}, folder / "state")
    return read_checkpoint


def students(folder: Path) -> Read:
    network = create(Architecture(inputs=3, ngf=1, downsamplings=1, blocks=1), seed=0)
    save_pth(folder / "zip", network)
    torch.save(OrderedDict(network.state_dict()), folder / "old", _use_new_zipfile_serialization=False)
    save_student(
        folder / "safetensors", network, StudentFacts(task="ageing", inputs=("source",), resolution=64)
    )
    return load_student


def directions(folder: Path) -> Read:
    facts = {"layers": [0, 1], "source": "x", "movement": {"age": 1.0}, "recommended_strength": 2.0}
    vector = torch.arange(6.0).reshape(2, 3)
    for facts_too in ({}, facts):
        direction = Direction(
            name="a", attribute="b", vector=vector, generator_sha256="ab" * 32, facts=facts_too
        )
        write_direction(folder / f"{len(facts_too)}", direction)
    return read_direction


def arrays(folder: Path) -> Read:
    row = np.arange(6, dtype=np.float32)
    np.save(folder / "npy", row)
    np.savez(folder / "stored.npz", direction=row)
    np.savez_compressed(folder / "packed.npz", direction=row)
    torch.save({"gender": torch.from_numpy(row)}, folder / "pt")
    return read_array


def scorers(folder: Path) -> Read:
    network = SmallCnn((8, 16), 3)
    network.start(torch.Generator().manual_seed(1))
    torch.save(OrderedDict(network.state_dict()), folder.parent / "net.pth")
    (folder / "toml").write_bytes(TOML)
    values = {
        "architecture": "small_cnn",
        "input": {"crop": "whole", "size": 32, "mean": 0.5, "std": 0.5},
        "scores": ({"name": "smile", "kind": "softmax", "labels": ("a", "b", "c")},),
    }
    save_scorer(folder / "trained", ScorerSettings.model_validate(values), network.state_dict())

    def read(path: Path) -> object:
        toml = path.with_suffix(".toml")
        start = path.read_bytes()[:400]
        if start[8:9] == b"{" or b"__metadata__" in start:
            return open_scorer(path)
        toml.write_bytes(path.read_bytes())
        return open_scorer(toml)

    return read


def onnx_networks(folder: Path) -> Read:
    numbers = np.random.default_rng(0).standard_normal
    body = [
        node("Conv", ["images", "w", "b"], "conv", pads=[1, 1, 1, 1]),
        node("Relu", ["conv"], "relu"),
        node("GlobalAveragePool", ["relu"], "mean"),
        node("Reshape", ["mean", "shape"], "logits"),
    ]
    constants = {
        "w": numbers((5, 3, 3, 3)).astype(np.float32),
        "b": numbers(5).astype(np.float32),
        "shape": np.array([-1, 5]),
    }
    softmax = node("Softmax", ["logits"], "y", axis=1)
    tiled = [node("Tile", ["relu", "often"], "many"), node("GlobalAveragePool", ["many"], "y")]
    for name, nodes, more in (("flat", [softmax], {}), ("tiled", tiled, {"often": np.array([1, 1, 2, 2])})):
        outputs = {"y": ["N", 5] if name == "flat" else ["N", 5, 1, 1]}
        parts = body if name == "flat" else body[:2]
        used = {k: v for k, v in constants.items() if name == "flat" or k != "shape"}
        (folder / name).write_bytes(model([*parts, *nodes], used | more, ["N", 3, 8, 8], outputs))
    return lambda path: open_onnx(read_onnx_bytes(path), str(path))


KINDS: Mapping[str, Callable[[Path], Read]] = {
    "checkpoints": checkpoints,
    "students": students,
    "directions": directions,
    "arrays": arrays,
    "scorers": scorers,
    "onnx": onnx_networks,
}


# ---- reading them


@dataclass(kw_only=True)
class Outcomes:
    """What became of the files, by name of the refusal or "read"; seconds of the slowest, MiB that memory grew by."""

    counts: Counter[str] = field(default_factory=Counter)
    events: list[str] = field(default_factory=list)
    slowest: float = 0.0
    grown: int = 0


def read_mutated(kind: str, count: int, seed: int, folder: Path) -> Outcomes:
    """Read `count` mutated files. Any exception but a DistillError of one printable line comes through."""
    (folder / "originals").mkdir(parents=True)
    read = KINDS[kind](folder / "originals")
    codecs.lookup("cp437")  # of names in a zip archive
    files = sorted((folder / "originals").iterdir())
    originals = [file.read_bytes() for file in files]
    for original in originals:  # so that lazy imports are over
        (folder / "mutated").write_bytes(original)
        read(folder / "mutated")
    (folder / "mutated").write_bytes(b"nothing")
    rng, outcomes, before = random.Random(seed), Outcomes(), _peak()
    refusal(read, folder / "mutated")
    for number in range(count):
        data = changed(rng.choice(originals), rng)
        (folder / "mutated").write_bytes(data)
        started = time.perf_counter()
        with watching(outcomes.events):
            try:
                outcomes.counts[refusal(read, folder / "mutated")] += 1
            except Exception as error:
                raise AssertionError(f"{kind}, seed {seed}, file {number}: {data[:2000]!r}") from error
        outcomes.slowest = max(outcomes.slowest, time.perf_counter() - started)
    outcomes.grown = _peak() - before
    return outcomes


def refusal(read: Read, path: Path) -> str:
    try:
        read(path)
    except DistillError as error:
        line, name = str(error), type(error).__name__
    else:
        return "read"
    return name if line.isprintable() and len(line) < 1_000 + len(str(path)) else f"told as {line!a}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        done = read_mutated(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(place) / "files")
    print(json.dumps(vars(done)))
