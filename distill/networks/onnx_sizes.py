"""What a user's ONNX graph would cost: the size of every value and the work of every node, known before it runs."""

from __future__ import annotations

import math
from typing import Any

from distill.errors import UnsupportedCheckpoint
from distill.weights.safe_pickle.machine import shown

FEW, MORE = 2, 4  # images at which an open batch is looked at: what grows faster than they do shows
MOST_ELEMENTS = 2**26  # of one value of one image: 256 MiB of float32
MOST_WORK = 2**38  # multiplications for one image; the largest vision transformers need 2**37.5

Sizes = dict[str, list[int]]


def check_sizes(model: Any) -> None:
    """Raise UnsupportedCheckpoint where a size is huge or depends on what an image shows, or where work has no end.

    Raises what onnx raises for a graph that is not valid.
    """
    sizes = _sizes_of(model, FEW)
    more = _sizes_of(model, MORE)
    work = 0
    for node in model.graph.node:
        for name in filter(None, node.output):
            if name not in sizes or name not in more:
                raise UnsupportedCheckpoint(f"the size of {shown(name)} ({shown(node.op_type)}) is not fixed")
            if math.prod(sizes[name]) > MOST_ELEMENTS * FEW:
                raise UnsupportedCheckpoint(f"{shown(name)} has {sizes[name]} numbers; too large")
            if math.prod(more[name]) * FEW > math.prod(sizes[name]) * MORE:
                raise UnsupportedCheckpoint(f"{shown(name)} grows faster than the number of images")
        work += _work(node, sizes)
    if work > MOST_WORK * FEW:
        raise UnsupportedCheckpoint(
            f"it multiplies {work // FEW:,} times an image; at most {MOST_WORK:,} are run"
        )


def _sizes_of(model: Any, images: int) -> Sizes:
    """Infer the size of every value at this many images, of those whose size is fixed."""
    import onnx

    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    _fix_batch(fixed.graph, images)
    inferred = onnx.shape_inference.infer_shapes(fixed, check_type=True, strict_mode=True, data_prop=True)
    graph = inferred.graph
    sizes: Sizes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        found = _sizes(value)
        if found is not None:
            sizes[value.name] = found
    return sizes


def _fix_batch(graph: Any, images: int) -> None:
    """Give open sizes at the front of the inputs a number, and take those of the outputs away."""
    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        shape = value.type.tensor_type.shape
        if value.name not in constants and shape.dim and not shape.dim[0].dim_value:
            shape.dim[0].dim_value = images
    for value in graph.output:  # said once more, perhaps of another number of images
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")


def _sizes(value: Any) -> list[int] | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape") or not all(dim.HasField("dim_value") for dim in kind.shape.dim):
        return None
    return [int(dim.dim_value) for dim in kind.shape.dim]


def _work(node: Any, sizes: Sizes) -> int:
    """Count multiplications: the numbers that come out, times those that each is a sum of."""
    out = sum(math.prod(sizes[name]) for name in filter(None, node.output))
    inputs = [sizes.get(name, []) for name in node.input]
    match node.op_type:
        case "MatMul" | "Gemm" if inputs and inputs[0]:
            return out * max(inputs[0])
        case "Conv" | "ConvTranspose" if len(inputs) > 1 and inputs[1]:
            return out * (math.prod(inputs[1]) // max(1, min(inputs[1][:2])))
        case "Einsum":
            return math.prod(max(1, math.prod(each)) for each in inputs)
    return max(out, sum(map(math.prod, inputs)))
