"""Files of data sets, runs, tables and pictures, hostile ones beside them, and who reads them.

Each function fills the folder of originals and the one called hostile beside it, and returns what reads such a file.
A file that has its place among others keeps its name: it is put there, and the folder is read.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import torch
from data_sets import content_of, make_data_set, recipe_of
from hostile_pictures import HOSTILE_PICTURES, PICTURES
from hostile_shards import HOSTILE
from triplet_sets import triplets

from distill.attributes.classifier.examples import read_examples
from distill.attributes.journal import Journal
from distill.attributes.photos import Photo
from distill.attributes.score_csv import read_scores
from distill.errors import DistillError
from distill.faces.decode import open_photo, photo_size, read_photo
from distill.faces.original import read_original
from distill.faces.outputs import read_stamp
from distill.generation.cluster_settings import scheduler_address
from distill.generation.conditions import read_conditions
from distill.generation.recipe import Recipe
from distill.lock import read_driver
from distill.shards.codec import encode_images
from distill.shards.dataset import TripletDataset
from distill.shards.images.labels import as_column, balanced_weights, read_labels
from distill.shards.inspect.page import build_page
from distill.shards.inspect.survey import look, survey
from distill.shards.read import open_shard
from distill.shards.status import folder_status
from distill.shards.verify import read_everything, verify_folder
from distill.shards.write import build_shard
from distill.training.checkpoint import load_checkpoint, save_checkpoint
from distill.training.curves import read_curves
from distill.training.stats import StatsFile
from distill.weights.fetch import KnownHashes

Read = Callable[[Path], object]
DEEP = b"[" * 100_000
HOSTILE_JSON: Mapping[str, bytes] = {
    "deep-list": DEEP,
    "deep-object": b'{"a":' * 50_000,
    "deep-inside": b'{"format":' + DEEP,
    "digits": b'{"n":' + b"9" * 5_000 + b"}",
    "float": b'{"n":1e999999}',
    "empty": b"",
    "zeros": bytes(100),
    "no-utf8": b'{"\xff":1}',
    "utf16": '{"a":1}'.encode("utf-16"),
    "list": b"[1]",
    "number": b"3",
    "null": b"null",
    "text": b'"text"',
    "nan": b"NaN",
    "surrogate": b'{"a":"\\ud800"}',
    "twice": b'{"a":1,"a":2}',
}


def shards(folder: Path) -> Read:
    hostile = folder.parent / "hostile"
    for codec in ("raw", "jpeg", "webp"):
        recipe = recipe_of(codec=codec)
        content = content_of(0, recipe)
        if codec != "raw":
            images = {role: encode_images(pixels, codec) for role, pixels in content.images.items()}
            content = replace(content, images=images)
        good = build_shard(content)
        (folder / f"{codec}.h5").write_bytes(good)
        for harm, _ in HOSTILE:
            path = hostile / f"{codec}-{harm.__name__}.h5"
            path.write_bytes(good)
            with h5py.File(path, "a", libver=("v110", "v110")) as file:
                harm(file)
    (hostile / "secret").unlink(missing_ok=True)

    def read(path: Path) -> object:
        with open_shard(path) as reader:
            read_everything(reader)
            return [reader.value(name, 0) for name in reader.columns()]

    return read


def data_sets(folder: Path) -> Read:
    place = folder.parent / "set"
    make_data_set(place)
    facts = {"precision": "fp32", "batch_size": 4, "compiled": False, "device": "cpu", "model": "x"}
    (place / "conditions.json").write_text(json.dumps({**facts, "versions": {"torch": "2"}}))
    (place / ".lock").write_text(json.dumps({"host": "a", "pid": 1, "boot": "b", "heartbeat": 1.0, "n": 3}))
    names = ("recipe.json", "manifest.json", "conditions.json", "shard-00000.json", ".lock")
    return _in_its_place(folder, place, names, _read_data_set)


def _read_data_set(place: Path) -> None:
    """Take everything that is read of a data set; a report of faults is a refusal."""
    read_driver(place)
    told = []
    for part in (
        lambda: folder_status(place),
        lambda: TripletDataset(place)[0],
        lambda: _page(place),
        lambda: read_conditions(place),
        lambda: Recipe.from_json((place / "recipe.json").read_text(errors="replace")),
    ):
        try:
            part()
        except DistillError as error:
            told.append(error)
    found = verify_folder(place, full=True)
    for problem in found.problems:
        if not str(problem).isprintable():
            raise AssertionError(f"told as {problem!s:.200}")
    if told and not str(told[0]).startswith("not a recipe"):
        raise told[0]
    if not found.ok:
        raise DistillError(str(found.problems[0]))


def _page(place: Path) -> str:
    found = survey(place)
    samples, ledger = look(found, rows=2)
    return build_page(found, samples, replace(ledger, scores={}))  # without charts, which take a second


def runs(folder: Path) -> Read:
    place = folder.parent / "run"
    place.mkdir()
    content = {"step": {"weight": torch.zeros(3), "lr": 0.1}, "settings": {"batch": 4, "names": ["a", None]}}
    save_checkpoint(place, content, samples=48)
    lines = [{"samples": 16 * k, "loss/l1": 0.5, "score": None} for k in range(1, 4)]
    (place / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    names = ("checkpoint.json", "checkpoint-000000048.pt", "stats.jsonl")
    return _in_its_place(folder, place, names, _read_run)


def _read_run(place: Path) -> None:
    facts = json.dumps({
        **json.loads(GOOD_INDEX),
        "sha256": hashlib.sha256((place / "checkpoint-000000048.pt").read_bytes()).hexdigest(),
    })  # fmt: skip
    told: list[DistillError] = []
    index = place / "checkpoint.json"
    given = index.read_bytes()
    for text in (given, facts.encode()):  # as it lies; and so that a damaged checkpoint gets past its sha256
        index.write_bytes(text)
        for part in (
            lambda: load_checkpoint(place),
            lambda: read_curves(place),
            lambda: StatsFile(place, samples=100).close(),
        ):
            try:
                with patch.dict(sys.modules, {"torch.utils.tensorboard": None}):
                    part()
            except DistillError as error:
                told.append(error)
    if told:
        raise told[0]


GOOD_INDEX = '{"format": "distill-checkpoint-2", "samples": 48, "file": "checkpoint-000000048.pt"}'


def _in_its_place(folder: Path, place: Path, names: tuple[str, ...], take: Callable[[Path], None]) -> Read:
    """Make originals of the named files; reading one puts it there, reads the folder, and puts back what was."""
    good = {name: (place / name).read_bytes() for name in names}
    for name, data in good.items():
        (folder / name).write_bytes(data)
    hostile = folder.parent / "hostile"
    for name in names:
        if name.endswith((".json", ".jsonl")) or name == ".lock":
            for harm, data in HOSTILE_JSON.items():
                (hostile / f"{harm}@{name}").write_bytes(data)

    def read(path: Path) -> object:
        for name, data in good.items():
            (place / name).write_bytes(data)
        (place / path.name.rpartition("@")[2]).write_bytes(path.read_bytes())
        return take(place)

    return read


def small_json(folder: Path) -> Read:
    """Files of plain facts: a scheduler's address, an output folder's stamp, known hashes, a journal of scores."""
    facts = {
        "scheduler.json": {"address": "tcp://127.0.0.1:8786", "workers": {}},
        "stamp.json": {"made_by": "translate", "photos": {"a": "0123", "sheet": ""}},
        "hashes.json": {"https://example.org/a": "ab" * 32},
    }
    entry = {"photo": ["a", 1, 2], "faces": 1, "scores": {"age": 3.5}, "reason": "", "detail": ""}
    for name, values in facts.items():
        (folder / name).write_text(json.dumps(values))
    settings = {"scorer": "ab"}
    (folder / "journal.json").write_text(json.dumps(settings) + "\n" + json.dumps(entry) + "\n")
    for name in (*facts, "journal.json"):
        for harm, data in HOSTILE_JSON.items():
            head = json.dumps(settings).encode() + b"\n" if name == "journal.json" else b""
            (folder.parent / "hostile" / f"{harm}@{name}").write_bytes(head + data)
    (folder.parent / "outputs").mkdir()

    def read(path: Path) -> object:
        match path.name.rpartition("@")[2]:
            case "scheduler.json":
                return scheduler_address(str(path))
            case "stamp.json":
                stamp = folder.parent / "outputs" / ".distill-outputs.json"
                stamp.write_bytes(path.read_bytes())
                found = read_stamp(stamp.parent)
                return found and found.made("a_01.png")
            case "hashes.json":
                return KnownHashes(path).get("https://example.org/a")
        return Journal(path, settings).resume([Photo(name="a", path=path, size=1, mtime_ns=2)])

    return read


def tables(folder: Path) -> Read:
    rows = [f"{k}.png,{'female' if k % 2 else 'male'},{20 + k},0.{k:02}" for k in range(24)]
    text = "\n".join(["file,gender,age,smile", *rows])
    (folder / "labels.csv").write_text(text)
    (folder / "scores.csv").write_text(
        "\n".join(["file,age,smile", *(f"{k},{k},0.{k:02}" for k in range(9))])
    )
    (folder / "quoted.csv").write_text(
        '"name","label"\r\n' + "".join(f'"{k}, x","{k % 2}"\r\n' for k in range(20))
    )
    hostile: dict[str, bytes] = {
        "field": b'file,a\n1,"' + b"x" * 200_000 + b'"\n',
        "open-quote": b'file,a\n"1' * 1_000,
        "zeros": b"file,a\n\x00,\x00\n",
        "columns": b"file" + b",a" * 1_000_000 + b"\n",
        "rows": b"file,a\n" + b",\n" * 1_000_000,
        "digits": b"file,a\n1," + b"9" * 100_000 + b"\n",
        "infinite": b"file,a\n1,inf\n2,nan\n3,1e999\n",
        "utf16": text.encode("utf-16"),
        "latin1": "file,stra\xdfe\n1,\xe9\n".encode("latin-1"),
        "marked": text.encode("utf-8-sig"),
        "semicolons": text.replace(",", ";").encode(),
        "tabs": text.replace(",", "\t").encode(),
        "returns": text.replace("\n", "\r").encode(),
        "escapes": b"file,\x1b[2J\n\x1b[2J,\x1b\n",
        "escapes-in-names": b"file,a\n\x1b[2J,\x1b\n\x1b[2J,\x1b\n",
        "empty": b"",
        "blank": b"\n\n\n,,,\n",
    }
    for name, data in hostile.items():
        (folder.parent / "hostile" / f"{name}.csv").write_bytes(data)

    def read(path: Path) -> object:
        told: list[DistillError] = []
        readers: tuple[Callable[[], object], ...] = (
            lambda: _labels(path),
            lambda: read_scores(path).scores_of(["1", "2.png"]),
            lambda: read_examples(path, path.with_suffix(".safetensors")),
        )
        for take in readers:
            try:
                take()
            except DistillError as error:
                told.append(error)
        if len(told) == len(readers):
            raise told[0]
        return len(told)

    return read


def _labels(path: Path) -> None:
    found = read_labels(path).labels_of(["1.png", "2.png"])
    for name, texts in found.items():
        as_column(texts, name)
        balanced_weights(texts)


def pictures(folder: Path) -> Read:
    pixels = triplets(np.arange(1), side=24)["content"][0]
    for name, make in PICTURES.items():
        (folder / name).write_bytes(make(pixels))
    for name, hostile in HOSTILE_PICTURES.items():
        (folder.parent / "hostile" / name).write_bytes(hostile())

    def read(path: Path) -> object:
        told: list[DistillError] = []
        for take in (read_photo, photo_size, lambda photo: open_photo(photo, read_original)):
            try:
                take(path)
            except DistillError as error:
                told.append(error)
        if told:
            raise told[0]
        return None

    return read


DATA_KINDS: Mapping[str, Callable[[Path], Read]] = {
    "shards": shards,
    "data-sets": data_sets,
    "runs": runs,
    "small-json": small_json,
    "tables": tables,
    "pictures": pictures,
}
