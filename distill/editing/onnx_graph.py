"""The network of a student as an ONNX graph: a node for each layer, and the tensors' public names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from distill.errors import DistillError
from distill.networks.conditioned import ConditionedGenerator
from distill.networks.edits import EditCondition
from distill.networks.pix2pixhd import GlobalGenerator, LocalEnhancer, ResidualBlock
from distill.networks.stargan import EditedStarGAN, StarGANBlock
from distill.networks.student_kinds import kind_of_network
from distill.networks.student_shape import StudentShape
from distill.networks.vaegan import VAEGANAutoencoder

OPSET, IR_VERSION = 17, 8  # read by ONNX Runtime since 1.12 (2022)
INPUT, CONDITION, OUTPUT = "images", "condition", "image"


class StudentGraph:
    """Collects nodes and tensors of a generator; values are named by the module that makes them.

    `conditions`: those that whoever runs the graph gives, in their units; else the network's edit is baked in.
    `half`: weights lie in the file in float16, and whoever runs it makes float32 of them when it is opened.
    """

    def __init__(self, onnx: Any, conditions: Sequence[EditCondition] = (), *, half: bool = False) -> None:
        self.onnx, self.conditions, self.half = onnx, conditions, half
        self.nodes: list[Any] = []
        self.tensors: dict[str, Any] = {}

    def model(self, network: nn.Module, shape: StudentShape, texts: dict[str, str]) -> Any:
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        last = self.network(network)
        self.node("Tanh", [last], OUTPUT)
        sides = shape.sides or ("height", "width")
        inputs = {INPUT: ["batch", shape.inputs, *sides]}
        if self.conditions:
            inputs[CONDITION] = ["batch", len(self.conditions)]
        graph = helper.make_graph(
            self.nodes,
            "student",
            [helper.make_tensor_value_info(name, kind, sizes) for name, sizes in inputs.items()],
            [helper.make_tensor_value_info(OUTPUT, kind, ["batch", 3, *sides])],
            initializer=list(self.tensors.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, producer_name="distill", ir_version=IR_VERSION, opset_imports=[opset]
        )
        helper.set_model_props(model, texts)
        return model

    def network(self, network: nn.Module, x: str = INPUT) -> str:
        """All layers but the tanh that each kind ends with."""
        match network:
            case LocalEnhancer():
                return self.enhanced(network, x)
            case GlobalGenerator():
                return self.chain("model", network.model, x)
            case ConditionedGenerator():
                return self.network(network.generator, self.with_condition(network))
            case EditedStarGAN():
                return self.chain("main", network.generator.body, self.with_labels(network))
            case VAEGANAutoencoder():
                hidden = self.chain("encoder.layers", network.encoder.layers, INPUT)
                mean = self.linear("encoder.mean", network.encoder.mean, hidden, shift=network.shift)
                return self.chain("decoder.layers", network.decoder.layers, mean)
        raise DistillError(f"a {kind_of_network(network).form} cannot be exported as ONNX: use --to float16")

    def linear(self, name: str, layer: nn.Linear, x: str, shift: Tensor | None = None) -> str:
        """A fully connected layer, its output moved by `shift`."""
        weight = self.tensor(f"{name}.weight", _numbers(layer.weight))
        bias = [] if layer.bias is None else [layer.bias if shift is None else layer.bias + shift]
        numbers = [self.tensor(f"{name}.bias", _numbers(values)) for values in bias]
        return self.node("Gemm", [x, weight, *numbers], name, transB=1)

    def with_labels(self, network: EditedStarGAN) -> str:
        """Join the labels to the images, each a constant plane: a convolution of weights 0 gives its bias."""
        return self.with_planes(_numbers(network.get_buffer("wanted")), channels=3)

    def with_condition(self, network: ConditionedGenerator) -> str:
        """Join the conditions to the images: those that are given, by their ranges, or the network's own."""
        channels = network.architecture.inputs
        if not self.conditions:
            return self.with_planes(_numbers(network.condition), channels=channels)
        highs = np.asarray(
            [[[[condition.high]] for condition in self.conditions]], np.float32
        )  # [1, K, 1, 1]
        axes = self.tensor("condition.axes", np.array([2, 3], np.int64))
        units = self.node("Unsqueeze", [CONDITION, axes], "condition.units")
        scaled = self.node("Div", [units, self.tensor("condition.range", highs)], "condition.scaled")
        return self.with_planes(
            np.zeros(len(self.conditions), np.float32), channels=channels, moved_by=scaled
        )

    def with_planes(self, values_K: NDArray[np.float32], *, channels: int, moved_by: str = "") -> str:
        """Join constant planes to images: a convolution of weights 0 gives its bias, moved by [N, K, 1, 1]."""
        zeros = self.tensor("labels.weight", np.zeros((len(values_K), channels, 1, 1), np.float32))
        planes = self.node("Conv", [INPUT, zeros, self.tensor("labels.bias", values_K)], "labels")
        if moved_by:
            planes = self.node("Add", [planes, moved_by], "labels.moved")
        return self.node("Concat", [INPUT, planes], "labelled", axis=1)

    def enhanced(self, network: LocalEnhancer, x: str) -> str:
        """As `LocalEnhancer.forward`."""
        pyramid = [x]
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
            case nn.BatchNorm2d() | nn.BatchNorm1d():
                parts = ("weight", "bias", "running_mean", "running_var")
                numbers = [self.tensor(f"{name}.{part}", _numbers(getattr(layer, part))) for part in parts]
                return self.node("BatchNormalization", [x, *numbers], name, epsilon=layer.eps)
            case nn.ReLU():
                return self.node("Relu", [x], name)
            case nn.LeakyReLU():
                return self.node("LeakyRelu", [x], name, alpha=layer.negative_slope)
            case nn.Linear():
                return self.linear(name, layer, x)
            case nn.Flatten():
                return self.node("Flatten", [x], name)
            case nn.Unflatten():
                sizes = self.tensor(f"{name}.sizes", np.array([-1, *layer.unflattened_size], np.int64))
                return self.node("Reshape", [x, sizes], name)
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
        if name in self.tensors or f"{name}.half" in self.tensors:
            return name
        if self.half and values.dtype == np.float32 and values.ndim > 1:
            self.tensors[f"{name}.half"] = self.onnx.numpy_helper.from_array(
                values.astype(np.float16), f"{name}.half"
            )
            return self.node("Cast", [f"{name}.half"], name, to=self.onnx.TensorProto.FLOAT)
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
