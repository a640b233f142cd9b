"""An ONNX file as a torch module: batched, on any device, differentiable, without onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.errors import UnsupportedCheckpoint
from distill.networks.onnx_graph import Graph, parse_graph, read_bytes
from distill.networks.onnx_operators import SETTLED, make_operator

MOST_ELEMENTS = 2**26  # of one value of one image: 256 MiB
PROBE = 3  # images of the rehearsal; any number that a shape in the file is unlikely to have


def load_onnx(path: Path) -> OnnxNetwork:
    """Read a network out of an ONNX file. Raises DistillError in one line that starts with the path."""
    return network_of(read_bytes(path), str(path))


def network_of(data: bytes, what: str, *, outputs: Sequence[str] = ()) -> OnnxNetwork:
    """Build the network of an ONNX file's content; `what` starts the line of an error.

    `outputs` are values of the graph to give instead of its own outputs, such as the logits before a softmax.
    """
    graph = parse_graph(data, what)
    try:
        return OnnxNetwork(graph.giving(outputs) if outputs else graph)
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{what}: {error}") from error


class OnnxNetwork(nn.Module):
    """Images float32 [N, *input_shape] → {output: float32 [N, …]}, computed as the file says.

    The shapes of all values are rehearsed when it is built, without computing. Raises UnsupportedCheckpoint for
    operators and attributes that are not supported, by name, and for shapes that do not fit.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        if len(graph.input_shape) < 2 or None in graph.input_shape[1:]:
            raise UnsupportedCheckpoint(
                f"input {graph.input!r} has shape {list(graph.input_shape)}; all sizes but the first must be fixed"
            )
        self.graph = graph
        self.input_shape = tuple(size for size in graph.input_shape[1:] if size is not None)
        self.computes = [make_operator(node, graph.constants) for node in graph.nodes]
        self.operands = [
            [name for place, name in enumerate(node.inputs) if place not in SETTLED.get(node.operator, ())]
            for node in graph.nodes
        ]
        self.last_use = {name: number for number, names in enumerate(self.operands) for name in names}
        self.weights = [name for name in graph.constants if name in self.last_use or name in graph.outputs]
        for number, name in enumerate(self.weights):
            values = torch.from_numpy(graph.constants[name])
            if values.dtype != torch.float32:
                raise UnsupportedCheckpoint(
                    f"constant {name!r} takes part in the computation and is not float32"
                )
            self.register_buffer(f"constant{number}", values, persistent=False)
        self.output_shapes = self._rehearse()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if tuple(images.shape[1:]) != self.input_shape:
            raise UnsupportedCheckpoint(
                f"images of shape {list(images.shape[1:])} for a network of {list(self.input_shape)}"
            )
        return self._run(images, dict(zip(self.weights, self.buffers(), strict=True)))

    def _run(
        self,
        images: Tensor,
        weights: Mapping[str, Tensor],
        look: Callable[[str, Tensor], None] = lambda node, value: None,
    ) -> dict[str, Tensor]:
        values = {**weights, self.graph.input: images}
        for number, (node, compute) in enumerate(zip(self.graph.nodes, self.computes, strict=True)):
            names = self.operands[number]
            values[node.output] = compute(*(values[name] if name else None for name in names))
            look(node.label, values[node.output])
            for name in set(names) - {"", *self.graph.outputs}:
                if self.last_use[name] == number:
                    del values[name]  # frees the memory of what nothing needs any more
        return {name: values[name] for name in self.graph.outputs}

    def _rehearse(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each output of one image: a run on the device that has shapes and no numbers."""
        reached = "its input"

        def look(node: str, value: Tensor) -> None:
            nonlocal reached
            reached = node
            if value.numel() > PROBE * MOST_ELEMENTS:
                raise UnsupportedCheckpoint(f"{node} gives {list(value.shape[1:])} an image; too large")

        images = torch.empty((PROBE, *self.input_shape), device="meta")
        weights = {name: value.to("meta") for name, value in zip(self.weights, self.buffers(), strict=True)}
        try:
            outputs = self._run(images, weights, look)
        except (RuntimeError, IndexError, ValueError, TypeError, OverflowError) as error:
            detail = " ".join(str(error).split())[:160]
            raise UnsupportedCheckpoint(f"shapes do not fit after {reached}: {detail}") from error
        for name, value in outputs.items():
            if value.ndim < 1 or value.shape[0] != PROBE:
                raise UnsupportedCheckpoint(f"output {name!r} does not have one row an image")
        return {name: tuple(value.shape[1:]) for name, value in outputs.items()}
