"""`python -m distill.cli.reference`: REFERENCE.md, every command with its options and examples, made from click.

The same text on every machine: no terminal, user, GPU or installed extra has a say in it.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from distill.cli.main import cli, grouped_commands
from distill.cli.options import range_text
from distill.files import write_result

FILE = Path("REFERENCE.md")
HEAD = """# Reference of the commands

Made from the commands themselves by `make docs`; do not edit. `distill COMMAND --help` says the same in a terminal.
Every command also takes `--help`. In the column of ranges `x` stands for the number of the option.

Exit codes: 0 done; 1 nothing worked, or a fault of the program; 2 bad input; 3 some shards failed; 4 disk full;
130 interrupted. `DISTILL_DEBUG=1` prints the traceback of an error.
"""
BREAK = "\b"  # before a block whose lines stay as they are
DEFAULT = re.compile(r"\s*\[(default: [^\]]*|required)\]")
WIDTH = 118  # of prose


def reference() -> str:
    """Return the whole text."""
    names = cli.context_settings["help_option_names"]  # which click keeps from the first context that asks
    root = click.Context(cli, info_name="distill", help_option_names=names)
    groups = grouped_commands()
    parts = [HEAD, "\n".join(_filled(f"- {title}: {_links(rows)}") for title, rows in groups.items())]
    for title, rows in groups.items():
        parts.append(f"## {title}")
        for name in rows:
            command = cli.get_command(root, name)
            if command is None:
                raise LookupError(name)
            parts += _sections(command, click.Context(command, info_name=name, parent=root))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _links(names: dict[str, str]) -> str:
    return ", ".join(f"[{name}](#distill-{name})" for name in names)


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    """A command: its name, usage, description, options; then the commands in it."""
    yield f"### {context.command_path}"
    yield f"```\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```"
    yield from _description(command.help or "")
    options = [item for item in command.params if isinstance(item, click.Option)]
    if options:
        lines = ["| option | what it does | default | range |", "|---|---|---|---|"]
        yield "\n".join([*lines, *(_row(option, context) for option in options)])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            part = command.get_command(context, name)
            if part is not None:
                yield from _sections(part, click.Context(part, info_name=name, parent=context))


def _description(text: str) -> Iterator[str]:
    """The paragraphs of a help text; a block of examples or of a table as code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith(BREAK):
            yield f"```\n{paragraph.removeprefix(BREAK).strip(chr(10))}\n```"
        else:
            yield _filled(_escaped(" ".join(paragraph.split())))


def _row(option: click.Option, context: click.Context) -> str:
    """An option as a row of the table."""
    names = ", ".join(option.opts) + "".join(f" / {name}" for name in option.secondary_opts)
    value = "" if option.is_flag else f" {option.make_metavar(context)}"
    text = option.help or ""
    told = DEFAULT.search(text)
    default = told[1].removeprefix("default: ") if told else _default(option)
    spelled = f"`{names}{value}`".replace("|", r"\|")
    return f"| {spelled} | {_cell(DEFAULT.sub('', text))} | {_cell(default)} | {_range(option)} |"


def _default(option: click.Option) -> str:
    """The default as text; only what the command itself shows, so nothing of a machine."""
    if option.required:
        return "required"
    return str(option.default) if option.show_default and not option.is_flag else ""


def _range(option: click.Option) -> str:
    numbers = option.type
    return f"`{range_text(numbers)}`" if isinstance(numbers, click.IntRange | click.FloatRange) else ""


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", r"\|")


def _filled(text: str) -> str:
    """Break a paragraph, or an item of a list, into lines."""
    later = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, WIDTH, subsequent_indent=later, break_long_words=False, break_on_hyphens=False)


def _escaped(text: str) -> str:
    """Keep Markdown from taking letters for its own."""
    return re.sub(r"([\\`*_<>])", r"\\\1", text)


if __name__ == "__main__":
    write_result(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE, reference().encode())
