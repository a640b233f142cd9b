"""Options that several commands share, each written once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from distill.errors import DistillError

if TYPE_CHECKING:
    from distill.weights.registry import WeightsKind

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
CODECS = ("raw", "jpeg", "webp")
MAX_SEED = 2**63 - 1
MAX_COUNT = 1_000_000_000  # of anything that is counted or measured
MAX_WORKERS = 1024
F = TypeVar("F", bound=Callable[..., object])


class WholeRange(click.IntRange):
    """A range of whole numbers; an end that nobody would reach is not told."""

    name = "whole number"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "N"

    def _describe_range(self) -> str:
        return range_text(self)


class FiniteRange(click.FloatRange):
    """A range of numbers; nan and the infinities lie outside of each."""

    name = "number"

    def _describe_range(self) -> str:
        return range_text(self)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


def range_text(numbers: click.IntRange | click.FloatRange) -> str:
    """Write the range as an inequality, without an end that nobody would reach: `x>=1`, `0<x<=2`."""
    low, high = numbers.min, numbers.max
    if high is None or high >= MAX_COUNT:
        return f"x{'>' if numbers.min_open else '>='}{low:g}"
    return f"{low:g}{'<' if numbers.min_open else '<='}x{'<' if numbers.max_open else '<='}{high:g}"


class NamedPath(click.Path):
    """A path that is not empty, which Python would take for the present folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the name is empty: give one, or leave the option out.", param, ctx)
        return super().convert(value, param, ctx)


class FilledText(click.types.StringParamType):
    """Text that is not empty, which would mean something else than to leave the option out."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not str(value).strip():
            self.fail("it is empty: give a value, or leave the option out.", param, ctx)
        return str(value)


class PathByName(NamedPath):
    """A file or folder, or a name of one kind in the table of weights, which becomes its file."""

    def __init__(self, kind: WeightsKind, *, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not value or not isinstance(value, str):
            return super().convert(value, param, ctx)
        from distill.weights.by_name import path_by_name

        try:
            return super().convert(path_by_name(value, self.kind), param, ctx)
        except DistillError as error:
            self.fail(str(error), param, ctx)


class Size(click.ParamType[tuple[int, int]]):
    """Width and height in pixels, such as 128x256."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", str(value))
        if not found:
            self.fail(f"{str(value)[:80]!r}: WIDTHxHEIGHT is needed, such as 128x256.", param, ctx)
        return int(found[1]), int(found[2])


class Span(click.ParamType[tuple[int, int]]):
    """Two whole numbers, such as the least and the most of something: 1:8."""

    name = "span"

    def __init__(self, between: str = ":") -> None:
        self.between = between

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        found = re.fullmatch(rf"(\d{{1,9}}){self.between}(\d{{1,9}})", str(value))
        if not found:
            form = f"{param.metavar} is needed, such as 1{self.between}8" if param else "no two numbers"
            self.fail(f"{str(value)[:80]!r}: {form}.", param, ctx)
        return int(found[1]), int(found[2])


PATH = NamedPath(path_type=Path)
PATH_TEXT = NamedPath()  # as it was written: a "/" at its end says that a folder is meant
STUDENT = PathByName("student")
ENCODER = PathByName("encoder", dir_okay=False)
FILE = NamedPath(path_type=Path, dir_okay=False)
TEXT = FilledText()
SIZE = Size()
COUNT = WholeRange(1, MAX_COUNT)
FROM_ZERO = FiniteRange(0, MAX_COUNT)
POSITIVE = FiniteRange(0, MAX_COUNT, min_open=True)

