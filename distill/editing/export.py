"""A student for other runtimes, as ONNX, and as a file of half the size. Both compared with it before being written.

The ONNX graph is built here, not traced: it has one node for each layer and the tensors' public names, any batch size
and any image size that the network takes, and needs no exporter.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distill.errors import DistillError
from distill.files import check_file, made_folder, write_result
from distill.networks.pix2pixhd import GlobalGenerator, LocalEnhancer, ResidualBlock
from distill.networks.stargan import EditedStarGAN, StarGANBlock
from distill.networks.student import Student, load_student, save_student, shape_of
from distill.networks.student_kinds import kind_of_network

OPSET, IR_VERSION = 17, 8  # read by ONNX Runtime since 1.12 (2022)
TOLERANCE = 1e-4  # of pixels in [-1, 1]: a hundredth of an 8-bit step is 8e-5
MAX_PROTOBUF = 2**31 - 1  # bytes of one ONNX file
INPUT, OUTPUT = "images", "image"

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class ExportedStudent:
    """What was written, and how far its pixels in [-1, 1] are from the student's at most."""

    path: Path
    size: int  # bytes
    difference: float


def export_half(student: Student, path: Path) -> ExportedStudent:
    """Write a student in float16, whole or not at all: half the size, to be read as any other student.

    The file is read back and compared before it takes its name. Raises DistillError where a weight is beyond float16,
    where batch normalisation goes by each image, and where the file cannot be written.
    """
    check_file(path, overwrite=True)
    if student.norm_statistics == "batch":
        raise DistillError(
            "--norm-statistics batch goes with --to onnx: a float16 file keeps the running means, and whoever uses it"
            " chooses (translate --norm-statistics batch)"
        )
    _check_edit(student)
    network = copy.deepcopy(student.network).cpu().float()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not tensor.half().isfinite().all():
            raise DistillError(f"{student.path}: {name} is beyond what float16 holds: not written")
    with made_folder(path.parent), TemporaryDirectory(dir=path.parent, prefix=".") as aside:
        written = Path(aside) / path.name
        save_student(written, network, replace(student.facts, edit=student.edit or None), half=True)
        read = load_student(written, precision="fp32")
        difference = _difference(student, network, lambda x: read(torch.from_numpy(x)).numpy())
        written.replace(path)
    return ExportedStudent(path=path, size=path.stat().st_size, difference=difference)


def export_student(student: Student, path: Path) -> ExportedStudent:
    """Write a student as ONNX, whole or not at all, after comparing it with PyTorch at two image sizes.

    Takes images [batch, C, height, width] in [-1, 1], gives [batch, 3, height, width]; batch and sizes are free.
    Raises DistillError where a package is missing, where the results differ by more than 1e-4, or where the file
    cannot be written.
    """
    check_file(path, overwrite=True)
    _check_edit(student)
    network = copy.deepcopy(student.network).cpu().float()
    data, run = _onnx(network, _texts(student))
    difference = _difference(student, network, run)
    if not difference <= TOLERANCE:
        raise DistillError(
            f"{student.path}: as ONNX its pixels differ from PyTorch's by {difference:.2g}, "
            f"more than {TOLERANCE:g}: not written"
        )
    write_result(path, data)
    return ExportedStudent(path=path, size=len(data), difference=difference)


def _check_edit(student: Student) -> None:
    """Raise DistillError for an edit that leaves something to a critic, which is not in the file."""
    if isinstance(student.network, EditedStarGAN) and student.network.critic is not None:
        raise DistillError(
            f"{student.path}: {student.about_edit[-1]}, and the critic does not come along: name all in --edit"
        )


def _texts(student: Student) -> dict[str, str]:
    """What whoever runs the file must know."""
    roles = ", ".join(student.facts.inputs) or f"{student.input_count} RGB images"
    return {
        "format": kind_of_network(student.network).form,
        "images": f"float32 [batch, {student.input_channels}, height, width] in [-1, 1]: {roles}, joined along C",
        "side_multiple": str(student.architecture.side_multiple),
        **({"edit": student.edit} if student.edit else {}),
        "student": json.dumps(
            {name: value for name, value in asdict(student.facts).items() if value is not None}
        ),
    }


