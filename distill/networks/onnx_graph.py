"""An ONNX file → its graph as plain values: nodes in order, constants, the shape of its input. Nothing runs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.onnx_wire import Message, read_model

MAX_FILE = 2**30  # bytes
MOST_NODES = 10_000
MOST_DIMS = 8
OPSETS = range(13, 24)  # what the operators here mean changed before, and may change after
FLOAT, INT64 = 1, 7  # TensorProto.DataType
NUMPY = {FLOAT: "<f4", INT64: "<i8"}
ATTRIBUTES = {
    1: "f",
    2: "i",
    3: "s",
    4: "t",
    6: "floats",
    7: "ints",
}  # AttributeProto.AttributeType → its field
Array = NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operator: the names of its inputs ("" is an optional one left out), of its output, its attributes."""

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any]  # int, float, str, list of them, or an array

    @property
    def label(self) -> str:
        return f"{self.operator} node {self.output!r}"


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Nodes in the order of computation; `input_shape` has None for a size that the file leaves open."""

    input: str
    input_shape: tuple[int | None, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]  # float32 or int64
    opset: int

    def giving(self, outputs: Sequence[str]) -> Graph:
        """Return the graph with these values as outputs, and only the nodes that they need."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if node.output in needed:
                needed.update(node.inputs)
                nodes.append(node)
        graph = replace(self, outputs=tuple(outputs), nodes=tuple(reversed(nodes)))
        _check_order(graph.nodes, {self.input, *self.constants}, graph.outputs)
        return graph


