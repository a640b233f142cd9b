"""A student in a file and at work: a generator of Pix2PixHD or CycleGAN, what is known about it, images in and out.

Training writes these files; translation, export and evaluation read them. Published `.pth` files are students too:
they hold tensors alone, so all that is known of them is their architecture. Shapes: N samples, C channels, H W image.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Annotated, Literal, get_args

import torch
from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from torch import Tensor, nn

from distill.devices import DTYPES, Format, resolve_device
from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.pix2pixhd import Architecture, GlobalGenerator, LocalEnhancer
from distill.networks.pix2pixhd_files import GeneratorFile, read_generator, save_safetensors
from distill.weights.by_name import path_by_name
from distill.weights.safe_pickle.machine import shown

Precision = Literal["auto", "fp32", "bf16", "fp16"]
NormStatistics = Literal["running", "batch"]
IN_RUN = (  # of a run's folder, the first that is there
    *("student-best.safetensors", "student.safetensors"),
    "a2b.safetensors",  # of a CycleGAN
)
IN_RUN_REVERSE = "b2a.safetensors"  # its other translator
RGB = 3
PUBLIC_STATISTICS = {  # of a published file with batch normalisation
    "running": "batch normalisation by the running means of its training; the public test.py, which never calls"
    " .eval(), normalises each image by itself: --norm-statistics batch",
    "batch": "batch normalisation by each image's own statistics, as the public test.py has it",
}
KEY = "student"  # of the facts among the file's texts

Text = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
StudentNetwork = GlobalGenerator | LocalEnhancer
Name = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
Number = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class StudentFacts:
    """What a user and other programs should know about a student; all unknown for a published `.pth`.

    inputs: roles in the order of the channels; target: the role it was taught. resolution: height of the training
    images in px, and width, where they are no squares. data_digest: of the recipe of its data. selected_by: the
    scorer that chose its pairs, as the recipe names it, empty where none did. generator: the teacher. val_fraction,
    seed: the split into trained and held-out. kimg: thousands of samples seen. perceptual: features of that loss.
    scores: on held-out.
    """

    task: Text | None = None
    inputs: tuple[Name, ...] = ()
    target: Name | None = None
    resolution: Annotated[int, Field(ge=1, le=1 << 16)] | None = None
    width: Annotated[int, Field(ge=1, le=1 << 16)] | None = None
    data_digest: Text | None = None
    selected_by: dict[Name, Text] | None = None
    generator: Text | None = None
    val_fraction: Annotated[float, Field(ge=0, lt=1)] | None = None
    seed: int | None = None
    kimg: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    preset: Text | None = None
    perceptual: Text | None = None
    scores: dict[Name, Number] = field(default_factory=dict)

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)


_FACTS = TypeAdapter(StudentFacts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Student:
    """A loaded student: call it with images. `path` is the file it came from.

    `norm_statistics`: what batch normalisation goes by, "running" means of training or, "batch", each image's own.
    """

    network: StudentNetwork
    facts: StudentFacts
    path: Path
    device: torch.device
    precision: Format = "fp32"
    norm_statistics: NormStatistics = "running"

    @property
    def architecture(self) -> Architecture:
        return self.network.architecture

    @property
    def input_channels(self) -> int:
        return self.architecture.inputs

    @property
    def input_count(self) -> int:
        """RGB images that make up one input."""
        return self.input_channels // RGB

    def notes(self, size: int | None = None, *, chosen: bool = True) -> list[str]:
        """Say what its user may not expect of it: at `size` px, `chosen` by the user or not; None: at any size."""
        lines, trained = [], self.facts.resolution
        if self.architecture.norm == "batch" and self.facts == StudentFacts():
            lines.append(PUBLIC_STATISTICS[self.norm_statistics])
        if size is not None and trained is not None and trained != size:
            lines.append(f"the student was trained at {trained} px and now runs at {size}")
        elif size is not None and trained is None and not chosen:
            lines.append(f"the file does not say at what size it was trained; it runs at {size} px")
        return lines

    @torch.inference_mode()
    def __call__(self, images_NCHW: Tensor) -> Tensor:
        """Translate images [N, C, H, W] in [-1, 1], from any device: float32 [N, 3, H, W] on the student's.

        The inputs of a sample are joined along C, in the order of `facts.inputs`. Raises DistillError for another
        shape, and for sides that the network's halvings do not divide.
        """
        if images_NCHW.ndim != 4:
            raise DistillError(f"images [N, C, H, W] are needed, not {list(images_NCHW.shape)}")
        self.architecture.check_inputs(images_NCHW.shape[1])
        self.architecture.check_sides(*images_NCHW.shape[2:])
        x = images_NCHW.to(self.device, torch.float32, memory_format=torch.channels_last)
        dtype = DTYPES[self.precision]
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not torch.float32):
            y: Tensor = self.network(x)
        return y.float()


def save_student(path: Path, network: StudentNetwork, facts: StudentFacts, *, half: bool = False) -> None:
    """Write a student as safetensors, `half` in float16, the same bytes every time. Whole or not at all.

    Raises DistillError for facts that would not be read back, or where the file cannot be written; DiskFull.
    """
    text = json.dumps(
        {name: value for name, value in asdict(facts).items() if value is not None}, sort_keys=True
    )
    try:
        _parse(text, network.architecture)
    except UnsupportedCheckpoint as error:
        raise DistillError(f"{path}: {error}") from error
    save_safetensors(path, network, {KEY: text}, half=half)


def load_student(
    source: str | PathLike[str],
    *,
    device: str = "cpu",
    precision: Precision = "auto",
    norm_statistics: NormStatistics = "running",
    reverse: bool = False,
) -> Student:
    """Load a student by its name in the table (a str), from a run's folder, a safetensors file or a published `.pth`.

    Of a folder, the best checkpoint counts, else the last; of a CycleGAN's, a → b, or b → a with `reverse`.
    `precision` "auto" is bfloat16 on GPUs that multiply it, float32 elsewhere. `norm_statistics` "batch" is for
    networks with batch normalisation alone.
    Raises DistillError, UnsafePickle, UnsupportedCheckpoint: one line that starts with the path.
    """
    device = resolve_device(device)
    kind = resolve_student_precision(precision, device)
    path = student_file(path_by_name(source, "student"), reverse=reverse)
    network, facts = _opened(path, norm_statistics)
    network = network.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Student(
        network=network,
        facts=facts,
        path=path,
        device=torch.device(device),
        precision=kind,
        norm_statistics=norm_statistics,
    )


def _opened(path: Path, norm_statistics: NormStatistics) -> tuple[StudentNetwork, StudentFacts]:
    """Read a file of any kind of network that students are. Raises as `load_student`."""
    file = read_generator(path)
    try:
        _check_channels(file.architecture)
        facts = read_facts(file)
        network = file.network()
        if norm_statistics == "batch":
            use_own_statistics(network)
    except DistillError as error:
        raise type(error)(f"{path}: {error}") from error
    return network, facts


def use_own_statistics(network: StudentNetwork) -> None:
    """Let batch normalisation go by the statistics of each image, as it does in training mode at one image a batch.

    So no image sees the others of its batch. Raises DistillError for a network that has none.
    """
    if network.architecture.norm != "batch":
        raise DistillError(
            "--norm-statistics batch is for networks with batch normalisation; this one has none"
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
            f"{source}: --reverse is for the folder of a run of distill train-cyclegan, which holds {IN_RUN_REVERSE}"
        )
    if reverse:
        return source / IN_RUN_REVERSE
    if not source.is_dir():
        return source  # what is not there is told by the reader
    for name in IN_RUN:
        if (source / name).is_file():
            return source / name
    raise DistillError(
        f"{source}: no {' nor '.join(IN_RUN)} in this folder; name a run of distill train-pix2pix or train-cyclegan,"
        " or a file"
    )


def read_facts(file: GeneratorFile) -> StudentFacts:
    """Read the facts among a file's texts; none where there are none. Raises UnsupportedCheckpoint for bad ones."""
    text = file.facts.get(KEY)
    return StudentFacts() if text is None else _parse(text, file.architecture)


