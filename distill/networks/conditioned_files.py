"""Conditioned generators of Pix2PixHD in files: the tensors of a plain one, and how many conditions it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.conditioned import ConditionedGenerator
from distill.networks.edits import EditCondition, EditTerm, changes_of
from distill.networks.network_files import write_network
from distill.networks.pix2pixhd_files import generator_in
from distill.weights.safe_pickle.machine import shown
from distill.weights.state_files import StateFile

FORMAT, COUNT = "conditioned-pix2pixhd", "conditions"
MOST = 100  # conditions that are believed
RGB = 3


def read_conditioned(found: StateFile) -> ConditionedGenerator:
    """Make the network of a file's content, on the CPU, its condition 0.

    Raises UnsupportedCheckpoint for another network, and where the channels beside the conditions are no RGB images.
    """
    text = found.metadata.get(COUNT, "")
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 5 and 0 < int(text) <= MOST):
        raise UnsupportedCheckpoint(
            f"a {FORMAT} of {shown(text) if text else 'no'} conditions: 1 to {MOST} are needed"
        )
    file, count = generator_in(Path(), found), int(text)
    channels = file.architecture.inputs - count
    if channels < RGB or channels % RGB or file.architecture.outputs != RGB:
        raise UnsupportedCheckpoint(
            f"from {file.architecture.inputs} channels, {count} of them conditions, to {file.architecture.outputs}:"
            " not a network from RGB images to one"
        )
    return ConditionedGenerator(file.network(), torch.zeros(count)).eval()


def save_conditioned(path: Path, network: nn.Module, texts: Mapping[str, str], half: bool) -> None:
    """Write a network; a condition that it was given stays behind. Raises as `write_network`."""
    assert isinstance(network, ConditionedGenerator)
    generator, count = network.generator, network.architecture.conditions
    texts = {**texts, COUNT: str(count)}
    write_network(path, generator, form=FORMAT, architecture=generator.architecture, texts=texts, half=half)


def with_edit(
    network: nn.Module, conditions: Sequence[EditCondition], terms: Sequence[EditTerm], path: Path
) -> tuple[ConditionedGenerator, tuple[str, ...]]:
    """Return the same network, its tensors shared, with the changes of all terms; what they leave out is 0.

    Raises DistillError for an attribute that is not known, and for a change beyond its range.
    """
    assert isinstance(network, ConditionedGenerator)
    if len(conditions) != network.architecture.conditions:
        raise DistillError(
            f"{len(conditions)} conditions are named, the network has {network.architecture.conditions}"
        )
    values = [
        change / condition.high
        for change, condition in zip(changes_of(conditions, terms), conditions, strict=True)
    ]
    condition = torch.tensor(values, device=network.condition.device)
    return ConditionedGenerator(network.generator, condition).eval(), ()
