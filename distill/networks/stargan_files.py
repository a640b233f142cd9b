"""Generators and critics of StarGAN in files: the public `*-G.ckpt` and `*-D.ckpt`, and our safetensors.

Sizes are read off the tensors, which have the public names in both. Which attributes a generator knows stands among
the texts of a safetensors file; a public file does not say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.files import path_text
from distill.networks.edits import EditAttribute, EditTerm, choices_text, wanted_of
from distill.networks.network_files import (
    State,
    check_tensors,
    counts_of,
    named_tensors,
    without_counts,
    write_network,
)
from distill.networks.stargan import (
    CriticArchitecture,
    EditedStarGAN,
    StarGANArchitecture,
    StarGANCritic,
    StarGANGenerator,
)
from distill.weights.state_files import StateFile, read_state

FORMAT, CRITIC_FORMAT = "stargan-generator", "stargan-critic"
IN_RUN = "stargan.safetensors"
CELEBA = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")  # of the published model, in its order
MAX_WIDTH, MAX_BLOCKS, MAX_LAYERS, MAX_LEFT = 1 << 14, 200, 12, 1 << 10  # that are believed
_BLOCK = re.compile(r"main\.\d+\.main\.0\.weight")
_LAYER = re.compile(r"main\.\d+\.weight")


def is_stargan(state: State) -> bool:
    """Tell by its names whether a state is a generator's or a critic's."""
    first = state.get("main.0.weight")
    return first is not None and first.ndim == 4 and ("conv1.weight" in state or "main.1.weight" in state)


def read_stargan(found: StateFile) -> StarGANGenerator:
    """Make the generator of a file's content, on the CPU. Raises UnsupportedCheckpoint for another network."""
    state = without_counts(found.tensors)
    if "conv1.weight" in state:
        raise UnsupportedCheckpoint(
            "a StarGAN critic; the generator is the file *-G.ckpt or stargan.safetensors beside it"
        )
    architecture = _generator_sizes(state)
    with torch.device("meta"):
        network = StarGANGenerator(architecture)
    _fill(network, state, "StarGAN generator")
    return network


def read_generator(path: Path) -> StarGANGenerator:
    """Read a generator from a file of its own. Raises as `read_critic`."""
    found = read_state(path)
    try:
        return read_stargan(found)
    except DistillError as error:
        raise type(error)(f"{path}: {error}") from error


def read_critic(path: Path) -> StarGANCritic:
    """Read a critic. Raises DistillError, UnsafePickle, UnsupportedCheckpoint: one line that starts with the path."""
    state = without_counts(read_state(path).tensors)
    try:
        architecture = _critic_sizes(state)
        with torch.device("meta"):
            network = StarGANCritic(architecture)
        _fill(network, state, "StarGAN critic")
    except DistillError as error:
        raise type(error)(f"{path}: {error}") from error
    return network


def save_generator(path: Path, network: nn.Module, texts: Mapping[str, str], half: bool) -> None:
    """Write a generator, of an edited one what it was before the edit. Raises as `write_network`."""
    generator = network.generator if isinstance(network, EditedStarGAN) else network
    write_network(path, generator, form=FORMAT, architecture=generator.architecture, texts=texts, half=half)


def save_critic(path: Path, network: StarGANCritic) -> None:
    """Write a critic. Raises as `write_network`."""
    write_network(path, network, form=CRITIC_FORMAT, architecture=network.architecture)


def critic_beside(path: Path) -> Path:
    """Where the critic of a generator's file lies: 200000-D.ckpt by 200000-G.ckpt, else NAME-critic.safetensors."""
    if re.search(r"-G\.\w+$", path.name):
        return path.with_name(re.sub(r"-G(\.\w+)$", r"-D\1", path.name))
    return path.with_name(f"{path.stem}-critic.safetensors")


def public_attributes(count: int) -> tuple[EditAttribute, ...]:
    """Name the attributes of a file that does not: those of the published CelebA model, or by number."""
    names = CELEBA if count == len(CELEBA) else [f"attribute-{n + 1}" for n in range(count)]
    return tuple(EditAttribute(label=name, value="yes", values=("yes", "no")) for name in names)


