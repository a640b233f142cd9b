"""`distill serve` before anybody comes: what it refuses, in one line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from data_sets import make_data_set

from distill.cli.main import run
from distill.serve.app import server


@pytest.fixture(autouse=True)
def with_gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where gradio is installed: nothing here comes so far that it is imported."""
    monkeypatch.setattr(server, "find_spec", lambda name: object())


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["serve", "--port", "0", *words]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


def test_without_gradio_it_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "find_spec", lambda name: None)
    assert "pip install 'distill[web]'" in refusal(capsys)


def test_what_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data_set(tmp_path / "begun", complete=False)
    (tmp_path / "empty").mkdir()
    for words, says in (
        (["no/such/run"], "no such file, and no student of that name"),
        ([str(tmp_path / "empty")], "in this folder"),
        (["portraits"], "not student; the students are"),
        (["ageing", "ageing"], "ageing is given twice"),
        (["--data", str(tmp_path / "empty")], str(tmp_path / "empty")),
        (["--data", str(tmp_path / "begun")], "not complete"),
        (["--data", str(tmp_path / "nowhere")], "nowhere"),
        (["ageing", "--generator", "nobody"], "unknown generator 'nobody'"),
        (["--token", "short"], "16 to 200 letters"),
        (["--host", "203.0.113.7"], "not an address of this machine"),
    ):
        assert says in refusal(capsys, *words)


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert f"port {port} of 127.0.0.1 is taken" in refusal(capsys, "--port", port)


def test_a_dry_run_says_what_would_be_offered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data_set(tmp_path / "data")
    words = ["serve", "ageing", "--generator", "portraits", "--data", str(tmp_path / "data")]
    assert run([*words, "--port", "0", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "photos: ageing, portraits (latent edit)" in out
    assert "teacher: portraits, 4 directions" in out
    assert f"data: data ({tmp_path / 'data'})" in out
    assert "open http" not in out
