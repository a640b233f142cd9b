"""A student in a file and at work: a network of one of the `student_kinds`, facts about it, images in and out.

Training writes these files; translation, export and evaluation read them. Published `.pth` and `.ckpt` files are
students too: they hold tensors alone, so all that is known of them is their architecture. Shapes: N samples, C
channels, H W image.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import torch
from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from torch import Tensor, nn

from distill.devices import DTYPES, Format, resolve_device
from distill.errors import DistillError, UnsupportedCheckpoint
from distill.files import file_sha256
from distill.networks.conditioned import ConditionedShape
from distill.networks.edits import (
    EditAttribute,
    EditCondition,
    choices_text,
    edit_text,
    parse_edit,
)
from distill.networks.student_kinds import KINDS, RGB, StudentKind, kind_of_file, kind_of_network
from distill.networks.student_shape import StudentShape
from distill.weights.by_name import credit, name_of, path_by_name
from distill.weights.safe_pickle.machine import shown
from distill.weights.state_files import read_state

Precision = Literal["auto", "fp32", "bf16", "fp16"]
NormStatistics = Literal["running", "batch"]
IN_RUN_REVERSE = "b2a.safetensors"  # the other translator of a CycleGAN
PUBLIC_STATISTICS = {  # of a published file with batch normalisation
    "running": "batch normalisation by the running means of its training; the public test.py, which never calls"
    " .eval(), normalises each image by itself: --norm-statistics batch",
    "batch": "batch normalisation by each image's own statistics, as the public test.py has it",
}
KEY = "student"  # of the facts among the file's texts

Text = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Name = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
Number = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class StudentFacts:
    """What a user and other programs should know about a student; all unknown for a published `.pth`.

    inputs: roles in the order of the channels; target: the role it was taught. resolution: height of the training
    images in px, and width, where they are no squares. data_digest: of the recipe of its data. drawn: the generator,
    edit and seed by which its faces were drawn, where the recipe tells. selected_by: the scorer that chose its
    pairs, as the recipe names it, empty where none did. generator: the teacher. val_fraction, seed: the split into
    trained and held-out. kimg: thousands of samples seen. init: the file that it began from, whose samples are not
    counted. perceptual: features of that loss. scores: on held-out. attributes: what an edit may name, in the order
    of the network's labels; conditions: the changes that an edit may ask for, with their ranges, in the order of its
    planes; edit: what it does where it is told nothing else.
    """

    task: Text | None = None
    inputs: tuple[Name, ...] = ()
    target: Name | None = None
    resolution: Annotated[int, Field(ge=1, le=1 << 16)] | None = None
    width: Annotated[int, Field(ge=1, le=1 << 16)] | None = None
    data_digest: Text | None = None
    drawn: dict[Name, Text | int] | None = None
    selected_by: dict[Name, Text] | None = None
    generator: Text | None = None
    val_fraction: Annotated[float, Field(ge=0, lt=1)] | None = None
    seed: int | None = None
    kimg: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    init: Text | None = None
    preset: Text | None = None
    perceptual: Text | None = None
    scores: dict[Name, Number] = field(default_factory=dict)
    attributes: tuple[EditAttribute, ...] = ()
    conditions: tuple[EditCondition, ...] = ()
    edit: Text | None = None

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)


_FACTS = TypeAdapter(StudentFacts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Student:
    """A loaded student: call it with images. `path` is the file it came from, `sha256` of what was read.

    `norm_statistics`: what batch normalisation goes by, "running" means of training or, "batch", each image's own.
    `edit`: what it was told to change, as text; "" for a student that makes one change alone. `about_edit`: what its
    user should know about that.
    """

    network: nn.Module
    facts: StudentFacts
    path: Path
    device: torch.device
    precision: Format = "fp32"
    norm_statistics: NormStatistics = "running"
    edit: str = ""
    about_edit: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def architecture(self) -> StudentShape:
        return shape_of(self.network)

    @property
    def name(self) -> str:
        """What to call it: its name in the table of weights, else its path."""
        return name_of(self.path)

    @property
    def credit(self) -> str:
        """What the mark of its pictures says: which student it was, and which edit."""
        by = f"the student {credit(self.path, self.sha256)}"
        return f"{by}, {self.edit}" if self.edit else by

    @property
    def change(self) -> str | None:
        """What it does, for a person: the edit that it was told, else the task that it was taught."""
        return self.edit or self.facts.task

    @property
    def input_channels(self) -> int:
        return self.architecture.inputs

    @property
    def input_count(self) -> int:
        """RGB images that make up one input."""
        return self.input_channels // RGB

    def edited(self, edit: str) -> Student:
        """Return the same network with another edit, such as "age=+20,smile=1"; its file is not read again.

        Raises DistillError, starting with the name, for a student that makes one change alone, and as `parse_edit`
        for what it does not know, or was not taught as much of.
        """
        try:
            other = _edited(self, kind_of_network(self.network), edit)
        except DistillError as error:
            raise type(error)(f"{self.name}: {error}") from error
        return replace(other, network=other.network.to(self.device))

    def notes(self, size: int | None = None, *, chosen: bool = True) -> list[str]:
        """Say what its user may not expect of it: at `size` px, `chosen` by the user or not; None: at any size."""
        lines, trained = list(self.about_edit), self.facts.resolution
        if self.architecture.norm == "batch" and self.facts == StudentFacts():
            lines.append(PUBLIC_STATISTICS[self.norm_statistics])
        if size is not None and trained is not None and trained != size:
            lines.append(f"the student was trained at {trained} px and now runs at {size}")
        elif size is not None and trained is None and not chosen:
            lines.append(f"the file does not say at what size it was trained; it runs at {size} px")
        return lines

    @torch.inference_mode()
    def __call__(self, images_NCHW: Tensor, changes_NK: Tensor | None = None) -> Tensor:
        """Translate images [N, C, H, W] in [-1, 1], from any device: float32 [N, 3, H, W] on the student's.

        The inputs of a sample are joined along C, in the order of `facts.inputs`. `changes_NK`: of each image, not
        those of the edit, in the units and the order of `facts.conditions`; nothing holds them to the ranges. Raises
        DistillError for another shape, and for sides that the network's halvings do not divide.
        """
        if images_NCHW.ndim != 4:
            raise DistillError(f"images [N, C, H, W] are needed, not {list(images_NCHW.shape)}")
        self.architecture.check_inputs(images_NCHW.shape[1])
        self.architecture.check_sides(*images_NCHW.shape[2:])
        x = images_NCHW.to(self.device, torch.float32, memory_format=torch.channels_last)
        dtype = DTYPES[self.precision]
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not torch.float32):
            y: Tensor = self.network(x, *([] if changes_NK is None else [self._scaled(changes_NK)]))
        return y.float()

    def _scaled(self, changes_NK: Tensor) -> Tensor:
        """Divide changes by their ranges. Raises DistillError where there are not as many as conditions."""
        highs = torch.tensor([condition.high for condition in self.facts.conditions])
        if not len(highs):
            raise DistillError(f"{self.name}: this student makes no change of any strength")
        if changes_NK.ndim != 2 or changes_NK.shape[1] != len(highs):
            raise DistillError(
                f"{self.name}: changes [N, {len(highs)}] are needed, not {list(changes_NK.shape)}"
            )
        return (changes_NK.cpu().float() / highs).to(self.device)


def shape_of(network: nn.Module) -> StudentShape:
    """What the network of a student takes."""
    return cast(StudentShape, network.architecture)


def save_student(path: Path, network: nn.Module, facts: StudentFacts, *, half: bool = False) -> None:
    """Write a student as safetensors, `half` in float16, the same bytes every time. Whole or not at all.

    Raises DistillError for facts that would not be read back, or where the file cannot be written; DiskFull.
    """
    text = json.dumps(
        {name: value for name, value in asdict(facts).items() if value not in (None, ())}, sort_keys=True
    )
    try:
        _check_channels(_parse(text), shape_of(network))
    except UnsupportedCheckpoint as error:
        raise DistillError(f"{path}: {error}") from error
    kind_of_network(network).save(path, network, {KEY: text}, half)


def load_student(
    source: str | PathLike[str],
    *,
    device: str = "cpu",
    precision: Precision = "auto",
    norm_statistics: NormStatistics = "running",
    reverse: bool = False,
    edit: str | None = None,
) -> Student:
    """Load a student by its name in the table (a str), from a run's folder, a safetensors file or a published one.

    Of a folder, the best checkpoint counts, else the last; of a CycleGAN's, a → b, or b → a with `reverse`.
    `precision` "auto" is bfloat16 on GPUs that multiply it, float32 elsewhere. `norm_statistics` "batch" is for
    networks with batch normalisation alone. `edit`: of a student that makes several changes, which one, such as
    "gender=female"; None: the one that the file names.
    Raises DistillError, UnsafePickle, UnsupportedCheckpoint: one line that starts with the name or the path.
    """
    device = resolve_device(device)
    precise = resolve_student_precision(precision, device)
    path = student_file(path_by_name(source, "student"), reverse=reverse)
    found = _opened(path, norm_statistics, edit)
    network = found.network.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return replace(found, network=network, device=torch.device(device), precision=precise)


def needed_edit(source: str | PathLike[str]) -> str | None:
    """Return a first edit for a student that does nothing without one (StarGAN); None for all others.

    Raises DistillError as `load_student`, and for such a student whose file names none.
    """
    path = student_file(path_by_name(source, "student"))
    found = read_state(path)
    kind, text = kind_of_file(found), found.metadata.get(KEY)
    facts = StudentFacts() if text is None else _parse(text)
    if kind.with_edit is None or kind.plain or facts.edit:
        return None
    if not facts.attributes:
        raise DistillError(f"{path}: its file does not name what it can change: name a run of its training")
    return facts.attributes[0].choices[0]


def _opened(path: Path, norm_statistics: NormStatistics, edit: str | None) -> Student:
    """Read a file of any kind of network that students are, onto the CPU. Raises as `load_student`."""
    found = read_state(path)
    kind = kind_of_file(found)
    try:
        network = kind.read(found)
        text = found.metadata.get(KEY)
        facts = StudentFacts() if text is None else _parse(text)
        _check_channels(facts, shape_of(network))
        if norm_statistics == "batch":
            use_own_statistics(network)
        student = Student(
            network=network,
            facts=facts,
            path=path,
            device=torch.device("cpu"),
            norm_statistics=norm_statistics,
            sha256=file_sha256(path),
        )
        return _edited(student, kind, edit)
    except DistillError as error:
        raise type(error)(f"{name_of(path)}: {error}") from error


def _edited(student: Student, kind: StudentKind, edit: str | None) -> Student:
    """Tell a student which edit to make. Raises DistillError for one too many, one too few, and an unknown one."""
    facts = student.facts
    if kind.with_edit is None:
        if edit is not None:
            raise DistillError(f"this student makes one change alone: leave out --edit {edit[:80]}")
        return student
    wanted = edit if edit is not None else facts.edit
    if wanted is None and kind.plain:
        return student
    if wanted is None:
        choices = f"; it knows {choices_text(facts.attributes)}" if facts.attributes else ""
        raise DistillError(f"this student must be told what to change: add --edit NAME=VALUE{choices}")
    terms = parse_edit(wanted)
    known = facts.conditions or facts.attributes
    network, about = kind.with_edit(student.network, known, terms, student.path)
    return replace(student, network=network, edit=edit_text(terms), about_edit=about)


def use_own_statistics(network: nn.Module) -> None:
    """Let batch normalisation go by the statistics of each image, as it does in training mode at one image a batch.

    So no image sees the others of its batch. Raises DistillError for a network that has none.
    """
    if shape_of(network).norm != "batch":
        raise DistillError(
            "--norm-statistics batch is for networks whose maps go through batch normalisation; this one has none"
        )
    if isinstance(shape_of(network), ConditionedShape):
        raise DistillError(
            "--norm-statistics batch removes whatever is the same all over a picture, and with it how much to"
            " change: leave it out"
        )
    for parent in list(network.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, nn.BatchNorm2d):
                own = nn.InstanceNorm2d(norm.num_features, eps=norm.eps, affine=True, device="meta")
                own.weight, own.bias = norm.weight, norm.bias
                setattr(parent, name, own)


def student_file(source: Path, *, reverse: bool = False) -> Path:
    """Return the student's file in a run's folder; a file is itself. Raises DistillError where there is none."""
    if reverse and not (source / IN_RUN_REVERSE).is_file():
        raise DistillError(
            f"{source}: no {IN_RUN_REVERSE} in it: the other way (--reverse, or :b2a of a method) needs the"
            " folder of a run of distill train-cyclegan"
        )
    if reverse:
        return source / IN_RUN_REVERSE
    if not source.is_dir():
        return source  # the reader reports a file that is missing
    names = [name for kind in reversed(KINDS) for name in kind.in_run]
    for name in names:
        if (source / name).is_file():
            return source / name
    commands = [command for kind in reversed(KINDS) for command in kind.trained_by]
    raise DistillError(
        f"{source}: no {' nor '.join(names)} in this folder; name a run of distill"
        f" {', '.join(commands[:-1])} or {commands[-1]}, or a file"
    )


def resolve_student_precision(precision: Precision, device: str | torch.device) -> Format:
    """Turn "auto" into bfloat16 on GPUs that multiply it, else float32. Raises DistillError for another name."""
    if precision not in get_args(Precision):
        raise DistillError(f"precision {precision!r} is not one of {', '.join(get_args(Precision))}")
    if precision != "auto":
        return precision
    on_gpu = torch.device(device).type == "cuda"
    return "bf16" if on_gpu and torch.cuda.get_device_capability(device)[0] >= 8 else "fp32"


def _parse(text: str) -> StudentFacts:
    try:
        return _FACTS.validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in found["loc"]) or "they"
        raise UnsupportedCheckpoint(
            f"facts about the student: {shown(place)}: {shown(found['msg'])}"
        ) from error


def _check_channels(facts: StudentFacts, shape: StudentShape) -> None:
    """Raise UnsupportedCheckpoint where facts speak of other images or conditions than the network takes."""
    channels = RGB * len(facts.inputs)
    if facts.inputs and channels != shape.inputs:
        raise UnsupportedCheckpoint(
            f"facts about the student: inputs {', '.join(facts.inputs)} make {channels} channels, "
            f"the network takes {shape.inputs}"
        )
    planes = shape.conditions if isinstance(shape, ConditionedShape) else 0
    if len(facts.conditions) != planes:
        names = (
            f" ({', '.join(condition.name for condition in facts.conditions)})" if facts.conditions else ""
        )
        raise UnsupportedCheckpoint(
            f"facts about the student: {len(facts.conditions)} conditions{names}, the network takes {planes}"
        )
