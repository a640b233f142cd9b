"""Every command of every page runs, in its order and with small numbers, or a table says why no test runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages.folder import Given
from pages.python_blocks import NOT_RUN as PYTHON_NOT_RUN
from pages.python_blocks import PYTHON
from pages.reading import PAGES, ROOT, python_of, sentences_of, untold_commands
from pages.rules import NOT_RUN, SMALLER
from pages.running import check_command, run_command
from pages.table import TABLE, all_commands, changing, is_slow, reasons, smaller, why_not
from PIL import Image
from torch import Tensor

from distill.editing.embedding import Embedder
from distill.stylegan2 import projection
from distill.stylegan2.generator import Generator

WITH_COMMANDS = [page for page in PAGES if all_commands(page)]
RUN = 210  # commands at least that are run, of all pages
SLOW = [page for page in TABLE if TABLE[page].slow]


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(tmp_path_factory.mktemp("given"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, pages_without_curves: None) -> None:
    """Time each network once, look for latents in two steps, tell people by few pixels, draw no curves.

    gradio is taken for installed: nothing here opens the app.
    """
    for name, number in (("WARM_UPS", 0), ("LEAST", 1), ("SECONDS", 0.0)):
        monkeypatch.setattr(f"distill.timing.{name}", number)
    for place in (
        "editing.embedding.OWN_STEPS",
        "editing.embedding.PIVOT_STEPS",
        "stylegan2.projection.STEPS",
    ):
        monkeypatch.setattr(f"distill.{place}", 2)
    monkeypatch.setattr("distill.editing.latent_edit.project", in_two_steps)
    monkeypatch.setitem(Embedder.__init__.__kwdefaults__, "tuning_steps", 2)
    monkeypatch.setattr("distill.faces.identity._network", lambda path: QuickDescriptor)
    monkeypatch.setattr("distill.serve.app.server.find_spec", lambda name: object())


class QuickDescriptor:
    """In place of dlib's network, which takes 0.2 s: the chip in grey, 8x16 px; people are near each other."""

    @staticmethod
    def compute_face_descriptor(chip: np.ndarray) -> np.ndarray:
        grey = Image.fromarray(chip).convert("L").resize((16, 8), Image.Resampling.BOX)
        return np.asarray(grey, np.float64).ravel() / 2550


def in_two_steps(generator: Generator, images: Tensor, **rest: Any) -> projection.Projected:
    return projection.project(generator, images, **{**rest, "steps": 2})


def run_page(page: str, *, slow: bool) -> list[str]:
    """Run the commands of a page in the current folder, without those that are slow if they are not asked for."""
    ran = []
    for command in all_commands(page):
        if why_not(page, command) is None and (slow or not is_slow(page, command)):
            run_command(smaller(page, command))
            ran.append(command)
    return ran


def test_the_readme_has_no_more_than_1300_words() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 1300


def test_every_page_with_commands_has_a_row() -> None:
    assert [*TABLE] == WITH_COMMANDS
    assert sum(why_not(page, command) is None for page in TABLE for command in all_commands(page)) >= RUN


def test_every_command_stands_in_a_block_that_is_read() -> None:
    assert {page: lines for page in PAGES if (lines := untold_commands(page))} == {}


def test_every_reason_is_needed() -> None:
    """Without it there would be a command that nobody runs and nobody explains."""
    alone = set()
    for page in TABLE:
        for command in all_commands(page):
            found = [*reasons(page, command)]
            alone |= {*found} if len(found) == 1 else set()
    assert {part for page in TABLE for part in (*TABLE[page].not_run, *NOT_RUN)} - alone == set()


def test_every_substitution_and_every_given_thing_is_needed() -> None:
    used = set()
    for page, row in TABLE.items():
        for command in all_commands(page):
            used |= {(page, pattern) for pattern in changing(page, command)}
        assert [pattern for pattern in row.smaller if (page, pattern) not in used] == [], page
        assert [name for name in row.given if not named(page, name)] == [], page
    assert {*SMALLER} - {pattern for _, pattern in used} == set()


def named(page: str, thing: str) -> bool:
    """Does a command of the page name it, with smaller numbers?"""
    text = " ".join(smaller(page, command) for command in all_commands(page))
    return Path(thing).stem in text


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_no_test_runs_know_their_options(page: str) -> None:
    for command in all_commands(page) if page in TABLE else ():
        if why_not(page, command):
            check_command(command)
    for command in sentences_of(page):
        if re.match(r"distill [a-z-]+ ", command) and "…" not in command:
            check_command(command)


def test_the_examples_of_the_reference_know_their_options() -> None:
    text = (ROOT / "REFERENCE.md").read_text().replace("\\\n", " ")
    blocks = [block.replace("\n    ", " ") for block in re.findall(r"^```\n(.*?)^```$", text, re.S | re.M)]
    found = [line for block in blocks for line in block.splitlines() if line.startswith("distill ")]
    examples = [re.sub(r"\s#.*", "", line) for line in found if "OPTIONS" not in line]
    assert len(examples) > 80
    for command in examples:
        check_command(command)


@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page) and page not in PYTHON_NOT_RUN])
def test_the_python_of_a_page_runs(
    page: str, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = PYTHON[page]
    given.put(row.given, tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(python_of(page)):
        exec(row.before, names | {"number": number}, names)
        for old, new in row.smaller.items():
            assert old in block
            block = block.replace(old, new)
        exec(compile(block, page, "exec"), names)
    exec(row.after, names)


def test_every_block_of_python_runs_or_says_why_not() -> None:
    assert sorted([*PYTHON, *PYTHON_NOT_RUN]) == sorted(page for page in PAGES if python_of(page))


@pytest.mark.parametrize("page", [page for page in TABLE if TABLE[page].slow != ("",)])
def test_the_commands_of_a_page_run_in_their_order(
    page: str, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given.put(TABLE[page].given, tmp_path)
    monkeypatch.chdir(tmp_path)
    ran = run_page(page, slow=False)
    left = [command for command in all_commands(page) if why_not(page, command) or is_slow(page, command)]
    assert sorted(ran + left) == sorted(all_commands(page))
    assert [name for name in TABLE[page].makes if not (tmp_path / name).is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW)
def test_the_slow_commands_of_a_page_run_too(
    page: str, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given.put(TABLE[page].given, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert any(is_slow(page, command) for command in run_page(page, slow=True))