def resolve_student_precision(precision: Precision, device: str | torch.device) -> Format:
    """Turn "auto" into bfloat16 on GPUs that multiply it, else float32. Raises DistillError for another name."""
    if precision not in get_args(Precision):
        raise DistillError(f"precision {precision!r} is none of {', '.join(get_args(Precision))}")
    if precision != "auto":
        return precision
    on_gpu = torch.device(device).type == "cuda"
    return "bf16" if on_gpu and torch.cuda.get_device_capability(device)[0] >= 8 else "fp32"


def _check_channels(architecture: Architecture) -> None:
    if architecture.inputs % RGB or architecture.outputs != RGB:
        raise UnsupportedCheckpoint(
            f"from {architecture.inputs} to {architecture.outputs} channels: not a network from RGB images to one"
        )


def _parse(text: str, architecture: Architecture) -> StudentFacts:
    try:
        facts = _FACTS.validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in found["loc"]) or "they"
        raise UnsupportedCheckpoint(
            f"facts about the student: {shown(place)}: {shown(found['msg'])}"
        ) from error
    channels = RGB * len(facts.inputs)
    if facts.inputs and channels != architecture.inputs:
        raise UnsupportedCheckpoint(
            f"facts about the student: inputs {', '.join(facts.inputs)} make {channels} channels, "
            f"the network takes {architecture.inputs}"
        )
    return facts
