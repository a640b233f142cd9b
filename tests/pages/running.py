"""Run a command of a page in this process, or take its options apart without running it."""

from __future__ import annotations

import argparse
import contextlib
import re
import runpy
import shlex
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click
import pytest
from pages.reading import ROOT

from distill.cli.main import cli, run

SHORT = re.compile(r"--[a-z][a-z0-9-]*|-[a-z]")


class Parsed(BaseException):
    """The options of a script are known; what is left of its words."""


def run_command(command: str) -> None:
    """Run it in the current folder, with names such as photos/*.jpg spelled out as a shell does."""
    program, *given = shlex.split(command)
    words = [name for word in given for name in spelled_out(word)]
    if program == "distill":
        assert run(words) == 0, command
    else:
        assert program == "python", command
        try:
            run_script(words)
        except SystemExit as error:
            if error.code:
                fail(f"{error}: {command}")


def spelled_out(word: str) -> list[str]:
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


def run_script(words: list[str]) -> None:
    """Do what `python -m MODULE …` and `python FILE …` do."""
    with script_of(words) as (name, rest):
        sys.argv = [name, *rest]
        if words[0] == "-m":
            with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # it is imported already
                runpy.run_module(name, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(name, run_name="__main__")


@contextlib.contextmanager
def script_of(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Let a script import its neighbours, and put back afterwards what it found."""
    path, argv, modules = [*sys.path], sys.argv, set(sys.modules)
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield (words[1], words[2:]) if words[0] == "-m" else (str(ROOT / words[0]), words[1:])
    finally:
        sys.path[:], sys.argv = path, argv
        for name in set(sys.modules) - modules:
            if (ROOT / "benchmarks" / f"{name}.py").is_file():
                del sys.modules[name]


def check_command(command: str) -> None:
    """Take a command apart without running it: the program, and whatever options it is given, are there."""
    words = shlex.split(command)
    if words[:1] == ["distill"]:
        check_options(words[1:], command)
    elif words[:1] == ["python"] and words[1:3] != ["-m", "http.server"]:
        check_script(words[1:], command)
    elif words[:1] == ["make"]:
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert words[1] in targets, command
    elif words[:2] == ["pip", "install"]:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        named = re.search(r"\[(.*)\]", words[-1])
        assert named is not None, command
        assert set(named[1].split(",")) <= {*extras}, command
    for word in words:
        if word.startswith(("pipelines/", "docker/", "benchmarks/")):
            assert (ROOT / word).is_file(), command


def check_options(words: list[str], command: str) -> None:
    """Find the command that the words name in the tree of commands, and its options."""
    found: click.Command = cli
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        found = found.get_command(click.Context(found), words[0]) or fail(f"no command {words[0]}: {command}")
        words = words[1:]
    known = {name for option in found.params for name in (*option.opts, *option.secondary_opts)}
    for word in words:
        option = word.partition("=")[0]
        if SHORT.fullmatch(option):
            assert option in known | {"--help", "--version"}, f"{option} of {command!r}"


def check_script(words: list[str], command: str) -> None:
    """Start a script, and stop it where it has read its options; those that it hands on are of distill generate."""
    original = argparse.ArgumentParser.parse_known_args

    def parse_args(self, args=None, namespace=None):
        if rest := original(self, args, namespace)[1]:
            fail(f"unknown {rest}: {command}")
        raise Parsed([])

    def parse_known_args(self, args=None, namespace=None):
        raise Parsed(original(self, args, namespace)[1])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        patched.setattr(argparse.ArgumentParser, "parse_known_args", parse_known_args)
        try:
            run_script(words)
        except Parsed as parsed:
            check_options(["generate", *parsed.args[0]], command)
        except SystemExit as error:
            fail(f"{error}: {command}")
        else:
            fail(f"takes no options: {command}")


def fail(why: str) -> NoReturn:
    pytest.fail(why)
