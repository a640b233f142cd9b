"""The commands of README.md run in the order in which they stand, with small numbers; those of other pages parse."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from PIL import Image
from skimage import data as pictures

from distill.cli.main import cli, run

ROOT = Path(__file__).parents[1]
PAGES = subprocess.check_output(["git", "-C", ROOT, "ls-files", "*.md"], text=True).splitlines()

# What README.md tells to run and no test does, with the reason.
NOT_RUN = {
    "make demo": "the tests run in what it makes",
    "make test": "is this",
    ". .venv/bin/activate": "the tests run in it",
    "--cluster slurm": "needs a batch system: tests/jobs, with the marker slurm",
    "--cluster tls://": "needs a scheduler: tests/generation/test_cluster_tls.py",
    "--gpus": "needs GPUs: tests/training run two processes on CPUs",
    "distill weights fetch": "needs a network",
}
# Smaller numbers in the same commands, and quick features.
SMALLER = {
    r"--n \d+": "--n 16",
    r" --scorer face-api": "",
    r"(distill train-pix2pix .*)": r"\1 --minutes 0.03 --features pixels8 --val-fraction 0.3",
    r"(distill evaluate .* --data .*)": r"\1 --faces 2 --features pixels8 --perceptual none",
}


def commands_of(page: str) -> list[str]:
    """Return the command lines of the shell blocks of a page, without comments; continued lines are joined."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [text for line in lines if (text := re.sub(r"(^|\s)#.*", "", line).strip())]


def smaller(command: str) -> str:
    for pattern, replacement in SMALLER.items():
        command = re.sub(pattern, replacement, command)
    return command


def test_readme_has_no_more_than_1300_words() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 1300


def test_the_commands_of_the_readme_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("photo.jpg", "style.jpg", "photos/one.png"):
        Image.fromarray(pictures.astronaut()).save(name)
    ran = []
    for command in commands_of("README.md"):
        if any(part in command for part in NOT_RUN):
            continue
        program, *words = shlex.split(smaller(command))
        assert program == "distill", command
        assert run(words) == 0, command
        ran.append(command)
    assert len(ran) >= 11
    for made in ("swapped/photo.png", "older/pasted/one.png", "swapped-too/photo.png", "mixed/photo.png"):
        assert (tmp_path / made).is_file(), made


def test_every_exception_of_the_readme_is_needed() -> None:
    text = "\n".join(commands_of("README.md"))
    assert [part for part in NOT_RUN if part not in text] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_the_commands_of_a_page_know_their_options(page: str) -> None:
    for command in commands_of(page):
        for part in re.split(r"&&|\|\||;|\|", command):
            words = (
                shlex.split(part, comments=True) if part.count("'") % 2 == part.count('"') % 2 == 0 else []
            )
            if words[:1] == ["distill"] and "…" not in part:
                assert_known(words[1:], command)


def assert_known(words: list[str], command: str) -> None:
    """Find the command that the words name in the tree of commands, and its options."""
    found: click.Command = cli
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        found = found.get_command(click.Context(found), words[0]) or pytest.fail(
            f"no command {words[0]}: {command}"
        )
        words = words[1:]
    known = {name for option in found.params for name in (*option.opts, *option.secondary_opts)} | {
        "--help",
        "--version",
    }
    for word in words:
        option = word.partition("=")[0]
        if re.fullmatch(r"--[a-z][a-z0-9-]*|-[a-z]", option):
            assert option in known, f"{option} of {command!r}"
