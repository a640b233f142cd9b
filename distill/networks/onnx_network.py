"""A user's ONNX file as a torch module, run by onnxruntime on the CPU.

The file is checked before onnxruntime sees it: everything it needs lies in it, it is one plain graph, and no value of
one image is huge.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.files import open_regular
from distill.networks.onnx_sizes import check_sizes
from distill.weights.safe_pickle.machine import shown

MAX_FILE = 2**30  # bytes
MOST_CONSTANTS = (
    2**28
)  # numbers of one constant, sizes of 0 counted as 1: as many float32 as the file may have
MOST_INPUT, MOST_IMAGES = (
    2**24,
    256,
)  # numbers of one image that goes in, 2048 px and 4 channels; a fixed batch
PROBE = 2  # images that are tried when a file is opened
FATAL_ONLY = 4  # onnxruntime's log level; what it raises is reported in our words


def read_onnx_bytes(path: Path) -> bytes:
    """Return the content of a file of at most 1 GiB. Raises DistillError."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if not 0 < size <= MAX_FILE:
                raise UnsupportedCheckpoint(f"{path}: {size:,} bytes; an ONNX file has 1 to {MAX_FILE:,}")
            return file.read(size)
    except OSError as error:
        raise DistillError(f"{path}: cannot be read ({error.strerror or error})") from error


def open_onnx(data: bytes, what: str, *, outputs: Sequence[str] = ()) -> OnnxNetwork:
    """Build the network of an ONNX file's content; `what` starts the line of an error.

    `outputs` are values of the graph to give instead of its own outputs, such as the logits before a softmax. Raises
    DistillError where the extra `onnx` is not installed, UnsupportedCheckpoint for a file that does not run.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise DistillError(
            f"{what}: ONNX files are run by onnxruntime: pip install 'distill[onnx]'"
        ) from error
    try:
        try:
            model = onnx.load_from_string(data)
        except Exception as error:  # protobuf's own classes
            raise UnsupportedCheckpoint(f"not an ONNX file ({_brief(error)})") from error
        _check(model)
        return OnnxNetwork(_giving(model, outputs))
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{what}: {error}") from error


class OnnxNetwork(nn.Module):
    """Images float32 [N, *input_shape] → {output: float32 [N, …]}, on the device of the images.

    `endings` tells of each output the operator that gives it and its first input. Raises UnsupportedCheckpoint for a
    graph that onnxruntime does not run on two images.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        name, sizes = _input(model.graph)
        self.input, self.batch, self.input_shape = name, sizes[0], tuple(size or 0 for size in sizes[1:])
        self.outputs = [value.name for value in model.graph.output]
        makers = {output: node for node in model.graph.node for output in node.output}
        self.endings = {
            output: (makers[output].op_type, next(iter(makers[output].input), ""))
            for output in self.outputs
            if output in makers
        }
        self.session = _session(model)
        for output, value in self(torch.zeros(PROBE, *self.input_shape)).items():
            if value.ndim < 1 or value.shape[0] != PROBE:
                raise UnsupportedCheckpoint(f"output {shown(output)} does not have one row an image")

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if tuple(images.shape[1:]) != self.input_shape:
            raise UnsupportedCheckpoint(
                f"images of shape {list(images.shape[1:])} for a network of {list(self.input_shape)}"
            )
        parts = [self._run(part) for part in torch.split(images, self.batch or max(1, len(images)))]
        found = [np.concatenate(values)[: len(images)] for values in zip(*parts, strict=True)]
        return {
            name: torch.from_numpy(value).to(images.device)
            for name, value in zip(self.outputs, found, strict=True)
        }

    def _run(self, images: Tensor) -> list[Any]:
        """Run one part; one that is shorter than a fixed batch is filled up by its last image."""
        rows = np.minimum(np.arange(self.batch or len(images)), len(images) - 1)
        x = images.detach().cpu().float().numpy()[rows]
        try:
            return [np.atleast_1d(value) for value in self.session.run(self.outputs, {self.input: x})]
        except Exception as error:  # onnxruntime's own classes, which share no base
            raise UnsupportedCheckpoint(f"onnxruntime cannot run the network ({_brief(error)})") from error


def _session(model: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own classes, which share no base
        raise UnsupportedCheckpoint(f"onnxruntime does not take the network ({_brief(error)})") from error


def _check(model: Any) -> None:
    """Refuse what reaches outside the file, holds more than one plain graph, or asks for huge values."""
    import onnx

    graph = model.graph
    if model.functions or model.training_info or graph.sparse_initializer:
        raise UnsupportedCheckpoint(
            "it holds functions, training or sparse numbers; only a plain graph is run"
        )
    for tensor in _tensors(graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise UnsupportedCheckpoint(
                f"the numbers of {shown(tensor.name)} lie in another file; save them in it"
            )
        if math.prod(max(1, abs(size)) for size in tensor.dims) > MOST_CONSTANTS:
            raise UnsupportedCheckpoint(f"{shown(tensor.name)} has shape {list(tensor.dims)[:8]}; too large")
    try:
        onnx.checker.check_model(model)
        _input(graph)
        check_sizes(model)
    except UnsupportedCheckpoint:
        raise
    except Exception as error:  # the classes of onnx share no base
        raise UnsupportedCheckpoint(f"not a valid ONNX network ({_brief(error)})") from error


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield every constant. Raises UnsupportedCheckpoint for a graph within the graph: a loop may never end."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs or attribute.sparse_tensors:
                raise UnsupportedCheckpoint(
                    f"operator {shown(node.op_type)} has a graph of its own, which is not run"
                )
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t


def _input(graph: Any) -> tuple[str, list[int | None]]:
    """Return name and sizes (None: open) of the one input that is no constant."""
    import onnx

    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise UnsupportedCheckpoint(f"it has {len(inputs)} inputs, not 1")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        raise UnsupportedCheckpoint(f"its input {shown(inputs[0].name)} is not float32")
    sizes = [size.dim_value or None for size in tensor.shape.dim]
    what = f"its input {shown(inputs[0].name)} has shape {sizes}"
    if not sizes or not all(sizes[1:]):
        raise UnsupportedCheckpoint(f"{what}; all sizes but the first must be fixed")
    if (sizes[0] or 1) > MOST_IMAGES or math.prod(size or 1 for size in sizes[1:]) > MOST_INPUT:
        raise UnsupportedCheckpoint(f"{what}; too large for images")
    return inputs[0].name, sizes


def _giving(model: Any, outputs: Sequence[str]) -> Any:
    """Put other values in the place of the outputs."""
    import onnx

    known = {output for node in model.graph.node for output in node.output}
    if missing := [name for name in outputs if name not in known]:
        raise UnsupportedCheckpoint(f"its output {shown(missing[0])} is never computed")
    if outputs:
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    if not model.graph.output:
        raise UnsupportedCheckpoint("it has no output")
    return model


def _brief(error: Exception) -> str:
    return shown(" ".join(str(error).split()), 160)
