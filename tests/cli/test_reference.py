"""REFERENCE.md is made from the commands: up to date, and the same wherever it is made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from distill.cli import reference
from distill.cli.main import all_commands

FILE = Path(__file__).parents[2] / "REFERENCE.md"


def test_the_file_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == reference.reference(), "run make docs"


def test_every_command_and_default_stands_in_it() -> None:
    text = reference.reference()
    for name in (*all_commands(), "weights fetch", "directions sefa"):
        assert f"\n### distill {name}\n" in text
    assert "| `--n N` | Accepted triplets or pairs to make. | required |  |" in text
    assert "| `--strength NUMBER` | How far the outermost images move. | 3 | `0<x<=100` |" in text
    assert r"| `--align [ffhq\|none]` |" in text
    assert "distill translate me.jpg --model gender-swap --out swapped" in text
    assert text.count("\n```") % 2 == 0


def test_neither_terminal_nor_user_nor_machine_has_a_say(tmp_path: Path) -> None:
    made = tmp_path / "REFERENCE.md"
    elsewhere = {
        **os.environ,
        "COLUMNS": "40",
        "HOME": str(tmp_path),
        "LC_ALL": "C",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-m", "distill.cli.reference", str(made)]
    subprocess.run(command, env={**elsewhere, "DISTILL_CACHE": str(tmp_path)}, cwd=FILE.parent, check=True)
    assert made.read_bytes() == FILE.read_bytes()


def test_letters_that_markdown_knows_are_kept() -> None:
    option = click.Option(["--a"], help="*.pth of <role>, A|B.  [default: no_*]")
    row = reference._row(option, click.Context(click.Command("x")))
    assert row == r"| `--a TEXT` | \*.pth of \<role\>, A\|B. | no\_\* |  |"
