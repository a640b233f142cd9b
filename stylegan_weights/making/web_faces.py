"""Write the networks by which the exported web page finds faces, from the npm package @vladmandic/face-api, as ONNX.

    python stylegan_weights/making/web_faces.py vladmandic-face-api-1.7.15.tgz distill/serve/web/faces

Both are Vincent Mühler's (MIT): a small YOLO of separable convolutions for boxes, and four dense blocks for 68
landmarks. Their weights stay 8-bit numbers, as published. Means and scales of the pixels are part of the graph.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SHA256 = "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031"  # of its tarball
DETECTOR, LANDMARKS = "tiny_face_detector_model", "face_landmark_68_model"
DETECTOR_MEAN, LANDMARKS_MEAN = (117.001, 114.697, 97.404), (122.782, 117.001, 104.298)  # RGB, of 0 to 255
LEAK = 0.1
OPSET, IR_VERSION = 17, 8
TENSORFLOW = {"auto_pad": "SAME_UPPER"}  # its padding "same": an odd pixel goes right and below

Tensors = dict[str, tuple[NDArray[np.uint8], float, int] | NDArray[np.float32]]


class FaceGraph:
    """Collects nodes; a value is named by the node that makes it."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.nodes: list[Any] = []
        self.numbers: list[Any] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def number(self, name: str, values: NDArray[Any]) -> str:
        self.numbers.append(numpy_helper.from_array(values, name))
        return name

    def weight(self, name: str, axes: tuple[int, ...]) -> str:
        """A weight of 8 bits, its axes brought to the order of ONNX, and what makes floats of it."""
        levels, scale, zero = self.tensors[name]
        parts = [
            self.number(f"{name}.levels", np.ascontiguousarray(levels.transpose(axes))),
            self.number(f"{name}.scale", np.float32(scale)),
            self.number(f"{name}.zero", np.uint8(zero)),
        ]
        return self.node("DequantizeLinear", parts, name)

    def bias(self, name: str) -> str:
        return self.number(name, self.tensors[name])

    def normalised(self, mean: tuple[float, float, float]) -> str:
        means = self.number("mean", np.array(mean, np.float32)[None, :, None, None])
        centred = self.node("Sub", ["images", means], "centred")
        return self.node("Div", [centred, self.number("full", np.float32(255))], "normalised")

    def convolution(self, x: str, name: str, **attributes: Any) -> str:
        kernel = self.weight(f"{name}/filters", (3, 2, 0, 1))
        return self.node("Conv", [x, kernel, self.bias(f"{name}/bias")], name, **attributes)

    def separable(self, x: str, name: str, stride: int = 1) -> str:
        """Filter each channel by itself, then mix them: two convolutions without anything between."""
        filters = self.weight(f"{name}/depthwise_filter", (2, 3, 0, 1))
        channels = len(self.tensors[f"{name}/depthwise_filter"][0].transpose(2, 3, 0, 1))
        filtered = self.node(
            "Conv", [x, filters], f"{name}/filtered", group=channels, strides=[stride] * 2, **TENSORFLOW
        )
        mixing = self.weight(f"{name}/pointwise_filter", (3, 2, 0, 1))
        return self.node("Conv", [filtered, mixing, self.bias(f"{name}/bias")], name)

    def model(self, last: str, inputs: list[Any], outputs: list[Any], texts: dict[str, str]) -> bytes:
        self.nodes[-1].output[0] = "found"
        graph = helper.make_graph(
            self.nodes,
            "faces",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, inputs)],
            [helper.make_tensor_value_info("found", TensorProto.FLOAT, outputs)],
            initializer=self.numbers,
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, producer_name="distill", ir_version=IR_VERSION, opset_imports=[opset]
        )
        helper.set_model_props(model, texts)
        onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString()
        return data


