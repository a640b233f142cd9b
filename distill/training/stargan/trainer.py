"""The trainer of StarGANs: one labelled set of pictures, and one translator for all of its attributes."""

from __future__ import annotations

from distill.devices import DTYPES
from distill.errors import DistillError
from distill.networks.stargan import CriticArchitecture, StarGANCritic, StarGANGenerator
from distill.networks.stargan_files import critic_beside, read_critic, read_generator
from distill.training.images import stored_side
from distill.training.request import TrainRequest
from distill.training.stargan.data import LabelledPictures, open_pictures
from distill.training.stargan.settings import LARGE, PRESETS, StarGANSettings, less_memory, settle
from distill.training.stargan.step import StarGANStep
from distill.training.stargan.watch import Plan, StarGANWatch
from distill.training.trainer import Cadence, Trainer

LEAST = 5000  # samples


def default_preset(request: TrainRequest) -> str:
    """The published sizes from 128 px on, below them those of a CPU."""
    side = request.changes.get("resolution") or stored_side(request.needed_data())
    return "paper" if int(str(side)) >= LARGE else "demo"


def make_step(plan: Plan) -> StarGANStep:
    """Build networks and losses. Raises DistillError where they do not fit the pictures or the machine."""
    settings = plan.settings
    start = _start(settings) if settings.init else None
    architecture = start.architecture if start else settings.architecture()
    architecture.check_sides(*plan.data.sides)
    critic = settings.critic(*plan.data.sides)
    step = StarGANStep(
        settings, architecture, critic, seed=plan.seed, device=plan.device, half=DTYPES[plan.precision]
    )
    if start:
        beside = _critic_of_start(settings, critic)
        step.begin_from(start.state_dict(), beside.state_dict() if beside else None)
    return step


def _start(settings: StarGANSettings) -> StarGANGenerator:
    """Read the generator to start from. Raises DistillError for one of another number of attributes."""
    path = settings.init
    assert path is not None
    start = read_generator(path)
    if start.architecture.attributes != len(settings.attributes):
        raise DistillError(
            f"{path}: a generator of {start.architecture.attributes} attributes, and --attributes names"
            f" {len(settings.attributes)}"
        )
    return start


def _critic_of_start(settings: StarGANSettings, wanted: CriticArchitecture) -> StarGANCritic | None:
    """Read the critic beside the generator to start from, where there is one for pictures of this size."""
    path = settings.init
    if path is None or not critic_beside(path).is_file():
        return None
    critic = read_critic(critic_beside(path))
    a = critic.architecture
    same = (a.attributes, a.width, a.layers, a.left) == (
        wanted.attributes,
        wanted.width,
        wanted.layers,
        wanted.left,
    )
    return critic if same else None


def title(plan: Plan) -> str:
    return ", ".join(map(str, plan.data.attributes))


def opening(plan: Plan, step: StarGANStep) -> list[str]:
    """How many are held out, how large the networks are, and what they start from."""
    sizes = " and ".join(f"{count:,}" for count in step.networks().values())
    lines = [f"{len(plan.data.held_out)} held out", f"{sizes} parameters"]
    if plan.settings.init:
        critic = _critic_of_start(plan.settings, step.critic.architecture)
        lines.append("from a generator and its critic" if critic else "from a generator, with a new critic")
    return lines


def cadence(settings: StarGANSettings, rows: int) -> Cadence:
    """An epoch of a small data set is over in seconds, and scores take as long."""
    epoch = max(rows, LEAST)
    return Cadence(tick=min(rows, 1000), save=epoch, show=epoch, score=epoch)


STARGAN: Trainer[StarGANSettings, LabelledPictures, StarGANStep] = Trainer(
    name="stargan",
    noun=lambda plan: "picture",
    presets=PRESETS,
    default_preset=default_preset,
    settle=settle,
    samples=lambda settings, rows: settings.schedule().samples,
    open_data=open_pictures,
    make_step=make_step,
    make_watch=StarGANWatch,
    title=title,
    less_memory=less_memory,
    cadence=cadence,
    opening=opening,
)
