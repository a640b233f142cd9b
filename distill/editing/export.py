"""A student for other runtimes, as ONNX, and as a file of half the size. Both compared with it before being written.

The ONNX graph is built here, not traced: it has one node for each layer and the tensors' public names, any batch size
and any image size that the network takes, and needs no exporter.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from distill.editing.onnx_graph import CONDITION, INPUT, OUTPUT, StudentGraph
from distill.errors import DistillError
from distill.files import check_file, made_folder, write_result
from distill.networks.edits import EditCondition
from distill.networks.stargan import EditedStarGAN
from distill.networks.student import Student, load_student, save_student, shape_of
from distill.networks.student_kinds import kind_of_network

TOLERANCE = 1e-4  # of pixels in [-1, 1]: a hundredth of an 8-bit step is 8e-5
MAX_PROTOBUF = 2**31 - 1  # bytes of one ONNX file

Feed = dict[str, NDArray[np.float32]]  # inputs by name
Run = Callable[[Feed], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class ExportedStudent:
    """What was written, and how far its pixels in [-1, 1] are from the student's at most.

    `conditions`: those that an ONNX file takes as its second input.
    """

    path: Path
    size: int  # bytes
    difference: float
    conditions: tuple[EditCondition, ...] = ()


def export_half(student: Student, path: Path) -> ExportedStudent:
    """Write a student in float16, whole or not at all: half the size, to be read as any other student.

    The file is read back and compared before it takes its name. Raises DistillError where a weight is beyond float16,
    where batch normalisation goes by each image, and where the file cannot be written.
    """
    check_file(path, overwrite=True)
    if student.norm_statistics == "batch":
        raise DistillError(
            "--norm-statistics batch is for --to onnx: a float16 file keeps the running means, and translate chooses"
            " with its own --norm-statistics: leave it out here"
        )
    _check_edit(student)
    network = copy.deepcopy(student.network).cpu().float()
    _check_half(student, network)
    with made_folder(path.parent), TemporaryDirectory(dir=path.parent, prefix=".") as aside:
        written = Path(aside) / path.name
        save_student(written, network, replace(student.facts, edit=student.edit or None), half=True)
        read = load_student(written, precision="fp32")
        difference = _difference(student, network, lambda feed: read(torch.from_numpy(feed[INPUT])).numpy())
        written.replace(path)
    return ExportedStudent(path=path, size=path.stat().st_size, difference=difference)


def export_student(student: Student, path: Path, *, half: bool = False) -> ExportedStudent:
    """Write a student as ONNX, whole or not at all, after comparing it with PyTorch at two image sizes.

    Takes images [batch, C, height, width] in [-1, 1], gives [batch, 3, height, width]; the batch is free, and sizes
    are where the network takes many. A student of any strength that has no edit also takes condition [batch, K], in
    the units of its conditions, and is compared over their ranges. `half` stores weights in float16.
    Raises DistillError where a package is missing, where the results differ by more than 1e-4 (`half`: where a weight
    is beyond float16), or where the file cannot be written.
    """
    check_file(path, overwrite=True)
    _check_edit(student)
    network = copy.deepcopy(student.network).cpu().float()
    if half:
        _check_half(student, network)
    conditions = () if student.edit else student.facts.conditions
    data, run = _onnx(network, _texts(student, conditions), conditions, half=half)
    difference = _difference(student, network, run, conditions)
    if not half and not difference <= TOLERANCE:
        raise DistillError(
            f"{student.name}: as ONNX its pixels differ from PyTorch's by {difference:.2g}, "
            f"more than {TOLERANCE:g}: not written"
        )
    write_result(path, data)
    return ExportedStudent(path=path, size=len(data), difference=difference, conditions=conditions)


def _check_edit(student: Student) -> None:
    """Raise DistillError for an edit that leaves something to a critic, which is not in the file."""
    if isinstance(student.network, EditedStarGAN) and student.network.critic is not None:
        raise DistillError(
            f"{student.name}: {student.about_edit[-1]}; an exported file has no critic: name all attributes in --edit"
        )


def _check_half(student: Student, network: nn.Module) -> None:
    """Raise DistillError for a weight that is too large."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not tensor.half().isfinite().all():
            raise DistillError(f"{student.name}: {name} is beyond what float16 holds: not written")


