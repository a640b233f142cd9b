"""A direction goes to a file and comes back; what is no direction is refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from distill.cli.directions import directions
from distill.directions.file import Direction, read_direction, write_direction
from distill.errors import DistillError, UnsupportedCheckpoint


def direction(**changes):
    fields = {
        "name": "gender",
        "attribute": "gender",
        "vector": torch.arange(40.0).reshape(10, 4),
        "generator_sha256": "ab" * 32,
        "facts": {"method": "logistic", "accuracy": 0.97, "layers": [0, 7]},
    }
    return Direction(**fields | changes)


def test_a_file_gives_back_what_was_written(tmp_path):
    write_direction(tmp_path / "d.safetensors", direction())
    found = read_direction(tmp_path / "d.safetensors")
    assert torch.equal(found.vector, direction().vector)
    assert (found.name, found.attribute, found.generator_sha256) == ("gender", "gender", "ab" * 32)
    assert found.facts == {"method": "logistic", "accuracy": 0.97, "layers": [0, 7]}
    assert len(found.sha256) == 64


def test_the_same_direction_is_the_same_bytes_in_every_process(tmp_path):
    write = (
        "import sys, torch; from pathlib import Path; from distill.directions.file import *\n"
        "write_direction(Path(sys.argv[1]), Direction(name='a', attribute='b', vector=torch.ones(2, 3),"
        " generator_sha256='c', facts={'z': 1, 'y': [2], 'x': 'é'}))"
    )
    paths = [tmp_path / f"{k}.safetensors" for k in range(3)]
    for path in paths:
        subprocess.run([sys.executable, "-c", write, path], check=True)
    assert len({path.read_bytes() for path in paths}) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"not a tensor file", b"\x80\x04cposix\nsystem\n"],
    ids=["empty", "text", "pickle"],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(UnsupportedCheckpoint, match=r"no direction|the file is empty") as caught:
        read_direction(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_published_array_is_sent_to_the_import(tmp_path):
    numpy.save(tmp_path / "smile.npy", numpy.ones(512))
    torch.save(torch.ones(512), tmp_path / "smile.pt")
    for name in ("smile.npy", "smile.pt"):
        with pytest.raises(UnsupportedCheckpoint, match="`distill directions import FILE --attribute NAME`"):
            read_direction(tmp_path / name)


def with_texts(path, **texts):
    metadata = {"format": "distill-direction", "name": "smile", "facts": "{}", **texts}
    save_file({"direction": torch.ones(2, 3)}, path, metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ("[" * 100_000, "not JSON"),
        ('{"a":' * 2_000 + "1" + "}" * 2_000, "not JSON|nested deeper than 6"),
        ('{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}', "nested deeper than 6"),
        ("[1, 2]", "not a table"),
        ("3", "not a table"),
        ('"text"', "not a table"),
        ('{"layers": 5}', "layers: "),
        ('{"layers": [0, 7], "recommended_strength": "much"}', "recommended_strength: "),
        ('{"movement": {"age": [1]}}', r"movement\.age: "),
        ('{"held_out": {"faces": 1, "accuracy": 1, "balanced": 1, "correlation": 1}}', "without ends"),
        (f'{{"seed": {"1" * 5_000}}}', "not JSON"),
        (f'{{"a": "{"x" * (1 << 20)}"}}', "facts of 1,048,585 characters"),
    ],
    ids=lambda value: value[:20],
)
def test_facts_are_read_strictly(tmp_path, facts, words):
    path = with_texts(tmp_path / "d.safetensors", facts=facts)
    with pytest.raises(UnsupportedCheckpoint, match=words) as caught:
        read_direction(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_no_text_of_a_file_reaches_the_terminal_as_it_is(tmp_path):
    evil = "a\x1b[2J\nb\u202e\u009b"
    facts = json.dumps({"source": evil, "layers": [0, 1], "teacher": evil, "movement": {evil: 1.0}})
    path = with_texts(
        tmp_path / "d.safetensors", name=evil, attribute=evil, generator_sha256=evil, facts=facts
    )
    for command in (["show", str(path)], ["show", "--json", str(path)], ["list", str(tmp_path)]):
        result = CliRunner().invoke(directions, command)
        assert result.exit_code == 0, result.output
        assert not {"\x1b", "\u202e", "\u009b"} & set(result.output)
    assert "a\\x1b[2J\\nb\\u202e\\x9b: raises" in CliRunner().invoke(directions, ["show", str(path)]).output


def test_tensors_of_something_else_are_refused(tmp_path):
    save_file({"direction": torch.zeros(3, 4)}, tmp_path / "x.safetensors")
    with pytest.raises(UnsupportedCheckpoint, match="directions import"):
        read_direction(tmp_path / "x.safetensors")


@pytest.mark.parametrize("bad", [torch.zeros(4), torch.full((2, 4), float("nan"))], ids=["flat", "nan"])
def test_a_direction_is_finite_and_has_layers(tmp_path, bad):
    write_direction(tmp_path / "d.safetensors", direction(vector=bad))
    with pytest.raises(UnsupportedCheckpoint, match="not finite float32"):
        read_direction(tmp_path / "d.safetensors")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(DistillError, match=r"unknown direction .\.\./\.\./etc"):
        read_direction("../../etc")


def test_another_generator_is_refused_with_both_numbers():
    with pytest.raises(DistillError, match=r"\[10, 4\], this generator takes \[18, 512\]"):
        direction().check_fits(num_ws=18, w_dim=512)
    with pytest.raises(DistillError, match="abababababab"):
        direction().check_fits(num_ws=10, w_dim=4, generator_sha256="cd" * 32)
    direction().check_fits(num_ws=10, w_dim=4, generator_sha256="ab" * 32)
