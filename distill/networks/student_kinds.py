"""The table of the networks that students are: to add one, write its row. `student` asks nothing else of a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn

from distill.errors import UnsupportedCheckpoint
from distill.networks import conditioned_files, pix2pixhd_files, stargan_files, vaegan_files
from distill.networks.conditioned import ConditionedGenerator
from distill.networks.edits import EditTerm
from distill.networks.network_files import State
from distill.networks.pix2pixhd import Architecture, GlobalGenerator, LocalEnhancer
from distill.networks.stargan import EditedStarGAN, StarGANGenerator
from distill.networks.vaegan import VAEGANAutoencoder
from distill.weights.state_files import StateFile

RGB = 3

Edited = tuple[nn.Module, tuple[str, ...]]  # the network, and what a user should know
# (network, attributes or conditions of the facts, terms, path)
WithEdit = Callable[[nn.Module, Sequence[Any], Sequence[EditTerm], Path], Edited]


@dataclass(frozen=True, kw_only=True)
class StudentKind:
    """A kind of network: how a file says that it holds one, how it is read, written and told an edit.

    form: the text `format` of its safetensors. recognise: by the tensors of a file without that text. read: (content
    of a file) -> network [N, C, H, W] -> [N, 3, H, W] in evaluation mode, with an `architecture` (`StudentShape`).
    save: (path, network, texts, in float16). networks: the classes of what `read` and `with_edit` return. in_run: its
    files in a run's folder, the first that is there counts. trained_by: commands. with_edit: (network, attributes or
    conditions of the facts, terms, path) -> a network that makes this edit, of an edited one too; None for a kind
    that makes one change alone. plain: without an edit it does something of use, such as a reconstruction.

    `read` raises UnsupportedCheckpoint, `with_edit` DistillError, without the path.
    """

    form: str
    recognise: Callable[[State], bool]
    read: Callable[[StateFile], nn.Module]
    save: Callable[[Path, nn.Module, Mapping[str, str], bool], None]
    networks: tuple[type[nn.Module], ...]
    in_run: tuple[str, ...]
    trained_by: tuple[str, ...]
    with_edit: WithEdit | None = None
    plain: bool = False


def _read_pix2pixhd(found: StateFile) -> nn.Module:
    file = pix2pixhd_files.generator_in(Path(), found)
    _check_channels(file.architecture)
    return file.network()


def _check_channels(architecture: Architecture) -> None:
    if architecture.inputs % RGB or architecture.outputs != RGB:
        raise UnsupportedCheckpoint(
            f"from {architecture.inputs} to {architecture.outputs} channels: not a network from RGB images to one"
        )


def _save_pix2pixhd(path: Path, network: nn.Module, texts: Mapping[str, str], half: bool) -> None:
    pix2pixhd_files.save_safetensors(path, cast(GlobalGenerator, network), texts, half=half)


# The last row takes every file that no other one does, and says what it is instead.
KINDS: tuple[StudentKind, ...] = (
    StudentKind(
        form=stargan_files.FORMAT,
        recognise=stargan_files.is_stargan,
        read=stargan_files.read_stargan,
        save=stargan_files.save_generator,
        networks=(StarGANGenerator, EditedStarGAN),
        in_run=(stargan_files.IN_RUN,),
        trained_by=("train-stargan",),
        with_edit=stargan_files.with_edit,
    ),
    StudentKind(
        form=vaegan_files.FORMAT,
        recognise=vaegan_files.is_vaegan,
        read=vaegan_files.read_vaegan,
        save=vaegan_files.save_vaegan,
        networks=(VAEGANAutoencoder,),
        in_run=(vaegan_files.IN_RUN,),
        trained_by=("train-vaegan",),
        with_edit=vaegan_files.with_edit,
        plain=True,
    ),
    StudentKind(
        form=conditioned_files.FORMAT,
        recognise=lambda state: False,  # its tensors are a plain one's
        read=conditioned_files.read_conditioned,
        save=conditioned_files.save_conditioned,
        networks=(ConditionedGenerator,),
        in_run=(),  # the names of plain students, below
        trained_by=(),
        with_edit=conditioned_files.with_edit,
        plain=True,
    ),
    StudentKind(
        form=pix2pixhd_files.FORMAT,
        recognise=lambda state: True,
        read=_read_pix2pixhd,
        save=_save_pix2pixhd,
        networks=(GlobalGenerator, LocalEnhancer),
        in_run=("student-best.safetensors", "student.safetensors", "a2b.safetensors"),
        trained_by=("train-pix2pix", "train-cyclegan"),
    ),
)


def kind_of_file(found: StateFile) -> StudentKind:
    """Return the kind that the content of a file says it is, by its text `format`, else by its tensors."""
    named = [kind for kind in KINDS if kind.form == found.metadata.get("format")]
    return named[0] if named else next(kind for kind in KINDS if kind.recognise(found.tensors))


def kind_of_network(network: nn.Module) -> StudentKind:
    """Return the kind of a network. Raises TypeError for one that is no student."""
    for kind in KINDS:
        if isinstance(network, kind.networks):
            return kind
    raise TypeError(f"{type(network).__name__} is not the network of a student")
