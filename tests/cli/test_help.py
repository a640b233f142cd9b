"""The help of every command: groups, examples, lines that fit, and each option said in words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from distill.cli.main import GROUPS, WIDTH, all_commands, cli, run

Found = tuple[click.Context, click.Command]
MOST_LONGER = 0.05  # of all options: the share that may take more than one line of help at full width
EXAMPLE = re.compile(r"^  (distill .*(?:\n      .*)*)$", re.MULTILINE)


def walk(
    command: click.Command, name: str = "distill", parent: click.Context | None = None
) -> Iterator[Found]:
    # click keeps the names of a command's help option from the first context that asks for them.
    names = cli.context_settings["help_option_names"]
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, help_option_names=names
    )
    yield context, command
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            found = command.get_command(context, part)
            assert found is not None
            yield from walk(found, part, context)


EVERY = list(walk(cli))
PATHS = [context.command_path for context, _ in EVERY]


def examples(text: str) -> list[str]:
    """The command lines in a help text; one that goes on is indented."""
    return [" ".join(found.split()) for found in EXAMPLE.findall(text)]


def option_lines(context: click.Context) -> list[list[str]]:
    """The lines that each option of a command takes in a terminal of 100 columns."""
    params = context.command.get_params(context)
    records = [option.get_help_record(context) for option in params if isinstance(option, click.Option)]
    formatter = click.HelpFormatter(width=WIDTH - 2)  # click keeps two columns of the terminal free
    with formatter.section("Options"):
        formatter.write_dl([record for record in records if record is not None])
    found: list[list[str]] = []
    for line in formatter.getvalue().splitlines()[1:]:
        if line.startswith("  -"):
            found.append([line.strip()])
        else:
            found[-1].append(line.strip())
    return found


def test_commands_stand_in_groups_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    places = [told.index(f"\n{title}:\n") for title in GROUPS]
    assert places == sorted(places)
    for name in all_commands():
        assert told.count(f"\n  {name}  ") == 1
    assert told.index("\n  train-pix2pix ") > told.index("\nTrain:\n")


@pytest.mark.parametrize(("context", "command"), EVERY, ids=PATHS)
def test_help_has_two_examples_of_the_command_and_fits(
    context: click.Context, command: click.Command
) -> None:
    text = command.get_help(context)
    shown = examples(text)
    assert len(shown) >= 2
    assert any(line.startswith(context.command_path) for line in shown)
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []


@pytest.mark.parametrize("context", [context for context, _ in EVERY], ids=PATHS)
def test_examples_can_be_parsed(context: click.Context) -> None:
    """Every option of an example exists and takes its value; files need not be there."""
    for line in examples(context.command.get_help(context)):
        words = shlex.split(line, comments=True)[1:]
        words = words[: words.index(">")] if ">" in words else words
        at: click.Command = cli
        parent = click.Context(cli, info_name="distill")
        while isinstance(at, click.Group):
            found = at.get_command(parent, words.pop(0))
            assert found is not None, line
            at, parent = found, click.Context(found, info_name=found.name, parent=parent)
        known = {name for option in at.params for name in (*option.opts, *option.secondary_opts)}
        given = {word for word in words if word.startswith("--")}
        assert given <= known, line
        needed = {
            option.opts[0] for option in at.params if option.required and isinstance(option, click.Option)
        }
        assert needed <= given, line


def test_every_option_is_said_in_words() -> None:
    silent = [
        f"{context.command_path} {option.opts[0]}"
        for context, command in EVERY
        for option in command.params
        if isinstance(option, click.Option) and not (option.help or "").strip()
    ]
    assert silent == []


def test_nearly_every_option_is_said_in_one_line() -> None:
    """What takes more lines than one belongs above the options."""
    known = [(context, option) for context, _ in EVERY for option in option_lines(context)]
    longer = [
        f"{context.command_path} {option[0].split()[0]}" for context, option in known if len(option) > 1
    ]
    assert len(known) > 500
    assert len(longer) <= MOST_LONGER * len(known), longer


def test_help_is_no_wider_than_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert run(["align", "--help"]) == 0
    options = capsys.readouterr().out.partition("Options:")[2]
    assert max(map(len, options.splitlines())) <= 60