def with_edit(
    network: nn.Module, attributes: Sequence[EditAttribute], terms: Sequence[EditTerm], path: Path
) -> tuple[EditedStarGAN, tuple[str, ...]]:
    """Give the generator of the file `path` an edit; also return what a user should know about it.

    What the edit does not name stays as the critic beside the file tells it. Raises DistillError where an attribute
    is not known, and where one is left open and no critic is there.
    """
    network = network.generator if isinstance(network, EditedStarGAN) else network
    assert isinstance(network, StarGANGenerator)
    count, notes = network.architecture.attributes, []
    if not attributes:
        attributes = public_attributes(count)
        names = ", ".join(attribute.label for attribute in attributes)
        notes.append(f"the file does not name its {count} attributes; they are taken for {names}")
    if len(attributes) != count:
        raise UnsupportedCheckpoint(f"{len(attributes)} attributes are named, the network has {count}")
    wanted = wanted_of(attributes, terms)
    open_ones = [attribute for attribute, value in zip(attributes, wanted, strict=True) if value is None]
    critic = None
    if open_ones:
        critic = _critic_for(path, attributes, open_ones)
        said = ", ".join(map(str, open_ones))
        notes.append(f"not named in --edit, so read off each picture: {said} ({critic_beside(path).name})")
    values = torch.tensor([float("nan") if value is None else float(value) for value in wanted])
    return EditedStarGAN(network, values, critic).eval(), tuple(notes)


def _critic_for(
    path: Path, attributes: Sequence[EditAttribute], open_ones: Sequence[EditAttribute]
) -> StarGANCritic:
    file = critic_beside(path)
    if not file.is_file():
        raise DistillError(
            f"--edit leaves {', '.join(map(str, open_ones))} open, and {path_text(file)}, which tells what a picture"
            f" has, is not there: name all in --edit, of {choices_text(attributes)}"
        )
    critic = read_critic(file)
    if critic.architecture.attributes != len(attributes):
        raise UnsupportedCheckpoint(
            f"the critic {path_text(file)} tells {critic.architecture.attributes} attributes, the generator has"
            f" {len(attributes)}"
        )
    return critic


def _generator_sizes(state: State) -> StarGANArchitecture:
    first = _four(state, "main.0.weight", "generator")  # [width, 3 + A, 7, 7]
    sizes = {
        "attributes": int(first.shape[1]) - 3,
        "width": int(first.shape[0]),
        "blocks": sum(_BLOCK.fullmatch(name) is not None for name in state),
    }
    if sizes["attributes"] < 1 or not 0 < sizes["width"] <= MAX_WIDTH or sizes["blocks"] > MAX_BLOCKS:
        raise UnsupportedCheckpoint(f"not a StarGAN generator: {sizes}")
    return StarGANArchitecture(**sizes)


def _critic_sizes(state: State) -> CriticArchitecture:
    first, head = (_four(state, name, "critic") for name in ("main.0.weight", "conv2.weight"))
    layers = sum(_LAYER.fullmatch(name) is not None for name in state)
    (attributes, _, high, wide), width = head.shape, int(first.shape[0])
    widest = width << min(layers, 60)
    if not (0 < layers <= MAX_LAYERS and 0 < widest <= MAX_WIDTH and max(high, wide) <= MAX_LEFT):
        raise UnsupportedCheckpoint(f"not a StarGAN critic: {layers} layers, width {width}")
    return CriticArchitecture(
        attributes=attributes, height=high << layers, width_px=wide << layers, width=width, layers=layers
    )


def _four(state: State, name: str, what: str) -> Tensor:
    if name not in state or state[name].ndim != 4:
        raise UnsupportedCheckpoint(f"not a StarGAN {what}: it has no convolution {name}")
    return state[name]


def _fill(network: nn.Module, state: State, what: str) -> None:
    """Give a network on the meta device the tensors of a file, checked."""
    check_tensors(state, named_tensors(network), what)
    network.load_state_dict(dict(state) | counts_of(network), strict=True, assign=True)
    network.eval()
