"""Networks out of ONNX files: run by onnxruntime, and one line for every file that is none of ours to run."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_files import field, model, node, tensor

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.onnx_network import OnnxNetwork, open_onnx, read_onnx_bytes

pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")


def numbers(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


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


def test_a_network_computes_what_torch_does_for_any_number_of_images() -> None:
    parts = small()
    network = open_onnx(model(**parts), "small")
    images = torch.from_numpy(numbers(6, 3, 8, 8))
    w, b = (torch.from_numpy(parts["constants"][name]) for name in ("w", "b"))
    expected = torch.relu(torch.nn.functional.conv2d(images, w, b, padding=1)).mean(dim=(2, 3)).softmax(dim=1)
    torch.testing.assert_close(network(images)["y"], expected)
    torch.testing.assert_close(network(images[:1])["y"], expected[:1])
    fixed = open_onnx(model(**small(shape=[4, 3, 8, 8], outputs={"y": [4, 5]})), "four at a time")
    torch.testing.assert_close(fixed(images)["y"], expected)


def test_a_value_within_can_be_the_output() -> None:
    data = model(**small())
    images = torch.from_numpy(numbers(2, 3, 8, 8))
    found = open_onnx(data, "small", outputs=("logits", "conv"))(images)
    torch.testing.assert_close(found["logits"].softmax(1), open_onnx(data, "small")(images)["y"])
    assert found["conv"].shape == (2, 5, 8, 8)
    with pytest.raises(UnsupportedCheckpoint, match="its output nothing is never computed"):
        open_onnx(data, "small", outputs=("nothing",))


def test_without_onnxruntime_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DistillError, match=r"^smile\.onnx: .*pip install 'distill\[onnx\]'$"):
        open_onnx(model(**small()), "smile.onnx")


def refused(data: bytes, *words: str) -> None:
    with pytest.raises(DistillError) as caught:
        open_onnx(data, "net.onnx")
    line = str(caught.value)
    assert line.startswith("net.onnx: ")
    assert "\n" not in line
    assert len(line) < 400
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("last", "word"),
    [
        (node("NoSuchThing", ["logits"], "y"), "NoSuchThing"),
        (node("Softmax", ["logits"], "y", axis=1) + field(7, "com.example"), "com.example"),
        (node("Softmax", ["logits"], "y", depth=2), "depth"),
        (node("Softmax", ["logits"], "y", axis=4), "axis"),
        (node("Add", ["logits", "w"], "y"), "ncompatible dimensions"),
        (node("Add", ["logits", "other"], "y"), "other"),
        (node("Relu", ["logits"], "relu"), "relu"),
        (node("Relu", ["logits"], "z"), "y"),
        (node("Reshape", ["logits", "w"], "y"), "Reshape"),
        (
            node("If", ["logits"], "y", then=field(6, b"") + field(20, 5)),
            "operator If has a graph of its own",
        ),
    ],
)
def test_what_does_not_run_is_one_line(last: bytes, word: str) -> None:
    parts = small()
    refused(model(**{**parts, "nodes": [*parts["nodes"][:-1], last]}), word)


def test_files_that_say_more_or_less_than_one_network_are_refused() -> None:
    parts = small()
    refused(model(**small(shape=["N", 3, "H", 8])), "[None, 3, None, 8]", "must be fixed")
    refused(model(**small(shape=["N", 4, 8, 8])))
    for shape in (["N", 3, 2**31 - 1, 1], ["N", 3, 2**20, 2**20], [2**31 - 1, 3, 8, 8]):
        refused(model(**small(shape=shape)))
    refused(
        model(**small(shape=["N", 3, 2500, 2500])),
        "input images has shape [None, 3, 2500, 2500]; too large for images",
    )
    refused(model(**small(outputs={})), "no output")
    refused(model(**small(more=field(15, b""))), "sparse")
    refused(model(**small(more=field(5, tensor("w", numbers(1))))))
    refused(model(**small()) + field(25, field(1, "mine") + field(10, "here")), "functions")
    whole = [*parts["nodes"][:-1], node("ReduceMean", ["logits"], "y", keepdims=0)]
    refused(model(**small(nodes=whole, outputs={"y": []})), "one row an image")
    huge = {**parts["constants"], "p": np.array([0, 0, 0, 0, 0, 0, 60000, 60000])}
    grown = [*parts["nodes"][:2], node("Pad", ["relu", "p"], "big"), node("GlobalAveragePool", ["big"], "y")]
    refused(model(**small(nodes=grown, constants=huge, outputs={"y": ["N", 5, 1, 1]})), "big", "too large")
    refused(b"", "not a valid ONNX network")
    refused(b"\x89PNG\r\n\x1a\n" * 8, "not an ONNX file")


def whole(*values: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(values, np.int64)


MEAN = node("GlobalAveragePool", ["big"], "y")
SUM_ADDED = [node("ReduceSum", ["k"], "sum", keepdims=0), node("Add", ["images", "sum"], "big"), MEAN]
COUNTED = [  # a number that only the image tells
    node("ReduceSum", ["images"], "bright", keepdims=0), node("Cast", ["bright"], "number", to=7),
    node("Add", ["number", "n"], "often"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "constants", "word"),
    [
        ([node("Tile", ["images", "n"], "big"), MEAN], {"n": whole(1, 1, 9999, 9999)}, "too large"),
        ([node("ConstantOfShape", ["n"], "k"), *SUM_ADDED], {"n": whole(3 * 10**9)}, "k has [3000000000]"),
        (
            [*COUNTED, node("ConstantOfShape", ["often"], "k"), *SUM_ADDED],
            {"n": whole(3 * 10**9)},
            "the size of k (ConstantOfShape) is not fixed",
        ),
        ([*COUNTED, node("Tile", ["images", "often"], "big"), MEAN], {"n": whole(1, 1, 9, 9)}, "is not fixed"),
        (
            [
                node("Reshape", ["images", "a"], "column"), node("Reshape", ["images", "b"], "row"),
                node("Add", ["column", "row"], "square"), node("ReduceSum", ["square"], "k", keepdims=0), *SUM_ADDED,
            ],
            {"a": whole(-1, 1), "b": whole(1, -1)},
            "square grows faster than the number of images",
        ),
        (
            [node("ConstantOfShape", ["n"], "w"), node("MatMul", ["w", "w"], "k"), *SUM_ADDED],
            {"n": whole(9000, 9000)},
            "times an image; at most",
        ),
    ],
    ids=["tile", "constant", "by the image", "tile by the image", "outer product", "work"],
)  # fmt: skip
def test_what_would_take_all_memory_or_time_is_not_run(
    nodes: list[bytes], constants: dict[str, Any], word: str
) -> None:
    started = time.perf_counter()
    refused(model(nodes, constants, ["N", 3, 8, 8], {"y": ["N", 3, 1, 1]}), word)
    assert time.perf_counter() - started < 10


def test_sizes_that_are_worked_out_from_the_batch_are_known() -> None:
    """As exporters write x.view(x.size(0), -1)."""
    nodes = [
        node("Shape", ["images"], "sizes"), node("Gather", ["sizes", "zero"], "count", axis=0),
        node("Unsqueeze", ["count", "zeros"], "counts"), node("Concat", ["counts", "rest"], "shape", axis=0),
        node("Reshape", ["images", "shape"], "flat"), node("Gemm", ["flat", "w"], "y"),
    ]  # fmt: skip
    constants = {"zero": np.array(0), "zeros": whole(0), "rest": whole(-1), "w": numbers(192, 5)}
    network = open_onnx(model(nodes, constants, ["N", 3, 8, 8], {"y": ["N", 5]}), "view")
    assert network(torch.zeros(3, 3, 8, 8))["y"].shape == (3, 5)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (field(1, 5) + field(2, 1) + field(9, b"\0" * 16), ""),
        (field(1, -5) + field(2, 1) + field(9, b""), ""),
        (field(1, 2**40) * 8 + field(2, 1) + field(9, b""), ""),
        (
            field(1, 5) + field(2, 1) + field(13, field(1, "location") + field(2, "/etc/passwd")),
            "another file",
        ),
        (field(1, 5) + field(2, 1) + field(14, 1), "another file"),
        (field(1, 0) + field(1, 2**62) * 2 + field(2, 1) + field(9, b""), "too large"),
    ],
)
def test_constants_have_the_size_they_say_and_lie_in_the_file(fields: bytes, word: str) -> None:
    parts = small(constants={"w": numbers(5, 3, 3, 3)})
    refused(model(**parts, more=field(5, fields + field(8, "b"))), word)


def test_every_cut_and_many_changes_of_a_byte_are_refused_or_a_network() -> None:
    data = model(**small())
    for end in range(1, len(data), 3):
        with suppress(DistillError):  # protobuf cannot know that whole fields are missing at the end
            open_onnx(data[:end], "net.onnx")
    place = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data)
        changed[place.integers(len(data))] = place.integers(256)
        with suppress(DistillError):
            assert isinstance(open_onnx(bytes(changed), "net.onnx"), OnnxNetwork)


def test_a_file_is_read_by_path(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(DistillError, match="no such file"):
        read_onnx_bytes(path)
    path.write_bytes(model(**small()))
    network = open_onnx(read_onnx_bytes(path), str(path))
    assert network.input_shape == (3, 8, 8)
    with pytest.raises(DistillError, match=r"images of shape \[3, 9, 8\]"):
        network(torch.zeros(1, 3, 9, 8))
    with pytest.raises(DistillError, match="not a file"):
        read_onnx_bytes(tmp_path)
