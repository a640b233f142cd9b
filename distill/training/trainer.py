"""What a model brings to be trained: one record, a row of the table in `trainers`. `run` does the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from distill.devices import Format, resolve_training_precision
from distill.errors import DistillError
from distill.progress import plural
from distill.training.loop import Step
from distill.training.position import RunPosition
from distill.training.request import TrainRequest
from distill.training.settings import TrainerSettings

S = TypeVar("S", bound=TrainerSettings)
D = TypeVar("D", bound="TrainingData")
N = TypeVar("N", bound="TrainingStep")


class TrainingData(Protocol):
    """The data of a run, opened and split. A row is one sample: a picture, a pair, a triplet."""

    @property
    def rows(self) -> int:
        """Rows that are trained on; an epoch has as many samples."""

    def draw(self, position: RunPosition) -> Any:
        """Return this process's part of the batch at a position of the run; the same each time."""

    def shared(self) -> Mapping[str, Any]:
        """What a resumed run must find again, as plain values by name."""

    def facts(self) -> Mapping[str, object]:
        """What the data are, for a person."""

    def close(self) -> None: ...


class TrainingStep(Step[Any], Protocol):
    """An update, with all that the next one depends on (`loop.Step`), and the networks that it trains."""

    def networks(self) -> Mapping[str, int]:
        """Return the number of parameters of each network, by name."""

    def shared(self) -> Mapping[str, Any]:
        """What a resumed run must share beside settings and data, such as the file that it started from."""


class Watch(Protocol):
    """Looks at what is trained on the way; made in every process, asked in the main one alone."""

    @property
    def caution(self) -> str:
        """What a reader of the scores must know; "" for nothing."""

    @property
    def legend(self) -> str:
        """What `picture` shows, for the line under it; "" where it tells itself."""

    @property
    def reals(self) -> str:
        """Name of the picture of the data that `begin` draws into the run's folder; "" for none."""

    def begin(self, position: RunPosition) -> None:
        """Make ready before the first update of this start: baselines, the best of an earlier one."""

    def score(self, position: RunPosition) -> Mapping[str, float]:
        """Score on what is held out; {} where nothing is."""

    def save(self, position: RunPosition) -> None:
        """Write the weights that a run is for."""

    def picture(self, position: RunPosition) -> bytes:
        """Draw what the network makes now, as PNG."""

    def keep(self, position: RunPosition) -> None:
        """Write what stays beside each picture, such as the weights that drew it; most keep nothing."""

    def table(self) -> Mapping[str, Mapping[str, float]]:
        """The scores for the page: who -> score by name. Baselines keep their names (`page.BASELINES`)."""

    def result(self) -> TrainingResult:
        """Where the weights are and how good."""


FEW = 100  # rows: scores of fewer say little


def few_scored(count: int, noun: str, option: str, *, of: str = "") -> str:
    """The caution of a score on few rows (`of` what, for a person); "" where there are enough, or none."""
    if not 0 < count < FEW:
        return ""
    what = f"{plural(count, noun)}{of}"
    return f"scored on {what} only: small differences between scores mean nothing; {option} holds out more"


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The end of a run: the weights' file, the best scores by name ({} without), the page.

    `kimg`: thousands of samples seen, of `planned_kimg`; fewer where the run was stopped by its minutes.
    """

    weights: Path
    scores: Mapping[str, float]
    page: Path = Path()
    kimg: float = 0.0
    planned_kimg: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """Samples between two lines of stats, checkpoints, pictures and scores."""

    tick: int = 1000
    save: int = 10_000
    show: int = 10_000
    score: int = 50_000


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingPlan(Generic[S, D]):
    """A request with every choice made and the data open; nothing is written yet."""

    request: TrainRequest
    preset: str
    settings: S
    data: D
    device: str
    precision: Format
    samples: int  # of the whole run

    @property
    def out(self) -> Path:
        return self.request.out

    @property
    def seed(self) -> int:
        return self.request.seed


@dataclass(frozen=True, kw_only=True)
class Trainer(Generic[S, D, N]):
    """A model that can be trained.

    `noun`: of a sample, such as image or pair. `default_preset`: where none is asked for.
    `settle`: the preset with the changes asked for, checked (`settings.changed`, and what the model adds). `samples`:
    how many the whole run sees, for a number of rows. `open_data`: (request, settings, device, note) -> data; `note`
    hears of pictures left out. `title`: of page and first line; `opening`: what else the first line says.
    `less_memory`: what to do where memory ends. `half`: it can be trained in half precision.
    """

    name: str
    noun: Callable[[TrainingPlan[S, D]], str]
    presets: Mapping[str, S]
    default_preset: Callable[[TrainRequest], str]
    settle: Callable[[S, Mapping[str, object]], S]
    samples: Callable[[S, int], int]
    open_data: Callable[[TrainRequest, S, str, Callable[[str], None]], D]
    make_step: Callable[[TrainingPlan[S, D]], N]
    make_watch: Callable[[TrainingPlan[S, D], N], Watch]
    title: Callable[[TrainingPlan[S, D]], str]
    less_memory: Callable[[S], str]
    half: bool = True
    cadence: Callable[[S, int], Cadence] = lambda settings, rows: Cadence()
    opening: Callable[[TrainingPlan[S, D], N], Sequence[str]] = lambda plan, step: ()

    def precision(self, request: TrainRequest, device: str) -> Format:
        """Return the number format. Raises DistillError for one that it cannot be trained in."""
        if self.half:
            return resolve_training_precision(request.precision, device)
        if request.precision not in ("auto", "fp32"):
            raise DistillError(f"--precision {request.precision}: {self.name} is trained in fp32 only")
        return "fp32"

    def preset(self, request: TrainRequest) -> str:
        """Return the preset's name. Raises DistillError for one that is not there, naming all."""
        name = request.preset or self.default_preset(request)
        if name not in self.presets:
            raise DistillError(
                f"no preset {name!r} of {self.name}; its presets are {', '.join(self.presets)}"
            )
        return name
