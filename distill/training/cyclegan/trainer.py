"""The trainer of CycleGANs: two sets of pictures without partners, and a translator each way."""

from __future__ import annotations

from distill.devices import DTYPES
from distill.errors import DistillError
from distill.networks.pix2pixhd import Architecture
from distill.networks.pix2pixhd_files import GeneratorFile, read_generator
from distill.training import processes
from distill.training.cyclegan.data import Domains, open_domains
from distill.training.cyclegan.settings import LARGE, PRESETS, CycleGANSettings, less_memory, settle
from distill.training.cyclegan.step import A2B, B2A, CycleGANStep
from distill.training.cyclegan.watch import CycleGANWatch, Plan
from distill.training.images import stored_side
from distill.training.request import TrainRequest
from distill.training.trainer import Cadence, Trainer

LEAST = 1000  # samples


def default_preset(request: TrainRequest) -> str:
    """The published sizes from 256 px on, below them those of a CPU."""
    side = request.changes.get("resolution") or stored_side(request.needed_data())
    return "paper" if int(str(side)) >= LARGE else "demo"


def make_step(plan: Plan) -> CycleGANStep:
    """Build networks and losses. Raises DistillError where they do not fit the pictures or the machine."""
    settings, sides = plan.settings, plan.data.sides
    starts = {
        key: read_generator(path, input_channels=3)
        for key, path in ((A2B, settings.init), (B2A, settings.init_b))
        if path is not None
    }
    architecture = _one_architecture(list(starts.values())) if starts else settings.architecture(min(sides))
    processes.check_norm(architecture.norm, plan.device)
    architecture.check_sides(*sides)
    step = CycleGANStep(
        settings,
        architecture,
        settings.schedule(plan.data.rows),
        sides=sides,
        seed=plan.seed,
        device=plan.device,
        half=DTYPES[plan.precision],
    )
    step.check_sides(*sides)
    for key, start in starts.items():
        step.begin_from(key, start.network().state_dict())
    return step


def _one_architecture(starts: list[GeneratorFile]) -> Architecture:
    """Return what all generators to start from have in common. Raises DistillError where they differ."""
    first = starts[0]
    for other in starts[1:]:
        if other.architecture != first.architecture:
            raise DistillError(
                f"{first.path} and {other.path} are generators of different architectures: both must have the same"
            )
    if first.architecture.outputs != 3:
        raise DistillError(
            f"{first.path}: it draws {first.architecture.outputs} channels, but pictures have 3"
        )
    return first.architecture


def title(plan: Plan) -> str:
    return f"{plan.data.a.name} ↔ {plan.data.b.name}"


def opening(plan: Plan, step: CycleGANStep) -> list[str]:
    """How many of each, and what is held out."""
    counts = [f"{len(domain.train_on):,} {domain.name}" for domain in (plan.data.a, plan.data.b)]
    held = len(plan.data.a.held_out) + len(plan.data.b.held_out)
    return [" and ".join(counts), f"{held} held out"]


def cadence(settings: CycleGANSettings, rows: int) -> Cadence:
    """An epoch of a small data set is over in a second, and pictures and files take as long."""
    epoch = max(rows, LEAST)
    return Cadence(tick=min(rows, LEAST), save=epoch, show=min(epoch, 5 * LEAST), score=epoch)


CYCLEGAN: Trainer[CycleGANSettings, Domains, CycleGANStep] = Trainer(
    name="cyclegan",
    noun=lambda plan: "sample",
    presets=PRESETS,
    default_preset=default_preset,
    settle=settle,
    samples=lambda settings, rows: settings.schedule(rows).samples,
    open_data=open_domains,
    make_step=make_step,
    make_watch=CycleGANWatch,
    title=title,
    less_memory=less_memory,
    cadence=cadence,
    opening=opening,
)
