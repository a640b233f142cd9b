"""Autoencoders of VAE/GAN in files, with the means of their attributes, and what an edit does to them.

D latent width, A attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.edits import EditAttribute, EditTerm, wanted_of
from distill.networks.network_files import (
    State,
    check_tensors,
    counts_of,
    named_tensors,
    without_counts,
    write_network,
)
from distill.networks.vaegan import VAEGANAutoencoder, VAEGANShape
from distill.weights.safe_pickle.machine import shown
from distill.weights.state_files import StateFile

FORMAT = "vaegan-autoencoder"
IN_RUN = "vaegan.safetensors"
MOST = 1 << 16  # of any size that is believed
FROM_TO = ":"  # between two values of a label: kind=jeans:shorts


def is_vaegan(state: State) -> bool:
    """Tell by its names whether a state is an autoencoder's."""
    return "encoder.mean.weight" in state and "on" in state


def read_vaegan(found: StateFile) -> VAEGANAutoencoder:
    """Make the autoencoder of a file's content, on the CPU. Raises UnsupportedCheckpoint for another network."""
    state = without_counts(found.tensors)
    attributes = state["on"].shape[0] if "on" in state and state["on"].ndim == 2 else 0
    with torch.device("meta"):
        network = VAEGANAutoencoder(_shape(found.metadata), attributes)
    check_tensors(state, named_tensors(network), "VAE/GAN")
    network.load_state_dict(dict(state) | counts_of(network), strict=True, assign=True)
    network.shift = torch.zeros(network.architecture.latent)
    return network.eval()


def _shape(texts: Mapping[str, str]) -> VAEGANShape:
    found: dict[str, float] = {}
    for field in fields(VAEGANShape):
        text = texts.get(field.name, "")
        try:
            found[field.name] = float(text) if field.name == "slope" else int(text)
        except ValueError:
            raise UnsupportedCheckpoint(
                f"a VAE/GAN whose {field.name} is {shown(text)}, not a number"
            ) from None
        if not 0 <= found[field.name] <= MOST:
            raise UnsupportedCheckpoint(
                f"a VAE/GAN whose {field.name} is {shown(text)}, which is not possible"
            )
    shape = VAEGANShape(**found)  # type: ignore[arg-type]
    if min(shape.latent, shape.channels, shape.hidden) < 1:
        raise UnsupportedCheckpoint("a VAE/GAN with a layer of width 0, which is not possible")
    try:
        shape.check()
    except DistillError as error:
        raise UnsupportedCheckpoint(str(error)) from error
    return shape


def save_vaegan(path: Path, network: nn.Module, texts: Mapping[str, str], half: bool) -> None:
    """Write an autoencoder; an edit that it was given stays behind. Raises as `write_network`."""
    assert isinstance(network, VAEGANAutoencoder)
    write_network(path, network, form=FORMAT, architecture=network.architecture, texts=texts, half=half)


def with_edit(
    network: nn.Module, attributes: Sequence[EditAttribute], terms: Sequence[EditTerm], path: Path
) -> tuple[VAEGANAutoencoder, tuple[str, ...]]:
    """Let an autoencoder add the directions of all terms to z. Raises DistillError for what is not known."""
    assert isinstance(network, VAEGANAutoencoder)
    if len(attributes) != len(network.on):
        raise UnsupportedCheckpoint(
            f"{len(attributes)} attributes are named, the network has means of {len(network.on)}"
        )
    if not attributes:
        raise DistillError(
            "it was trained without --attributes, so it can only reconstruct: leave out --edit"
        )
    network = network.with_means(network.on, network.off)  # the other one keeps its edit
    network.shift = torch.stack([_direction(network, attributes, term) for term in terms]).sum(dim=0)
    return network, ()


def _direction(network: VAEGANAutoencoder, attributes: Sequence[EditAttribute], term: EditTerm) -> Tensor:
    """What a term adds to z, [D]: mean(on) - mean(off) of the attribute that it wants.

    Of one that it excludes (gender=male, where gender=female was learnt) the opposite. FROM:TO adds what TO does and
    takes away what FROM does: the variant of the course report, the target's difference minus the given one's.
    """
    given, between, target = term.value.partition(FROM_TO)
    if between and term.sign == "=":
        ends = [_direction(network, attributes, replace(term, value=value)) for value in (target, given)]
        return ends[0] - ends[1]
    wanted = wanted_of(attributes, [term])
    added = [place for place, value in enumerate(wanted) if value]
    taken = [place for place, value in enumerate(wanted) if value is False]
    directions = network.directions
    return directions[added].sum(dim=0) if added else -directions[taken].sum(dim=0)
