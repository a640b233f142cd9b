"""Generators of Pix2PixHD and CycleGAN in files: the public `*_net_G.pth`, `*_net_G_A.pth` and our safetensors.

The architecture is read off the tensors. A `.pth` holds the tensors alone, under the public names, as the public
implementations write and read it. A safetensors file holds the same and, as texts, what a user should know (roles,
size of the training images, origin).
"""

from __future__ import annotations

import io
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.network_files import (
    State,
    check_tensors,
    counts_of,
    named_tensors,
    stored_tensors,
    without_counts,
    write_network,
    write_whole,
)
from distill.networks.pix2pixhd import Architecture, GlobalGenerator, LocalEnhancer, Norm
from distill.weights.state import few
from distill.weights.state_files import StateFile, read_state

FORMAT = "pix2pixhd-generator"
MAX_BLOCKS, MAX_WIDTH = 200, 1 << 16  # that are believed; the public defaults have 9 and 1,024
_RUNNING = re.compile(r"\.(running_mean|running_var)$")
_BLOCK = re.compile(r"model\.(\d+)\.conv_block\.1\.weight")
_LOCAL_BLOCK = re.compile(r"model1_2\.(\d+)\.conv_block\.1\.weight")
_ENHANCER = re.compile(r"model(\d+)_1\.1\.weight")
_LAYER = re.compile(r"model\.\d+\.weight")


@dataclass(frozen=True, kw_only=True)
class GeneratorFile:
    """What a file holds: the architecture, float32 tensors by public name, and texts (safetensors only)."""

    path: Path
    architecture: Architecture
    state: dict[str, Tensor]
    facts: dict[str, str]

    def network(self) -> GlobalGenerator | LocalEnhancer:
        """Make the generator on the CPU, in evaluation mode, with these tensors (shared, not copied)."""
        with torch.device("meta"):
            network = self.architecture.build()
        biases = {
            name: torch.zeros(tensor.shape)
            for name, tensor in _idle_biases(named_tensors(network), self.architecture.norm).items()
        }
        network.load_state_dict(biases | self.state | counts_of(network), strict=True, assign=True)
        return network.eval()


def read_generator(path: Path, *, input_channels: int | None = None) -> GeneratorFile:
    """Read a generator of Pix2PixHD from `.pth` or safetensors, told apart by content.

    Raises UnsafePickle for a truncated, damaged or hostile file, UnsupportedCheckpoint for another network, and
    DistillError where it takes other than `input_channels`; one line that starts with the path.
    """
    path = Path(path)
    found = read_state(path)
    try:
        file = generator_in(path, found)
        if input_channels is not None:
            file.architecture.check_inputs(input_channels)
    except DistillError as error:
        raise type(error)(f"{path}: {error}") from error
    return file


def generator_in(path: Path, found: StateFile) -> GeneratorFile:
    """Tell what generator the content of a file is. Raises UnsupportedCheckpoint for another network."""
    state = _plain(found.tensors)
    return GeneratorFile(path=path, architecture=infer_architecture(state), state=state, facts=found.metadata)


def _plain(tensors: State) -> dict[str, Tensor]:
    """Drop what PyTorch before 0.4 added: statistics of instance normalisation."""
    tensors = without_counts(tensors)
    if _norm(tensors) == "batch":
        return tensors
    return {name: tensor for name, tensor in tensors.items() if not _RUNNING.search(name)}


def _norm(state: State) -> Norm:
    """Batch normalisation has a scale for each channel, instance normalisation has none."""
    scales = any(tensor.ndim == 1 and name.endswith(".weight") for name, tensor in state.items())
    return "batch" if scales else "instance"


# ---- architecture from shapes


def infer_architecture(state: State) -> Architecture:
    """Read the architecture off names and shapes, and check every tensor against it.

    Raises UnsupportedCheckpoint for discriminators, other networks, and for tensors that are missing, left over or
    of another shape, naming the first.
    """
    first = state.get("model.1.weight")
    if first is None or first.ndim != 4:
        raise UnsupportedCheckpoint(_what_instead(state))
    architecture = _architecture(state, first)
    with torch.device("meta"):
        expected = named_tensors(architecture.build())
    idle = _idle_biases(expected, architecture.norm)
    if not idle.keys() & state.keys():
        expected = {name: tensor for name, tensor in expected.items() if name not in idle}
    check_tensors(state, expected, "Pix2PixHD generator")
    return architecture


