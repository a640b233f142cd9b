"""What the `distill` command prints and how it exits."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import click
import pytest
from triplet_sets import make_triplets

from distill.__main__ import interrupt
from distill.cli.main import COMMANDS, cli, run
from distill.errors import DiskFull, DistillError, Incomplete, Interrupted, NothingWorked


def failing(monkeypatch, error):
    """Make `distill verify` raise an error."""

    @click.command("verify")
    def verify() -> None:
        raise error

    monkeypatch.setitem(sys.modules, "failing_command", SimpleNamespace(verify=verify))
    monkeypatch.setitem(COMMANDS, "verify", ("failing_command:verify", "Fail."))
    return run(["verify"])


def test_help_lists_every_command_and_imports_nothing_heavy():
    code = (
        "import sys, distill.cli.main as m\n"
        "code = m.run(['--help'])\n"
        "heavy = {'torch', 'numpy', 'h5py', 'dask', 'distributed', 'skimage', 'dlib', 'pydantic'}\n"
        "print('heavy:', sorted(heavy & sys.modules.keys()), code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: [] 0\n")
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


def test_every_command_of_the_table_exists_and_has_help(capsys):
    for name in COMMANDS:
        assert run([name, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: distill {name} ")


@pytest.mark.parametrize("args", [[], ["-h"], ["--help"], ["weights"]])
def test_help_goes_to_stdout_with_exit_code_0(args, capsys):
    assert run(args) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Usage: distill")
    assert err == ""


def test_version_is_that_of_the_installed_package(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"distill {importlib.metadata.version('distill')}\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["generat"], ["distill: no command 'generat'", "generate", "see 'distill --help'"]),
        (["--fast"], ["distill: ", "--fast", "see 'distill --help'"]),
        (["completion"], ["distill completion: ", "SHELL", "see 'distill completion --help'"]),
        (["weights", "info"], ["distill weights info: ", "NAME|PATH", "see 'distill weights info --help'"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(args, words, capsys):
    assert run(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert all(word in err for word in words)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DistillError("n is 0, must be at least 1"), 2, "distill: error: n is 0, must be at least 1"),
        (NothingWorked("no photo had a face"), 1, "distill: error: no photo had a face"),
        (Incomplete("1 of 8 shards failed"), 3, "distill: error: 1 of 8 shards failed"),
        (DiskFull("/data: full"), 4, "distill: error: /data: full"),
        (Interrupted("stopped after 3 shards"), 130, "distill: stopped after 3 shards"),
        (EOFError("no more"), 1, "distill: internal error: EOFError: no more"),
        (KeyboardInterrupt(), 130, "distill: interrupted"),
        (click.ClickException("of\nclick."), 2, "distill: error: of click"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            2,
            "distill: error: /x: Permission denied",
        ),
        (ValueError("two\nlines"), 1, "distill: internal error: ValueError: two lines (set DISTILL_DEBUG=1"),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(error, code, line, monkeypatch, capsys):
    assert failing(monkeypatch, error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.strip().startswith(line)
    assert err.strip().count("\n") == 0


def test_the_middle_of_a_very_long_value_is_left_out(capsys):
    assert run(["verify", "x" * 5_000]) == 2
    err = capsys.readouterr().err
    assert "xxx…xxx" in err
    assert len(err) < 500


def test_a_full_disk_that_nobody_foresaw_is_exit_code_4(monkeypatch, capsys):
    assert failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/data/x")) == 4
    assert "free some space and run the same command again" in capsys.readouterr().err


def test_the_traceback_is_there_on_request(monkeypatch, capsys):
    monkeypatch.setenv("DISTILL_DEBUG", "1")
    assert failing(monkeypatch, ValueError("deep")) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_int_that_a_command_returns_is_its_exit_code(monkeypatch):
    monkeypatch.setattr(type(cli), "invoke", lambda self, ctx: 3)
    assert run(["weights", "list"]) == 3


def test_a_reader_that_leaves_early_sees_no_traceback():
    code = "from distill.cli.main import main; main(['weights', 'list'])"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_a_script(shell, capsys):
    assert run(["completion", shell]) == 0
    assert "_DISTILL_COMPLETE" in capsys.readouterr().out


def test_python_m_distill_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "distill", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("distill ")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_while_modules_are_imported_is_exit_code_130(name, tmp_path):
    swallowing = f"import os, signal\ntry: os.kill(os.getpid(), signal.{name})\nexcept BaseException: pass"
    (tmp_path / "click.py").write_text(swallowing)  # the first thing that is imported
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "distill", "status", "."],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else a background job's is ignored
    )
    assert (done.returncode, done.stderr, done.stdout) == (130, "distill: interrupted\n", "")


def test_a_signal_to_a_command_that_runs_unwinds_it():
    with pytest.raises(KeyboardInterrupt):
        interrupt(signal.SIGTERM, SimpleNamespace(f_code=interrupt.__code__, f_back=None))


@pytest.mark.parametrize(
    ("words", "closed"),
    [
        ("generate --task style-mix --n 2 --align none", ">&- 2>&- <&-"),
        *(("merge {data}", closed) for closed in (">&-", "2>&-", "<&-")),
    ],
)
def test_a_closed_stream_changes_neither_the_work_nor_the_exit_code(words, closed, tmp_path):
    command, data = f"{sys.executable} -m distill", make_triplets(tmp_path / "data", rows=4, per_shard=4)
    good = subprocess.run(
        ["sh", "-c", f"{command} {words.format(data=data)} --out {tmp_path / 'a'} {closed}"]
    )
    bad = subprocess.run(["sh", "-c", f"{command} verify {tmp_path / 'nothing'} {closed}"])
    assert (good.returncode, bad.returncode) == (0, 2)
    assert (tmp_path / "a" / "manifest.json").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ("score-images", "x", "--out", ""),
        ("weights", "convert", "x", "--out", "."),
        ("export-student", "ageing", "--out", ""),
        ("translate", "x", "--model", "ageing", "--out", ""),
        ("align", "x", "--out", ""),
        ("import", "x", "--from", "folders", "--out", ""),
        ("render-avatars", "--out", ""),
        ("directions", "fit", "--out", ""),
        ("train-pix2pix", "--data", "x", "--out", ""),
        ("refilter", "x", "--where", "a < 1", "--out", ""),
        ("assess-teacher", "x", "--truncation-psi", "nan"),
    ],
)
def test_an_empty_name_and_a_number_that_is_none_are_refused_by_option(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    err = capsys.readouterr().err
    assert f"Invalid value for '{words[-2]}'" in err
    assert err.count("\n") == 1


def test_a_third_interrupt_ends_what_tidies_up() -> None:
    script = """
import signal
from distill.cli.signals import stop_on_signals

signal.signal(signal.SIGINT, signal.default_int_handler)
with stop_on_signals():
    signal.raise_signal(signal.SIGINT)
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        print("tidying", flush=True)
        signal.raise_signal(signal.SIGINT)
        print("tidied", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "tidying\n")
    assert done.stderr == "\nstopping after the work in hand; again to stop at once\ndistill: interrupted\n"
