"""Wrong command lines of every command end in one line and a documented code, and leave nothing behind."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from bad_command_lines import bad_line, commands, make_place

from distill.cli.main import run

CODES = (0, 1, 2)  # done after all, nothing worked, bad input
LINES, LENGTH = 3, 1_500


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_weights: Path) -> Path:
    folder = tmp_path_factory.mktemp("place")
    make_place(folder, tiny_weights)
    return folder


def entries(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def complaint(words: list[str], place: Path, capfd: pytest.CaptureFixture[str]) -> str | None:
    """Run a command line; say what is wrong with how it ended, or None."""
    before = entries(place)
    code = run(words)
    err = capfd.readouterr().err
    made = entries(place) - before
    for path in made:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    lines = err.splitlines()
    if code not in CODES:
        return f"exit code {code}: {err!a:.300}"
    if code == 0:
        return f"left {sorted(made)} in a dry run" if made and "--dry-run" in words else None
    if made:
        return f"left {sorted(path.relative_to(place) for path in made)}"
    if not lines or len(lines) > LINES or len(err) > LENGTH:
        return f"{len(lines)} lines, {len(err)} characters: {err!a:.300}"
    if "internal error" in err or "Traceback" in err or not all(line.isprintable() for line in lines):
        return f"told as {err!a:.500}"
    return None


def try_lines(count: int, seed: int, place: Path, capfd: pytest.CaptureFixture[str]) -> list[str]:
    rng, known = random.Random(seed), list(commands())
    found = []
    for number in range(count):
        words = bad_line(*known[number % len(known)], rng)
        what = complaint(words, place, capfd)
        if what:
            found.append(f"distill {' '.join(f'{word!a:.60}' for word in words)}: {what}")
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, as torch.compile is imported
def test_bad_command_lines(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert try_lines(200, 1, place, capfd) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, as torch.compile is imported
def test_many_bad_command_lines(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert try_lines(1_500, 2, place, capfd) == []