def read_graph(path: Path) -> Graph:
    """Read an ONNX file. Raises DistillError in one line that starts with the path."""
    return parse_graph(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """Return the content of a file of at most 1 GiB. Raises DistillError."""
    try:
        if not path.is_file():
            raise DistillError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not 0 < size <= MAX_FILE:
                raise UnsupportedCheckpoint(f"{path}: {size:,} bytes; an ONNX file has 1 to {MAX_FILE:,}")
            return file.read(size)
    except OSError as error:
        raise DistillError(f"{path}: cannot be read ({error.strerror or error})") from error


def parse_graph(data: bytes, what: str) -> Graph:
    """Check and return the graph of an ONNX file's content; `what` starts the line of an error."""
    try:
        return _graph(read_model(memoryview(data)))
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{what}: not an ONNX network that is read here: {error}") from error


def _graph(model: Message) -> Graph:
    if len(model["graph"]) != 1:
        raise UnsupportedCheckpoint(f"it holds {len(model['graph'])} graphs, not 1")
    graph = model["graph"][0]
    if len(graph["node"]) > MOST_NODES:
        raise UnsupportedCheckpoint(f"{len(graph['node'])} nodes; {MOST_NODES} at most")
    constants: dict[str, Array] = {}
    for tensor in graph["initializer"]:
        name = tensor.one("name", "")
        if not name or name in constants:
            raise UnsupportedCheckpoint(
                f"two constants are called {name!r}" if name else "a constant has no name"
            )
        constants[name] = _array(tensor, f"constant {name!r}")
    name, shape = _input(graph, constants)
    nodes = tuple(_node(node) for node in graph["node"])
    outputs = tuple(value.one("name", "") for value in graph["output"])
    _check_order(nodes, {name, *constants}, outputs)
    return Graph(
        input=name, input_shape=shape, outputs=outputs, nodes=nodes, constants=constants, opset=_opset(model)
    )


def _opset(model: Message) -> int:
    versions = [
        item.one("version", 0) for item in model["opset_import"] if item.one("domain", "") in ("", "ai.onnx")
    ]
    if len(versions) != 1 or versions[0] not in OPSETS:
        raise UnsupportedCheckpoint(
            f"its operator set is {versions[0] if versions else 'not named'}; "
            f"{OPSETS.start} to {OPSETS.stop - 1} are read"
        )
    return int(versions[0])


def _input(graph: Message, constants: Mapping[str, Array]) -> tuple[str, tuple[int | None, ...]]:
    """Return the name and shape of the one input that is no constant (old files list constants as inputs)."""
    inputs = [value for value in graph["input"] if value.one("name", "") not in constants]
    if len(inputs) != 1:
        raise UnsupportedCheckpoint(f"it has {len(inputs)} inputs, not 1")
    name = inputs[0].one("name", "")
    tensor = inputs[0].one("type", Message()).one("tensor_type", Message())
    if tensor.one("elem_type") != FLOAT:
        raise UnsupportedCheckpoint(f"its input {name!r} is not float32")
    sizes = [dim.one("dim_value") for dim in tensor.one("shape", Message())["dim"]]
    if any(size is not None and not 0 < size < 2**31 for size in sizes):
        raise UnsupportedCheckpoint(f"its input {name!r} has shape {sizes}")
    return name, tuple(sizes)


def _node(message: Message) -> Node:
    operator = message.one("op_type", "")
    outputs = message["output"]
    if message.one("domain", "") not in ("", "ai.onnx"):
        raise UnsupportedCheckpoint(f"operator {message.one('domain')}.{operator} is not supported")
    if len(outputs) != 1 or not outputs[0]:
        raise UnsupportedCheckpoint(f"a node {operator} has {len(outputs)} outputs; 1 is supported")
    attributes: dict[str, Any] = {}
    for item in message["attribute"]:
        name = item.one("name", "")
        if name in attributes:
            raise UnsupportedCheckpoint(f"{operator} node {outputs[0]!r} has two attributes {name!r}")
        attributes[name] = _attribute(item, f"attribute {name!r} of {operator} node {outputs[0]!r}")
    return Node(operator=operator, inputs=tuple(message["input"]), output=outputs[0], attributes=attributes)


def _attribute(item: Message, what: str) -> Any:
    field = ATTRIBUTES.get(item.one("type", 0))
    if field is None:
        raise UnsupportedCheckpoint(f"{what} is of type {item.one('type', 0)}, which is not supported")
    if field in ("floats", "ints"):
        return item[field]
    if field == "t":
        return _array(item.one("t", Message()), what)
    return item.one(field, {"f": 0.0, "i": 0, "s": ""}[field])


def _array(tensor: Message, what: str) -> Array:
    """Return a constant [dims], float32 or int64; all sizes are checked before anything is made."""
    dims, kind = tensor["dims"], tensor.one("data_type", 0)
    if kind not in NUMPY or tensor.one("data_location", 0) != 0:
        raise UnsupportedCheckpoint(
            f"{what} has data type {kind}; float32 (1) and int64 (7) in the file are read"
        )
    if len(dims) > MOST_DIMS or any(size < 0 for size in dims):
        raise UnsupportedCheckpoint(f"{what} has shape {dims[:MOST_DIMS]}")
    dtype = np.dtype(NUMPY[kind])
    if tensor["raw_data"]:
        data = tensor.one("raw_data")
        if len(data) != math.prod(dims) * dtype.itemsize:
            raise UnsupportedCheckpoint(f"{what} of shape {dims} has {len(data)} bytes")
        values = np.frombuffer(data, dtype=dtype)
    elif kind == FLOAT:
        values = np.concatenate([np.empty(0, dtype), *tensor["float_data"]])
    else:
        values = np.array(tensor["int64_data"], dtype=dtype)
    if values.size != math.prod(dims):
        raise UnsupportedCheckpoint(f"{what} of shape {dims} has {values.size} values")
    if not np.isfinite(values).all():
        raise UnsupportedCheckpoint(f"{what} holds numbers that are not finite")
    return values.reshape(dims).copy()


def _check_order(nodes: tuple[Node, ...], known: set[str], outputs: tuple[str, ...]) -> None:
    """Refuse a graph whose nodes use what is not computed yet, or compute a value twice."""
    for node in nodes:
        missing = [name for name in node.inputs if name and name not in known]
        if missing:
            raise UnsupportedCheckpoint(f"{node.label} uses {missing[0]!r}, which nothing before it gives")
        if node.output in known:
            raise UnsupportedCheckpoint(f"{node.label} gives a value that is there already")
        known.add(node.output)
    missing = [name for name in outputs if name not in known]
    if missing or not outputs:
        raise UnsupportedCheckpoint(
            f"its output {missing[0]!r} is never computed" if missing else "it has no output"
        )