def detector(tensors: Tensors) -> bytes:
    """Images [N, 3, H, W] of 0 to 255 -> [N, 25, h, w]: five boxes a cell of 32 px, each x y width height score."""
    graph = FaceGraph(tensors)
    x = graph.normalised(DETECTOR_MEAN)
    for place in range(6):
        name = f"conv{place}"
        x = graph.convolution(x, name) if place == 0 else graph.separable(x, name)
        x = graph.node("LeakyRelu", [x], f"{name}/active", alpha=LEAK)
        strides = [1, 1] if place == 5 else [2, 2]
        x = graph.node("MaxPool", [x], f"pool{place}", kernel_shape=[2, 2], strides=strides, **TENSORFLOW)
    graph.convolution(x, "conv8")
    texts = {"images": "float32 [N, 3, H, W], RGB of 0 to 255", "source": "@vladmandic/face-api 1.7.15 (MIT)"}
    return graph.model(x, ["N", 3, "H", "W"], ["N", 25, "h", "w"], texts)


def landmarks(tensors: Tensors) -> bytes:
    """Images [N, 3, 112, 112] of 0 to 255 -> [N, 136]: x y of each landmark as a share of the side."""
    graph = FaceGraph(tensors)
    x = graph.normalised(LANDMARKS_MEAN)
    for place in range(4):
        x = dense_block(graph, x, f"dense{place}", first=place == 0)
    x = graph.node("AveragePool", [x], "pooled", kernel_shape=[7, 7], strides=[2, 2])
    x = graph.node("Flatten", [x], "flat")
    graph.node("Gemm", [x, graph.weight("fc/weights", (0, 1)), graph.bias("fc/bias")], "fc")
    texts = {
        "images": "float32 [N, 3, 112, 112], RGB of 0 to 255",
        "source": "@vladmandic/face-api 1.7.15 (MIT)",
    }
    return graph.model(x, ["N", 3, 112, 112], ["N", 136], texts)


def dense_block(graph: FaceGraph, x: str, name: str, *, first: bool) -> str:
    """Halve the sides, then three convolutions, each of the rectified sum of all before it."""
    if first:
        x = graph.convolution(x, f"{name}/conv0", strides=[2, 2], **TENSORFLOW)
    else:
        x = graph.separable(x, f"{name}/conv0", stride=2)
    total = active = graph.node("Relu", [x], f"{name}/sum0/active")
    for place in (1, 2, 3):
        more = graph.separable(active, f"{name}/conv{place}")
        total = graph.node("Add", [total, more], f"{name}/sum{place}")
        active = graph.node("Relu", [total], f"{name}/sum{place}/active")
    return active


def read_tensors(package: tarfile.TarFile, name: str) -> Tensors:
    """The tensors of a model of the package: filters as 8-bit levels with scale and zero, all else as floats."""
    manifest = json.loads(member(package, f"{name}-weights_manifest.json"))
    data, start, tensors = member(package, f"{name}.bin"), 0, {}
    for entry in manifest[0]["weights"]:
        scale, low = entry["quantization"]["scale"], entry["quantization"]["min"]
        count = int(np.prod(entry["shape"]))
        levels = np.frombuffer(data, np.uint8, count, start).reshape(entry["shape"])
        start += count
        if levels.ndim == 1:
            tensors[entry["name"]] = (levels * scale + low).astype(np.float32)
            continue
        zero = round(-low / scale)
        if abs(zero + low / scale) > 1e-3:
            raise ValueError(f"{entry['name']}: no level stands for 0")
        tensors[entry["name"]] = (levels, scale, zero)
    if start != len(data):
        raise ValueError(f"{name}: {len(data)} bytes, the manifest tells of {start}")
    return tensors


def member(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(f"package/{name if name == 'LICENSE' else f'model/{name}'}")
    if file is None:
        raise ValueError(f"{name}: not in the package")
    return file.read()


def main(tarball: Path, folder: Path) -> None:
    data = tarball.read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != SHA256:
        raise SystemExit(f"{tarball}: sha256 is {found}, expected {SHA256}")
    with tarfile.open(tarball) as package:
        (folder / "detector.onnx").write_bytes(detector(read_tensors(package, DETECTOR)))
        (folder / "landmarks.onnx").write_bytes(landmarks(read_tensors(package, LANDMARKS)))
        (folder / "LICENSE").write_bytes(member(package, "LICENSE"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
