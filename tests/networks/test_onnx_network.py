"""Networks out of ONNX files: what onnxruntime computes, and one line for every other file.

The expected values in golden/onnx_operators.npz are onnxruntime 1.31's.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_files import field, model, node, tensor

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.onnx_network import OnnxNetwork, load_onnx, network_of

GOLDEN = Path(__file__).parents[1] / "golden" / "onnx_operators.npz"


def numbers(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


IMAGES = numbers(2, 4, 7, 6)
W, B4, S4 = numbers(5, 4, 3, 3), numbers(4), np.abs(numbers(4)) + 0.5
DEPTHWISE, DENSE, TURNED = numbers(8, 1, 2, 3), numbers(168, 3), numbers(3, 168)
WHOLE = {"pads": np.array([0, 1, 0, -1, 0, 0, 2, 1]), "axes": np.array([2, 3])}


def flat(operator: str, *more: str, **attributes: Any) -> list[bytes]:
    return [node("Flatten", ["images"], "flat"), node(operator, ["flat", *more], "y", **attributes)]


def one(operator: str, *more: str, **attributes: Any) -> list[bytes]:
    return [node(operator, ["images", *more], "y", **attributes)]


CASES: dict[str, tuple[list[bytes], dict[str, Any]]] = {
    "conv": (one("Conv", "w", "b", pads=[1, 1, 1, 1], strides=[2, 1]), {"w": W, "b": numbers(5)}),
    "conv, more padding below": (one("Conv", "w", pads=[0, 1, 2, 0], dilations=[1, 2]), {"w": W}),
    "conv by groups": (one("Conv", "w", group=4, kernel_shape=[2, 3]), {"w": DEPTHWISE}),
    "max pool": (one("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 0, 1], ceil_mode=0), {}),
    "average pool": (one("AveragePool", kernel_shape=[2, 2], strides=[2, 2]), {}),
    "average pool without its padding": (one("AveragePool", kernel_shape=[3, 3], pads=[1, 2, 1, 0]), {}),
    "average pool with its padding": (
        one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        {},
    ),
    "mean": (one("GlobalAveragePool"), {}),
    "batch normalisation": (
        one("BatchNormalization", "s", "b", "m", "v", epsilon=0.001, momentum=0.9),
        {"s": S4, "b": B4, "m": B4 / 2, "v": S4},
    ),
    "affine": (
        [node("Mul", ["images", "s"], "scaled"), node("Add", ["scaled", "b"], "y")],
        {"s": S4.reshape(1, 4, 1, 1), "b": B4.reshape(1, 4, 1, 1)},
    ),
    "difference and ratio": (
        [node("Sub", ["images", "s"], "less"), node("Div", ["less", "s"], "y")],
        {"s": S4.reshape(1, 4, 1, 1)},
    ),
    "pad": (one("Pad", "pads", mode="constant"), {"pads": WHOLE["pads"]}),
    "pad two axes with a value": (
        one("Pad", "pads", "value", "axes"),
        {"pads": np.array([1, 0, 2, 3]), "value": np.array(1.5, np.float32), "axes": WHOLE["axes"]},
    ),
    "gemm": (flat("Gemm", "w", "b", alpha=0.5, beta=2.0), {"w": DENSE, "b": numbers(3)}),
    "gemm, turned": (flat("Gemm", "w", transB=1), {"w": TURNED}),
    "matrix product": (flat("MatMul", "w"), {"w": DENSE}),
    "softmax of the last axis": (one("Softmax"), {}),
    "softmax of channels": (one("Softmax", axis=1), {}),
    "relu": (one("Relu"), {}),
    "leaky relu": (one("LeakyRelu", alpha=0.2), {}),
    "sigmoid": (one("Sigmoid"), {}),
    "tanh": (one("Tanh"), {}),
    "clip": (
        one("Clip", "low", "high"),
        {"low": np.float32(0).reshape(()), "high": np.float32(0.5).reshape(())},
    ),
    "clip below": (one("Clip", "low"), {"low": np.float32(0.1).reshape(())}),
    "reshape": (one("Reshape", "sizes"), {"sizes": np.array([0, 2, -1, 6])}),
    "concat": ([node("Identity", ["images"], "same"), node("Concat", ["same", "images"], "y", axis=1)], {}),
}


def bytes_of(case: str) -> bytes:
    nodes, constants = CASES[case]
    return model(nodes, constants, ["N", 4, 7, 6], {"y": []})


@pytest.mark.parametrize("case", CASES)
def test_operators_compute_what_onnxruntime_does(case: str) -> None:
    network = network_of(bytes_of(case), case)
    result = network(torch.from_numpy(IMAGES))["y"]
    with np.load(GOLDEN) as golden:
        np.testing.assert_allclose(result.numpy(), golden[case], atol=1e-5)
    assert network.output_shapes == {"y": tuple(result.shape[1:])}


def small(**changes: Any) -> dict[str, Any]:
    """The parts of a network of a convolution, a mean and a softmax."""
    nodes = [
        node("Conv", ["images", "w", "b"], "conv", pads=[1, 1, 1, 1]),
        node("Relu", ["conv"], "relu"),
        node("GlobalAveragePool", ["relu"], "mean"),
        node("Flatten", ["mean"], "logits", axis=1),
        node("Softmax", ["logits"], "y", axis=1),
    ]
    constants = {"w": numbers(5, 3, 3, 3), "b": numbers(5)}
    return {
        "nodes": nodes,
        "constants": constants,
        "shape": ["N", 3, 8, 8],
        "outputs": {"y": ["N", 5]},
        **changes,
    }


def test_rows_do_not_know_each_other_and_gradients_reach_the_images() -> None:
    network = network_of(model(**small()), "small")
    images = torch.from_numpy(numbers(6, 3, 8, 8)).requires_grad_()
    together = network(images)["y"]
    alone = torch.cat([network(image[None])["y"] for image in images])
    torch.testing.assert_close(together, alone)
    together[:, 0].sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert not list(network.parameters())
    assert network.double()(images.detach().double())["y"].dtype == torch.float64


def test_a_value_within_can_be_the_output() -> None:
    data = model(**small())
    images = torch.from_numpy(numbers(2, 3, 8, 8))
    network = network_of(data, "small", outputs=("logits", "conv"))
    found = network(images)
    torch.testing.assert_close(found["logits"].softmax(1), network_of(data, "small")(images)["y"])
    assert network.output_shapes == {"logits": (5,), "conv": (5, 8, 8)}
    with pytest.raises(UnsupportedCheckpoint, match="'nothing' is never computed"):
        network_of(data, "small", outputs=("nothing",))


def refused(data: bytes, *words: str) -> None:
    with pytest.raises(DistillError) as caught:
        network_of(data, "net.onnx")
    line = str(caught.value)
    assert line.startswith("net.onnx: ")
    assert "\n" not in line
    assert len(line) < 400
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (node("Erf", ["logits"], "y"), ("operator Erf", "Sigmoid")),
        (node("Softmax", ["logits"], "y", axis=1) + field(7, "com.example"), ("com.example.Softmax",)),
        (node("Softmax", ["logits"], "y", depth=2), ("Softmax node 'y'", "'depth'")),
        (node("Softmax", ["logits"], "y", axis=4), ("shapes do not fit", "Flatten node 'logits'")),
        (node("Softmax", ["logits"], "y", axis="last"), ("axis of type str",)),
        (node("Flatten", ["logits"], "y", axis=0), ("Flatten node 'y'", "axis 0")),
        (node("Add", ["logits", "logits", "b"], "y"), ("3 inputs",)),
        (node("Add", ["logits", "w"], "y"), ("shapes do not fit",)),
        (node("Add", ["logits", "other"], "y"), ("'other'", "nothing before it")),
        (node("Relu", ["logits"], "relu"), ("there already",)),
        (node("Relu", ["logits"], "z"), ("'y' is never computed",)),
        (node("Relu", ["logits"], "y") + field(2, "second"), ("2 outputs",)),
        (node("Conv", ["relu", "b"], "y"), ("weight of shape [5]",)),
        (node("Conv", ["relu", "w"], "y", auto_pad="SAME_UPPER"), ("auto_pad 'SAME_UPPER'",)),
        (node("MaxPool", ["relu"], "y", kernel_shape=[2, 2], ceil_mode=1), ("ceil_mode 1",)),
        (node("MaxPool", ["relu"], "y", kernel_shape=[2, 2], strides=[0, 1]), ("strides [0, 1]",)),
        (node("Pad", ["relu", "logits"], "y"), ("pads that are computed",)),
        (node("Reshape", ["logits", "w"], "y"), ("shapes do not fit",)),
        (node("If", ["logits"], "y", then=field(6, b"") + field(20, 5)), ("g (AttributeProto)",)),
    ],
)
def test_what_is_not_supported_is_named(last: bytes, words: tuple[str, ...]) -> None:
    parts = small()
    refused(model(**{**parts, "nodes": [*parts["nodes"][:-1], last]}), *words)


def test_files_that_say_more_or_less_than_one_network_are_refused() -> None:
    parts = small()
    refused(model(**small(opset=12)), "operator set is 12")
    refused(model(**small(shape=["N", 3, "H", 8])), "[None, 3, None, 8]", "must be fixed")
    refused(model(**small(shape=["N", 4, 8, 8])), "shapes do not fit")
    refused(model(**small(outputs={})), "no output")
    refused(model(**small(more=field(15, b""))), "sparse_initializer")
    refused(model(**small(more=field(99, 1))), "unknown field 99")
    refused(model(**small(more=field(5, tensor("w", numbers(1))))), "two constants are called 'w'")
    refused(model(**small()) + field(25, b""), "functions")
    refused(
        model(**small(constants={**parts["constants"], "b": np.full(5, np.nan, np.float32)})), "not finite"
    )
    refused(model(**small(constants={**parts["constants"], "b": np.arange(5)})), "'b'", "not float32")
    huge = {**parts["constants"], "p": np.array([0, 0, 0, 0, 0, 0, 60000, 60000])}
    grown = [*parts["nodes"][:2], node("Pad", ["relu", "p"], "big"), node("GlobalAveragePool", ["big"], "y")]
    refused(model(**small(nodes=grown, constants=huge)), "Pad node 'big'", "too large")
    refused(b"", "0 graphs")
    refused(b"\x89PNG\r\n\x1a\n" * 8, "not an ONNX network")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (field(1, 5) + field(2, 1) + field(9, b"\0" * 16), "16 bytes"),
        (field(1, 5) + field(2, 10) + field(9, b"\0" * 10), "data type 10"),
        (field(1, -5) + field(2, 1) + field(9, b""), "shape [-5]"),
        (field(1, 2**40) * 8 + field(2, 1) + field(9, b""), "0 bytes"),
        (field(1, 5) + field(2, 1) + field(13, b"") + field(14, 1), "external_data"),
        (field(1, 5) + field(2, 1) + field(14, 1), "data type"),
        (field(1, 5) + field(2, 1) + field(4, b"\0" * 8), "2 values"),
    ],
)
def test_constants_have_the_size_they_say(fields: bytes, word: str) -> None:
    parts = small(constants={"w": numbers(5, 3, 3, 3)})
    refused(model(**parts, more=field(5, fields + field(8, "b"))), word)


def test_every_cut_and_many_changes_of_a_byte_are_refused_or_a_network() -> None:
    data = model(**small())
    for end in range(1, len(data), 3):
        refused(data[:end])
    place = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data)
        changed[place.integers(len(data))] = place.integers(256)
        with suppress(DistillError):
            assert isinstance(network_of(bytes(changed), "net.onnx"), OnnxNetwork)


def test_a_file_is_read_by_path(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(DistillError, match="no such file"):
        load_onnx(path)
    path.write_bytes(model(**small()))
    assert load_onnx(path).input_shape == (3, 8, 8)
    with pytest.raises(DistillError, match=r"images of shape \[3, 9, 8\]"):
        load_onnx(path)(torch.zeros(1, 3, 9, 8))
    with pytest.raises(DistillError, match="not a file"):
        load_onnx(tmp_path)
