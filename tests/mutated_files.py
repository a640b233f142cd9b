"""Files of every foreign format, and what chance makes of them: read by the reader that users reach, and measured.

As a program (`python tests/mutated_files.py KIND COUNT SEED`) it reads in a process of its own, since a library in C
may crash, and prints what became of the files as JSON.
"""

from __future__ import annotations

import codecs
import faulthandler
import json
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from checkpoint_files import small_state, write_nvidia_pytorch, write_nvidia_tensorflow, write_rosinality
from execution_watch import watching
from mutated_data import DATA_KINDS
from mutations import changed
from onnx_files import model, node

from distill.attributes.open import open_scorer
from distill.attributes.scorer_files import save_scorer
from distill.attributes.settings import ScorerSettings
from distill.directions.file import Direction, read_direction, write_direction
from distill.directions.foreign import read_array
from distill.errors import DistillError
from distill.networks.classifier import SmallCnn
from distill.networks.edits import EditAttribute
from distill.networks.onnx_network import open_onnx, read_onnx_bytes
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.pix2pixhd_files import save_pth
from distill.networks.stargan import (
    CriticArchitecture,
    StarGANArchitecture,
    create_critic,
    create_generator,
)
from distill.networks.stargan_files import read_critic
from distill.networks.student import StudentFacts, load_student, save_student
from distill.networks.vaegan import VAEGANShape, create_vaegan
from distill.stylegan2.interpolation.settings import settings_for
from distill.stylegan2.interpolation.shares_file import SharesFacts, read_shares, shares_bytes
from distill.stylegan2.load import build_generator
from distill.weights.checkpoint import Checkpoint, read_checkpoint, save_safetensors

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


def stargans(folder: Path) -> Read:
    generator = create_generator(StarGANArchitecture(attributes=2, width=1, blocks=1), seed=0)
    critic = create_critic(CriticArchitecture(attributes=2, height=4, width_px=4, width=1, layers=1), seed=0)
    for name, network in (("1-G.ckpt", generator), ("1-D.ckpt", critic)):
        torch.save(OrderedDict(network.state_dict()), folder / name)
    attribute = EditAttribute(label="attribute-1", value="yes", values=("yes", "no"))
    other = EditAttribute(label="age", sign=">=", value="50")
    save_student(folder / "safetensors", generator, StudentFacts(attributes=(attribute, other)))

    def read(path: Path) -> object:
        edits = {"1-G.ckpt": "attribute-1=no,attribute-2=no", "safetensors": "attribute-1=no,age<50"}
        return load_student(path, edit=edits[path.name]) if path.name in edits else read_critic(path)

    return read


def vaegans(folder: Path) -> Read:
    shape = VAEGANShape(height=16, width=16, latent=2, channels=4, hidden=2)
    network = create_vaegan(shape, seed=0)[0].with_means(torch.ones(1, 2), torch.zeros(1, 2))
    save_student(
        folder / "safetensors", network, StudentFacts(attributes=(EditAttribute(label="a", value="b"),))
    )
    return lambda path: load_student(path, edit="a=b")


def directions(folder: Path) -> Read:
    facts = {"layers": [0, 1], "source": "x", "movement": {"age": 1.0}, "recommended_strength": 2.0}
    vector = torch.arange(6.0).reshape(2, 3)
    for facts_too in ({}, facts):
        direction = Direction(
            name="a", attribute="b", vector=vector, generator_sha256="ab" * 32, facts=facts_too
        )
        write_direction(folder / f"{len(facts_too)}", direction)
    return read_direction


def channel_shares(folder: Path) -> Read:
    checkpoint = Checkpoint(state=small_state(), facts={}, format="safetensors", sha256="ab" * 32)
    generator = build_generator(checkpoint)
    for part, settings in (("hair", settings_for("hair")), ("mouth", None)):
        how = SharesFacts(part=part, made_by="optimised", person="3", reference="7", settings=settings)
        shares = torch.rand(sum(generator.style_widths))
        (folder / part).write_bytes(shares_bytes(shares, how, generator))
    return lambda path: read_shares(path, generator)


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
    torch.save(OrderedDict(network.state_dict()), folder.parent / "mutated" / "net.pth")
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
    "stargans": stargans,
    "vaegans": vaegans,
    "directions": directions,
    "channel-shares": channel_shares,
    "arrays": arrays,
    "scorers": scorers,
    "onnx": onnx_networks,
    **DATA_KINDS,
}
ENCODINGS = (
    "cp437",
    "cp1252",
    "ascii",
    "utf-16",
    "utf-32",
    "utf-16-le",
    "utf-16-be",
    "utf-32-le",
    "utf-32-be",
)  # of names in zips, texts in HDF5 and JSON: imported when first used
SECONDS, MEBIBYTES = 30, 2_048  # at most, for one file


# ---- reading them


@dataclass(kw_only=True)
class Outcomes:
    """What became of the files, by name of the refusal or "read".

    `slowest`: processor seconds of one file; `grown`: MiB that memory grew by;
    `uncaught`: exceptions other than a DistillError; `events`: what was executed, imported or started.
    """

    counts: Counter[str] = field(default_factory=Counter)
    uncaught: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    slowest: float = 0.0
    slowest_file: str = ""
    grown: int = 0
    largest_file: str = ""


def read_mutated(kind: str, count: int, seed: int, folder: Path, *, hostile: bool = True) -> Outcomes:
    """Read mutated files of a kind, in front of them its hostile ones, `count` in all."""
    for name in ("originals", "hostile", "mutated"):
        (folder / name).mkdir(parents=True)
    read = KINDS[kind](folder / "originals")
    for name in ENCODINGS:
        codecs.lookup(name)
    files = sorted((folder / "originals").iterdir())
    originals = [(file.name, file.read_bytes()) for file in files]
    for name, original in originals:  # so that lazy imports are over
        (folder / "mutated" / name).write_bytes(original)
        read(folder / "mutated" / name)
        (folder / "mutated" / name).write_bytes(b"nothing")
        refusal(read, folder / "mutated" / name)
    rng, outcomes, before = random.Random(seed), Outcomes(), _peak()
    first = sorted((folder / "hostile").iterdir()) if hostile else []
    for number in range(count):
        if number < len(first):
            name, data = first[number].name, first[number].read_bytes()
        else:
            name, original = rng.choice(originals)
            data = changed(original, rng)
        _read_one(read, folder / "mutated" / name, data, f"{kind}, seed {seed}, file {number}", outcomes)
    outcomes.grown = _peak() - before
    # Readers that write too rename what they wrote within the folder.
    within = f"('{folder}"[:80]  # as much as an event tells
    own = tuple(f"{event} {within}" for event in ("os.rename", "os.remove"))
    outcomes.events = [event for event in outcomes.events if not event.startswith(own)]
    return outcomes


def _read_one(read: Read, path: Path, data: bytes, which: str, outcomes: Outcomes) -> None:
    path.write_bytes(data)
    before = _peak()
    faulthandler.dump_traceback_later(4 * SECONDS, exit=True)  # also where a library in C hangs
    started = time.process_time()
    with watching(outcomes.events):
        try:
            outcomes.counts[refusal(read, path)] += 1
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__}: {error!s:.100} ({Path(last.filename).name}:{last.lineno})"
            outcomes.uncaught.append(f"{which}, {path.name}: {where}: {data[:300]!r}")
    faulthandler.cancel_dump_traceback_later()
    took = time.process_time() - started
    if took > outcomes.slowest:
        outcomes.slowest, outcomes.slowest_file = took, f"{which}, {path.name}"
    if _peak() > before:
        outcomes.largest_file = f"{which}, {path.name}"


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
