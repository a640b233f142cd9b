"""The wire format of ONNX files: protocol buffers, read by a table of the messages that a network needs.

Only data is read. What is in no table is refused, and so is what would reach outside the file (external data) or
hold more than one plain graph (functions, subgraphs, training information).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import UnsupportedCheckpoint

# A field's kind: "int", "float" and "floats" (values), "text", "bytes", "skip" (of no effect), the name of another
# message, or "refuse". Numbers and names are those of onnx.proto (ONNX 1.19, IR version 12).
Field = tuple[str, str]
MESSAGES: dict[str, dict[int, Field]] = {
    "ModelProto": {
        1: ("ir_version", "int"),
        2: ("producer_name", "skip"),
        3: ("producer_version", "skip"),
        4: ("domain", "skip"),
        5: ("model_version", "skip"),
        6: ("doc_string", "skip"),
        7: ("graph", "GraphProto"),
        8: ("opset_import", "OperatorSetIdProto"),
        14: ("metadata_props", "skip"),
        20: ("training_info", "refuse"),
        25: ("functions", "refuse"),
    },
    "OperatorSetIdProto": {1: ("domain", "text"), 2: ("version", "int")},
    "GraphProto": {
        1: ("node", "NodeProto"),
        2: ("name", "skip"),
        5: ("initializer", "TensorProto"),
        10: ("doc_string", "skip"),
        11: ("input", "ValueInfoProto"),
        12: ("output", "ValueInfoProto"),
        13: ("value_info", "skip"),
        14: ("quantization_annotation", "refuse"),
        15: ("sparse_initializer", "refuse"),
        16: ("metadata_props", "skip"),
    },
    "NodeProto": {
        1: ("input", "text"),
        2: ("output", "text"),
        3: ("name", "text"),
        4: ("op_type", "text"),
        5: ("attribute", "AttributeProto"),
        6: ("doc_string", "skip"),
        7: ("domain", "text"),
        8: ("overload", "refuse"),
        9: ("metadata_props", "skip"),
    },
    "AttributeProto": {
        1: ("name", "text"),
        2: ("f", "float"),
        3: ("i", "int"),
        4: ("s", "text"),
        5: ("t", "TensorProto"),
        6: ("g", "refuse"),
        7: ("floats", "float"),
        8: ("ints", "int"),
        9: ("strings", "refuse"),
        10: ("tensors", "refuse"),
        11: ("graphs", "refuse"),
        13: ("doc_string", "skip"),
        20: ("type", "int"),
        21: ("ref_attr_name", "refuse"),
    },
    "TensorProto": {
        1: ("dims", "int"),
        2: ("data_type", "int"),
        3: ("segment", "refuse"),
        4: ("float_data", "floats"),
        7: ("int64_data", "int"),
        8: ("name", "text"),
        9: ("raw_data", "bytes"),
        12: ("doc_string", "skip"),
        13: ("external_data", "refuse"),
        14: ("data_location", "int"),
        16: ("metadata_props", "skip"),
    },
    "ValueInfoProto": {
        1: ("name", "text"),
        2: ("type", "TypeProto"),
        3: ("doc_string", "skip"),
        4: ("metadata_props", "skip"),
    },
    "TypeProto": {1: ("tensor_type", "TypeProto.Tensor"), 6: ("denotation", "skip")},
    "TypeProto.Tensor": {1: ("elem_type", "int"), 2: ("shape", "TensorShapeProto")},
    "TensorShapeProto": {1: ("dim", "Dimension")},
    "Dimension": {1: ("dim_value", "int"), 2: ("dim_param", "text"), 3: ("denotation", "skip")},
}
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MOST_VALUES = 1_000_000  # integers, texts and messages in one file; weights are not counted
MOST_TEXT = 1000  # bytes of a name


class Message(dict[str, list[Any]]):
    """The fields of one message; a field that is absent is an empty list."""

    def __missing__(self, name: str) -> list[Any]:
        return []

    def one(self, name: str, default: Any = None) -> Any:
        """Return the last value of a field, as protocol buffers have it for one that is not repeated."""
        return self[name][-1] if self[name] else default


class WireReader:
    """Reads one file's messages, and counts what it makes of them."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.left = MOST_VALUES

    def message(self, kind: str, start: int, end: int) -> Message:
        """Read one message between two positions.

        Raises UnsupportedCheckpoint for what is broken, unknown or refused, naming the field.
        """
        found, fields = Message(), MESSAGES[kind]
        for number, wire, first, last in self._records(start, end, kind):
            if number not in fields:
                raise UnsupportedCheckpoint(f"{kind} has an unknown field {number}")
            name, field = fields[number]
            if field == "refuse":
                raise UnsupportedCheckpoint(f"it holds {name} ({kind}), which is not supported")
            if field != "skip":
                found.setdefault(name, []).extend(self._values(f"{kind}.{name}", field, wire, first, last))
        return found

    def _records(self, start: int, end: int, kind: str) -> Iterator[tuple[int, int, int, int]]:
        """Yield (field number, wire type, first, last position of its content)."""
        place = start
        while place < end:
            key, place = self._varint(place, end)
            number, wire = key >> 3, key & 7
            if wire == VARINT:
                last = self._varint(place, end)[1]
            elif wire == LENGTH:
                length, place = self._varint(place, end)
                last = place + length
            elif wire in (FIXED32, FIXED64):
                last = place + (4 if wire == FIXED32 else 8)
            else:
                raise UnsupportedCheckpoint(f"broken: {kind} has a record of wire type {wire}")
            if last > end:
                raise UnsupportedCheckpoint(f"broken or truncated: {kind} ends within field {number}")
            yield number, wire, place, last
            place = last

    def _values(self, name: str, field: str, wire: int, first: int, last: int) -> list[Any]:
        self._spend(1)
        if field == "int" and wire == VARINT:
            return [_signed(self._varint(first, last)[0])]
        if field == "int" and wire == LENGTH:
            return list(self._packed(first, last))
        if field == "float" and wire in (FIXED32, LENGTH) and (last - first) % 4 == 0:
            self._spend((last - first) // 4)
            return [value for (value,) in struct.iter_unpack("<f", self.data[first:last])]
        if field == "floats" and wire in (FIXED32, LENGTH) and (last - first) % 4 == 0:
            return [_floats(self.data[first:last])]
        if wire != LENGTH or field in ("int", "float", "floats"):
            raise UnsupportedCheckpoint(f"broken: {name} has wire type {wire}")
        if field == "text":
            return [self._text(name, first, last)]
        return [self.data[first:last] if field == "bytes" else self.message(field, first, last)]

    def _packed(self, first: int, last: int) -> Iterator[int]:
        while first < last:
            self._spend(1)
            value, first = self._varint(first, last)
            yield _signed(value)

    def _text(self, name: str, first: int, last: int) -> str:
        if last - first > MOST_TEXT:
            raise UnsupportedCheckpoint(f"{name} has {last - first} bytes; {MOST_TEXT} at most")
        try:
            text = bytes(self.data[first:last]).decode()
        except UnicodeDecodeError as error:
            raise UnsupportedCheckpoint(f"broken: {name} is not text") from error
        if not text.isprintable():  # names stand in error messages
            raise UnsupportedCheckpoint(f"broken: {name} is not printable text")
        return text

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if place >= end:
                raise UnsupportedCheckpoint("broken or truncated: it ends within a number")
            byte = self.data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & (2**64 - 1), place
        raise UnsupportedCheckpoint("broken: a number of more than ten bytes")

    def _spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise UnsupportedCheckpoint(f"it holds more than {MOST_VALUES:,} values besides its weights")


def read_model(data: memoryview) -> Message:
    """Read a ModelProto. Raises UnsupportedCheckpoint, in one line without the file's name."""
    return WireReader(data).message("ModelProto", 0, len(data))


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _floats(data: memoryview) -> NDArray[np.float32]:
    return np.frombuffer(data, dtype="<f4")
