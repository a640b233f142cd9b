"""Command lines that are wrong somewhere, drawn from the options that the commands themselves have.

Each has what the command needs, small and good, and then one or two faults: odd values, missing or unknown options.
Where a command has --dry-run, that is given: nothing here begins to work for long.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from data_sets import make_data_set
from picture_sets import pixels_of, save

from distill.cli.main import cli
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.student import StudentFacts, save_student

LONG = "x" * 5_000
NUMBERS = (
    *(
        "nan",
        "inf",
        "-inf",
        "1e999",
        "-1",
        "0",
        "0.5",
        "1e9",
        "1e20",
        "9" * 30,
        "9" * 5_000,
        "",
        " ",
        "x",
        "1,5",
    ),
    *("0x10", "1_0", "--", "\x1b[2J", "\n", "٣"),
)
PATHS = (
    *(
        "no/such/file",
        "notes.txt",
        "photos",
        "set",
        "pipe",
        "dangling",
        "~nosuchuser/x",
        "",
        " ",
        ".",
        "/dev/null",
    ),
    *(LONG, "a" * 300, "\x1b[2J\n", "\udcff.png", "notes.txt/x", "broken.json", "empty", "/proc/self/mem"),
)
WORDS = (
    *(
        "",
        " ",
        "x",
        "nan",
        "-1",
        "\x1b[2J\n",
        LONG,
        "~nosuchuser/x",
        "a=b",
        "a=",
        "=",
        ",",
        "a,,b",
        "9" * 400,
        "é",
    ),
    *("\udcff", "../x", "photos", "no/such/file", "%s", "{0}", "[", "a:b", "notes.txt:x"),
)
GOOD: Mapping[str, Sequence[str]] = {  # by the name of an argument or option, before a fault is put in
    "task": ("style-mix", "ageing"),
    "n": ("8",),
    "generator": ("tiny.safetensors",),
    "folder": ("set",),
    "data": ("set",),
    "photos": ("photos",),
    "source": ("tiny.safetensors", "student.safetensors"),
    "model": ("student.safetensors",),
    "file": ("notes.txt",),
    "runs": ("run",),
    "attribute": ("gender",),
    "attributes": ("gender",),
    "from_": ("folders",),
    "layout": ("folders",),
    "where": ("ssim > 0.3",),
    "resolution": ("16",),
    "out": ("new",),
    "space": ("w", "w,w+"),
    "names": ("portraits",),
    "person": ("3",),
    "reference": ("7",),
    "part": ("hair",),
}
GOOD_OF: Mapping[tuple[str, str], Sequence[str]] = {
    ("prepare-images", "folder"): ("photos",),
    ("import", "folder"): ("photos",),
    ("train-classifier", "data"): ("labels.csv",),
    ("train-classifier", "out"): ("new.safetensors",),
    ("score-images", "out"): ("new.csv",),
    ("weights convert", "out"): ("new.safetensors",),
    ("directions sefa", "out"): ("new.safetensors",),
    ("export-student", "out"): ("new.onnx",),
    ("weights fetch", "source"): ("tiny.safetensors",),
    ("directions sefa", "generator"): ("notes.txt",),  # what works long and has no --dry-run
    ("directions import", "generator"): ("notes.txt",),
    ("regions", "generator"): ("notes.txt",),
    ("regions", "out"): ("new.safetensors",),
}
NOT_DRAWN = ("cluster", "help")  # a scheduler is waited for


def make_place(folder: Path, teacher: Path) -> None:
    """Fill a folder with what command lines name."""
    make_data_set(folder / "set")
    (folder / "photos" / "a").mkdir(parents=True)
    (folder / "photos" / "b").mkdir()
    for place in ("a", "b"):
        save(folder / "photos" / place / "0.png", pixels_of(0, 0))
    os.link(teacher, folder / "tiny.safetensors")
    network = create(Architecture(inputs=3, ngf=1, downsamplings=1, blocks=1), seed=0)
    facts = StudentFacts(task="ageing", inputs=("source",), resolution=16)
    save_student(folder / "student.safetensors", network, facts)
    (folder / "run").mkdir()
    (folder / "run" / "stats.jsonl").write_text(
        '{"samples": 16, "loss/l1": 0.5}\n{"samples": 32, "loss/l1": 0.4}\n'
    )
    (folder / "labels.csv").write_text("file,label\nphotos/a/0.png,0\nphotos/b/0.png,1\n")
    (folder / "notes.txt").write_text("notes")
    (folder / "broken.json").write_text("{")
    (folder / "empty").mkdir()
    np.save(folder / "direction.npy", np.zeros(8, np.float32))
    os.mkfifo(folder / "pipe")
    (folder / "dangling").symlink_to("nowhere/at/all")


def commands(
    command: click.Command | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Yield every command below the root by its name, "weights info"."""
    command = command or cli
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from commands(found, (*path, name))


def bad_line(name: str, command: click.Command, rng: random.Random) -> list[str]:
    """Draw one command line with a fault or two."""
    params = [param for param in command.params if param.name not in NOT_DRAWN]
    chosen = {
        param.name: _good(name, param, rng) for param in params if param.required or param.name == "generator"
    }
    fault = rng.random()
    if fault < 0.08 and chosen:
        del chosen[rng.choice(sorted(chosen))]
    for param in rng.sample(params, min(len(params), rng.choice((1, 1, 2)))):
        chosen[param.name] = [_odd(param, rng)]
    for flag in (param for param in params if isinstance(param, click.Option) and param.is_flag):
        if flag.name == "dry_run" or (flag.name not in chosen and rng.random() < 0.1):
            chosen[flag.name] = []
    words = name.split()
    arguments: list[str] = []
    for param in params:
        if param.name not in chosen:
            continue
        if isinstance(param, click.Argument):
            arguments += chosen[param.name]
        elif isinstance(param, click.Option) and param.is_flag:
            words.append(rng.choice(param.opts + param.secondary_opts))
        else:
            words += [param.opts[0], *chosen[param.name]]
    if 0.08 < fault < 0.12:
        words.append("--nonsense")
    if 0.12 < fault < 0.16:
        arguments.append(rng.choice(WORDS))
    return [*words, *(["--"] if any(word.startswith("-") for word in arguments) else []), *arguments]


def _good(name: str, param: click.Parameter, rng: random.Random) -> list[str]:
    values = GOOD_OF.get((name, str(param.name))) or GOOD.get(str(param.name))
    if values is None and isinstance(param.type, click.Choice):
        values = [str(choice) for choice in param.type.choices]
    return [rng.choice(values or ("1",))]


def _odd(param: click.Parameter, rng: random.Random) -> str:
    kind = param.type
    if isinstance(kind, click.Choice):
        choices = [str(choice) for choice in kind.choices]
        return rng.choice((*WORDS, *choices, *choices))
    if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        return rng.choice(NUMBERS)
    if isinstance(kind, click.Path):
        return rng.choice(PATHS)
    return rng.choice((*WORDS, *PATHS, *NUMBERS))