def _texts(student: Student, conditions: Sequence[EditCondition]) -> dict[str, str]:
    """What whoever runs the file must know."""
    roles = ", ".join(student.facts.inputs) or f"{student.input_count} RGB images"
    return {
        "format": kind_of_network(student.network).form,
        "images": f"float32 [batch, {student.input_channels}, height, width] in [-1, 1]: {roles}, joined along C",
        "side_multiple": str(student.architecture.side_multiple),
        **({"edit": student.edit} if student.edit else {}),
        **(_condition_texts(conditions) if conditions else {}),
        "student": json.dumps(
            {name: value for name, value in asdict(student.facts).items() if value not in (None, ())}
        ),
    }


def _condition_texts(conditions: Sequence[EditCondition]) -> dict[str, str]:
    """What the second input is: the changes in order, with units and ranges."""
    names = ", ".join(f"{condition.name} ({condition.range_text})" for condition in conditions)
    return {
        "condition": f"float32 [batch, {len(conditions)}], 0 leaves as it is: {names}",
        "conditions": json.dumps([asdict(condition) for condition in conditions]),
    }


def _difference(
    student: Student, network: nn.Module, run: Run, conditions: Sequence[EditCondition] = ()
) -> float:
    """The largest difference of a pixel, over a batch of two squares and one oblong image, or of its only size.

    With `conditions` over all their ends, too.
    """
    multiple, sides = student.architecture.side_multiple, student.architecture.sides
    side = max(8 * multiple, 64 // multiple * multiple)
    shapes = ((2, *sides), (1, *sides)) if sides else ((2, side, side), (1, side, side + multiple))
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for shape in shapes:
        x = torch.rand(shape[0], student.input_channels, *shape[1:], generator=generator) * 2 - 1
        for units in _ends(conditions):
            given = (
                [torch.from_numpy(np.tile(units / _units_of(conditions), (len(x), 1)))] if conditions else []
            )
            with torch.inference_mode():
                expected = network(x, *given).numpy()
            feed = {INPUT: x.numpy()} | ({CONDITION: np.tile(units, (len(x), 1))} if conditions else {})
            found = run(feed)
            if found.shape != expected.shape:
                return float("inf")
            worst = max(worst, float(np.nan_to_num(np.abs(found - expected), nan=np.inf).max()))
    return worst


def _ends(conditions: Sequence[EditCondition]) -> list[NDArray[np.float32]]:
    """Changes [K] to compare at: none, each at either end of its range, all at both; one of no length without."""
    highs = _units_of(conditions)
    alone = np.diag(highs)
    return list(np.stack([np.zeros_like(highs), *([highs, -highs, *alone, *-alone] if conditions else [])]))


def _units_of(conditions: Sequence[EditCondition]) -> NDArray[np.float32]:
    """How much of each unit is 1 to the network, [K]."""
    return np.asarray([condition.high for condition in conditions], np.float32)


def _onnx(
    network: nn.Module, texts: dict[str, str], conditions: Sequence[EditCondition], *, half: bool
) -> tuple[bytes, Run]:
    onnx, runtime = _packages()
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    if size > MAX_PROTOBUF - (1 << 20):
        raise DistillError(f"{size:,} bytes of weights: an ONNX file holds 2 GB")
    model = StudentGraph(onnx, conditions, half=half).model(network, shape_of(network), texts)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def run(feed: Feed) -> NDArray[np.float32]:
        return np.asarray(session.run([OUTPUT], feed)[0])

    return data, run


def _packages() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise DistillError(
            f"export to ONNX needs the extra 'onnx': pip install 'distill[onnx]' ({error})"
        ) from error
    return onnx, onnxruntime