seed = click.option(
    "--seed",
    type=WholeRange(0, MAX_SEED),
    default=0,
    show_default=True,
    help="Another seed, other random draws.",
)
device = click.option(
    "--device", default="auto", show_default=True, help="Where to compute: auto, cpu, cuda or cuda:N."
)
precision = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    metavar="FORMAT",
    help="fp32, bf16, fp16, or auto: the fastest as good.",
)
edit = click.option(
    "--edit",
    type=TEXT,
    metavar="NAME=VALUE[,…]",
    help="Of a student of several edits: gender=female or age=+20,smile=1.",
)
norm_statistics = click.option(
    "--norm-statistics",
    type=click.Choice(["running", "batch"]),
    default="running",
    show_default=True,
    metavar="WHICH",
    help="Batch norm: running means, or batch (own means).",
)
workers = click.option(
    "--workers",
    type=WholeRange(1, MAX_WORKERS),
    help="Processes.  [default: one a GPU, else one a core]",
)
picture_workers = click.option(
    "--workers",
    type=WholeRange(1, MAX_WORKERS),
    help="Processes.  [default: one a core; few pictures: one]",
)
WORKER_JOBS = (
    click.option("--queue", type=TEXT, help="Worker jobs: SLURM's partition.  [default: the site's]"),
    click.option("--account", type=TEXT, help="Worker jobs: who is charged.  [default: you]"),
    click.option(
        "--walltime",
        type=TEXT,
        metavar="H:MM:SS",
        help="Worker jobs: the longest each runs.  [default: 1:00:00]",
    ),
    click.option(
        "--gpus-per-job",
        type=WholeRange(0, 64),
        help="Worker jobs: GPUs.  [default: 1; on the CPU 0]",
    ),
    click.option(
        "--cpus-per-job",
        type=WholeRange(1, 1024),
        help="Worker jobs: cores.  [default: 4 a GPU, else 1]",
    ),
    click.option(
        "--memory", type=TEXT, metavar="16GB", help="Worker jobs: memory.  [default: 8GB a process]"
    ),
    click.option(
        "--job-extra",
        type=TEXT,
        multiple=True,
        metavar="OPTION",
        help="Worker jobs: one more option, such as --constraint=a100.",
    ),
    click.option(
        "--adapt",
        type=Span(),
        metavar="MIN:MAX",
        help="Worker jobs: how many at once.  [default: as --workers needs]",
    ),
    click.option(
        "--queue-minutes",
        type=POSITIVE,
        help="Worker jobs: longest wait for one.  [default: 60]",
    ),
)
mark = click.option(
    "--mark/--no-mark", default=True, help="Say in each PNG which network drew it.  [default: yes]"
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace what is there.")
dry_run = click.option("--dry-run", is_flag=True, help="Check everything and print the plan; write nothing.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


CLUSTER = (
    click.option("--tls-ca", type=FILE, help="Certificate authority of a tls:// scheduler."),
    click.option("--tls-cert", type=FILE, help="Certificate of this process."),
    click.option("--tls-key", type=FILE, help="Key of that certificate."),
    click.option("--dashboard", is_flag=True, help="Show Dask's page; its address is printed."),
)


def cluster_options(command: F) -> F:
    """How a cluster is reached, and what the worker jobs of --cluster slurm|pbs|lsf|sge|htcondor ask for."""
    for option in reversed((*WORKER_JOBS, *CLUSTER)):
        command = option(command)
    return command


def codec(default: str, *, value: str | None = None) -> Callable[[F], F]:
    """How the images of a data set are stored; `default` in words."""
    return click.option(
        "--codec",
        type=click.Choice(CODECS),
        default=value,
        help=f"jpeg: quality 95; webp: lossless.  [default: {default}]",
    )


def max_skips(default: str, what: str) -> Callable[[F], F]:
    """How many of `what` may be left out."""
    text = f"{what} that may be left out."
    return click.option("--max-skips", default=default, show_default=True, metavar="N|N%", help=text)


photos = click.argument("photos", nargs=-1, required=True, type=PATH)
photos_out = click.option("--out", required=True, metavar="DIR", type=PATH, help="Folder of the pictures.")
all_faces = click.option(
    "--all-faces", is_flag=True, help="Every face of a photo, as NAME_01.png, … from the largest on."
)
face_index = click.option(
    "--face-index",
    metavar="K",
    type=WholeRange(min=0),
    help="The K-th face in order of size instead of the largest (0).",
)


def sides(resolution: int | None, size: tuple[int, int] | None) -> tuple[int, int | None]:
    """Return the height that was asked for, and the width where it was."""
    if size is not None and resolution is None:
        return size[1], size[0]
    if resolution is None or size is not None:
        raise click.UsageError("one of --resolution and --size is needed")
    return resolution, None


def check_faces(all_faces: bool, face_index: int | None) -> None:
    """Refuse to take all faces of a photo and one of them."""
    if all_faces and face_index is not None:
        raise click.UsageError("--all-faces and --face-index exclude each other")


def tell(notes: Iterable[str]) -> None:
    """Say beside the results what a user may not expect."""
    for line in notes:
        click.echo(f"note: {line}", err=True)
