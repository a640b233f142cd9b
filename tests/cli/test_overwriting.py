"""What is there already: a file that --out names is replaced only with --overwrite, by every command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from data_sets import make_data_set

from distill.cli.main import cli, run

OWN_NAMES = ("directions", "export-student")  # --out names files of several, or a file or a folder: own tests


def commands(group: click.Group, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


def test_every_command_that_writes_a_named_file_has_the_same_option() -> None:
    with_out = set()
    for names, command in commands(cli):
        options = {option for param in command.params for option in param.opts}
        assert "--force" not in options, names
        out = next((param.type for param in command.params if param.name == "out"), None)
        if names[0] in OWN_NAMES or (isinstance(out, click.Path) and not out.dir_okay):
            with_out.add(names)
    assert ("plot",) in with_out
    for names, command in commands(cli):
        assert ("overwrite" in {param.name for param in command.params}) == (
            names in with_out and names[-1] not in ("list", "show")
        ), names


def command_of(name: str, folder: Path) -> list[object]:
    """A command, and the file that it writes in the end."""
    data, photos, run_folder = folder / "data", folder / "photos", folder / "run"
    match name:
        case "inspect":
            make_data_set(data)
            return ["inspect", data, "--sheet", folder / "page.png", "--out", folder / "page.html"]
        case "plot":
            run_folder.mkdir()
            (run_folder / "stats.jsonl").write_text(
                '{"samples": 1000, "loss": 2}\n{"samples": 2000, "loss": 1}\n'
            )
            return ["plot", run_folder, "--out", folder / "losses.png"]
        case "weights":
            return ["weights", "convert", "portraits", "--out", folder / "copy.safetensors"]
        case "export-student":
            run_folder.mkdir()
            return ["export-student", run_folder, "--out", folder / "student.onnx"]
        case "score-images":
            return ["score-images", photos, "--out", folder / "labels.csv"]
        case _:
            return ["train-classifier", "--data", photos, "--out", folder / "smile.safetensors"]


@pytest.mark.parametrize(
    "name", ["inspect", "plot", "weights", "export-student", "score-images", "train-classifier"]
)
def test_a_file_that_is_there_is_replaced_only_when_asked(name, tmp_path, capsys):
    words = [str(word) for word in command_of(name, tmp_path)]
    out = Path(words[-1])
    out.write_bytes(b"mine")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert run(words) == 2
    assert f"{out} exists; choose another --out, or replace it with --overwrite" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    if name in ("inspect", "plot", "weights"):  # the others need a student or photographs
        assert run([*words, "--overwrite"]) == 0
        assert out.read_bytes() != b"mine"


def test_what_a_command_puts_beside_its_source_is_renewed(tmp_path):
    make_data_set(tmp_path / "data")
    assert run(["inspect", str(tmp_path / "data")]) == 0
    assert run(["inspect", str(tmp_path / "data")]) == 0