def _architecture(state: State, first: Tensor) -> Architecture:
    """Count layers; `first` is the 7x7 convolution [width, inputs, 7, 7] of the (inner) global generator."""
    enhancers = _count(_ENHANCER, state)
    kernels = sum(bool(_LAYER.fullmatch(name)) and state[name].shape[-2:] == (3, 3) for name in state)
    numbers: dict[str, int] = {
        "inputs": first.shape[1],
        "outputs": _outputs(state, enhancers),
        "ngf": first.shape[0] >> min(enhancers, 60),
        "downsamplings": kernels // 2,  # as many up as down
        "blocks": _count(_BLOCK, state),
        "enhancers": enhancers,
        "local_blocks": _count(_LOCAL_BLOCK, state) if enhancers else 3,
    }
    halvings = numbers["downsamplings"] + enhancers
    widest, blocks = numbers["ngf"] << min(halvings, 60), max(numbers["blocks"], numbers["local_blocks"])
    if not 0 < widest <= MAX_WIDTH or blocks > MAX_BLOCKS:
        raise UnsupportedCheckpoint(f"not a Pix2PixHD generator: {numbers}")
    if not numbers["blocks"]:
        raise UnsupportedCheckpoint(
            "a feature encoder (*_net_E.pth): down and up without a residual block between; the generator is the file"
            " *_net_G.pth beside it"
        )
    return Architecture(**numbers, norm=_norm(state))


def _idle_biases(tensors: State, norm: Norm) -> dict[str, Tensor]:
    """Biases of the convolutions before batch normalisation, which takes them away: the public CycleGAN has none."""
    convolutions = [name.removesuffix(".weight") for name, tensor in tensors.items() if tensor.ndim == 4]
    return {f"{name}.bias": tensors[f"{name}.bias"] for name in convolutions[:-1]} if norm == "batch" else {}


def _count(pattern: re.Pattern[str], names: Iterable[str]) -> int:
    return sum(pattern.fullmatch(name) is not None for name in names)


def _outputs(state: State, enhancers: int) -> int:
    """Channels of the image: those of the last layer, a 7x7 convolution."""
    prefix = f"model{enhancers}_2." if enhancers else "model."
    seven = [
        name for name, tensor in state.items()
        if name.startswith(prefix) and tensor.ndim == 4 and tensor.shape[-1] == 7 and name != "model.1.weight"
    ]  # fmt: skip
    if len(seven) != 1:
        raise UnsupportedCheckpoint("not a Pix2PixHD generator: it has no last 7x7 convolution to an image")
    return int(state[seven[0]].shape[0])


def _what_instead(state: State) -> str:
    if any(name.startswith(("scale0_layer0.", "layer0.", "model.0.")) for name in state):
        return (
            "a discriminator; the generator is the file *_net_G.pth, *_net_G_A.pth or *_net_G_B.pth beside it"
        )
    return f"not a Pix2PixHD generator: it holds {few(sorted(state)) or 'nothing'}"


# ---- writing


def save_pth(path: Path, network: nn.Module) -> None:
    """Write a network's tensors in float32 as the public implementation does. Whole or not at all.

    For generators and discriminators. Raises DiskFull, DistillError where the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(OrderedDict(stored_tensors(network)), buffer)
    write_whole(path, buffer.getvalue())


def save_safetensors(
    path: Path,
    network: GlobalGenerator | LocalEnhancer,
    facts: Mapping[str, str] | None = None,
    *,
    half: bool = False,
) -> None:
    """Write a generator, `half` in float16, and some texts about it, the same bytes every time.

    Whole or not at all. `facts` must not name `format` nor a field of the architecture. Raises as `save_pth`.
    """
    write_network(path, network, form=FORMAT, architecture=network.architecture, texts=facts, half=half)