def _difference(student: Student, network: nn.Module, run: Run) -> float:
    """The largest difference of a pixel, over a batch of two squares and one oblong image."""
    multiple = student.architecture.side_multiple
    side = max(8 * multiple, 64 // multiple * multiple)
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for shape in ((2, side, side), (1, side, side + multiple)):
        x = torch.rand(shape[0], student.input_channels, *shape[1:], generator=generator) * 2 - 1
        with torch.inference_mode():
            expected = network(x).numpy()
        found = run(x.numpy())
        if found.shape != expected.shape:
            return float("inf")
        worst = max(worst, float(np.nan_to_num(np.abs(found - expected), nan=np.inf).max()))
    return worst


def _onnx(network: nn.Module, texts: dict[str, str]) -> tuple[bytes, Run]:
    onnx, runtime = _packages()
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    if size > MAX_PROTOBUF - (1 << 20):
        raise DistillError(f"{size:,} bytes of weights: an ONNX file holds 2 GB")
    model = _Graph(onnx).model(network, shape_of(network).inputs, texts)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(session.run([OUTPUT], {INPUT: x})[0])

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


class _Graph:
    """Collects nodes and tensors of a generator; values are named by the module that makes them."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.tensors: dict[str, Any] = {}

    def model(self, network: nn.Module, inputs: int, texts: dict[str, str]) -> Any:
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        last = self.network(network)
        self.node("Tanh", [last], OUTPUT)
        sides = ["batch", None, "height", "width"]
        graph = helper.make_graph(
            self.nodes,
            "student",
            [helper.make_tensor_value_info(INPUT, kind, [*sides[:1], inputs, *sides[2:]])],
            [helper.make_tensor_value_info(OUTPUT, kind, [*sides[:1], 3, *sides[2:]])],
            initializer=list(self.tensors.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, producer_name="distill", ir_version=IR_VERSION, opset_imports=[opset]
        )
        helper.set_model_props(model, texts)
        return model

    def network(self, network: nn.Module) -> str:
        """All layers but the tanh that each kind ends with."""
        match network:
            case LocalEnhancer():
                return self.enhanced(network)
            case GlobalGenerator():
                return self.chain("model", network.model, INPUT)
            case EditedStarGAN():
                return self.chain("main", network.generator.body, self.with_labels(network))
        raise TypeError(f"no ONNX for {type(network).__name__}")

    def with_labels(self, network: EditedStarGAN) -> str:
        """Join the labels to the images, each a constant plane: a convolution of weights 0 gives its bias."""
        wanted = _numbers(network.get_buffer("wanted"))
        zeros = self.tensor("labels.weight", np.zeros((len(wanted), 3, 1, 1), np.float32))
        planes = self.node("Conv", [INPUT, zeros, self.tensor("labels.bias", wanted)], "labels")
        return self.node("Concat", [INPUT, planes], "labelled", axis=1)

    def enhanced(self, network: LocalEnhancer) -> str:
        """As `LocalEnhancer.forward`."""
        pyramid = [INPUT]
        for n in range(network.architecture.enhancers):
            window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 0}
            pyramid.append(self.node("AveragePool", [pyramid[-1]], f"halved{n + 1}", **window))
        x = self.chain("model", network.model, pyramid.pop())
        for n in range(1, network.architecture.enhancers + 1):
            down, up = network.enhancer(n)
            inner = self.chain(f"model{n}_1", down, pyramid.pop())
            x = self.chain(f"model{n}_2", up, self.node("Add", [inner, x], f"model{n}"))
        return x

    def chain(self, prefix: str, layers: nn.Sequential, x: str) -> str:
        for name, layer in layers.named_children():
            x = self.layer(f"{prefix}.{name}", layer, x)
        return x

    def layer(self, name: str, layer: nn.Module, x: str) -> str:
        match layer:
            case ResidualBlock():
                return self.node("Add", [x, self.chain(f"{name}.conv_block", layer.conv_block, x)], name)
            case StarGANBlock():
                return self.node("Add", [x, self.chain(f"{name}.main", layer.main, x)], name)
            case nn.ReflectionPad2d():
                left, right, top, bottom = layer.padding
                pads = self.tensor(f"pads{left}", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
                return self.node("Pad", [x, pads], name, mode="reflect")
            case nn.Conv2d() | nn.ConvTranspose2d():
                return self.convolution(name, layer, x)
            case nn.InstanceNorm2d():
                scales = [self.tensor(*pair) for pair in _scales(name, layer)]
                return self.node("InstanceNormalization", [x, *scales], name, epsilon=layer.eps)
            case nn.BatchNorm2d():
                parts = ("weight", "bias", "running_mean", "running_var")
                numbers = [self.tensor(f"{name}.{part}", _numbers(getattr(layer, part))) for part in parts]
                return self.node("BatchNormalization", [x, *numbers], name, epsilon=layer.eps)
            case nn.ReLU():
                return self.node("Relu", [x], name)
        raise TypeError(f"{name}: no ONNX for {type(layer).__name__}")

    def convolution(self, name: str, layer: nn.Conv2d | nn.ConvTranspose2d, x: str) -> str:
        shape: dict[str, Any] = {
            "kernel_shape": list(layer.kernel_size),
            "strides": list(layer.stride),
            "pads": [int(side) for side in layer.padding] * 2,
        }
        if isinstance(layer, nn.ConvTranspose2d):
            shape["output_padding"] = list(layer.output_padding)
        numbers = [
            self.tensor(f"{name}.{part}", _numbers(tensor))
            for part, tensor in (("weight", layer.weight), ("bias", layer.bias))
            if tensor is not None
        ]
        kind = "ConvTranspose" if isinstance(layer, nn.ConvTranspose2d) else "Conv"
        return self.node(kind, [x, *numbers], name, **shape)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def tensor(self, name: str, values: NDArray[Any]) -> str:
        if name not in self.tensors:
            self.tensors[name] = self.onnx.numpy_helper.from_array(values, name)
        return name


def _scales(name: str, layer: nn.InstanceNorm2d) -> list[tuple[str, NDArray[np.float32]]]:
    """Scale and shift of each channel, by name: the layer's own, else 1 and 0."""
    if layer.affine:
        return [(f"{name}.{part}", _numbers(getattr(layer, part))) for part in ("weight", "bias")]
    count = layer.num_features
    return [(f"ones{count}", np.ones(count, np.float32)), (f"zeros{count}", np.zeros(count, np.float32))]


def _numbers(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().numpy())
