"""Numbers as people read them."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from distill.files import path_text
from distill.progress import command_text, plural, size_text
from distill.timing import clock


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min 01 s"), (7300, "2 h 01 min")]
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_sizes_are_written_for_people() -> None:
    assert [size_text(n) for n in (0, 1023, 1536, 5 * 2**30)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 KiB",
        "5.0 GiB",
    ]


def test_one_shard_two_shards() -> None:
    assert [plural(1, "shard"), plural(2, "shard")] == ["1 shard", "2 shards"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (b"caf\xc3\xa9 \xe5\xbc\xa0.jpg", "café 张.jpg"),
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        (b"a\nb\x1b[31m.jpg", r"a\nb\x1b[31m.jpg"),
        ("a\u202egpj.exe".encode(), r"a\u202egpj.exe"),
    ],
)
def test_any_path_is_a_line_of_text(name: bytes, line: str) -> None:
    path = Path(os.fsdecode(name))
    assert path_text(path) == line
    assert path_text(path).encode().decode() == line


def test_paths_in_json_keep_their_control_characters() -> None:
    path = os.fsdecode(b"a\nb\xff")
    assert json.loads(json.dumps(path_text(path, line=False))) == "a\nb\\xff"


def test_a_command_can_be_pasted_into_a_shell() -> None:
    words = ["distill", "inspect", Path("my data/it's $HOME"), "--where", "a < 2"]
    assert shlex.split(command_text(*words)) == [str(word) for word in words]
    assert command_text("distill", "inspect", Path("data/mix")) == "distill inspect data/mix"
