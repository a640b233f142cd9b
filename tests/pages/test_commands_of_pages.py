"""Every command of every page runs, in the order in which it stands, with small numbers; or it says why no test runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages.folder import Given
from pages.reading import MADE, PAGES, ROOT, commands_of, python_of, sentences_of, untold_commands
from pages.running import check_command, run_command
from pages.table import NOT_RUN, SMALLER, TABLE, all_commands, is_slow, smaller, why_not

WITH_COMMANDS = [page for page in PAGES if all_commands(page)]
SLOW = [page for page in TABLE if TABLE[page].slow]


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(tmp_path_factory.mktemp("given"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, pages_without_curves: None) -> None:
    """Time each network once, draw no curves, and take gradio for installed: nothing here opens the app."""
    for name, number in (("WARM_UPS", 0), ("LEAST", 1), ("SECONDS", 0.0)):
        monkeypatch.setattr(f"distill.timing.{name}", number)
    monkeypatch.setattr("distill.serve.app.server.find_spec", lambda name: object())


def run_page(page: str, *, slow: bool) -> list[str]:
    """Run the commands of a page in the current folder, without those that are slow if they are not asked for."""
    ran = []
    for command in all_commands(page):
        if why_not(page, command) is None and (slow or not is_slow(page, command)):
            run_command(smaller(page, command))
            ran.append(command)
    return ran


def test_every_page_with_commands_has_a_row() -> None:
    assert [*TABLE] == WITH_COMMANDS


@pytest.mark.parametrize("page", [page for page in TABLE if TABLE[page].slow != ("",)])
def test_the_commands_of_a_page_run_in_their_order(
    page: str, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given.put(TABLE[page].given, tmp_path)
    monkeypatch.chdir(tmp_path)
    ran = run_page(page, slow=False)
    left = [command for command in all_commands(page) if why_not(page, command) or is_slow(page, command)]
    assert sorted(ran + left) == sorted(all_commands(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW)
def test_the_slow_commands_of_a_page_run_too(
    page: str, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given.put(TABLE[page].given, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert any(is_slow(page, command) for command in run_page(page, slow=True))
