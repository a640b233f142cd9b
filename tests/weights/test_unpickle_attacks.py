"""Nothing in a file is ever executed, and whatever is wrong with it comes out as one line."""

from __future__ import annotations

import codecs
import copyreg
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from checkpoint_files import (
    golden_state,
    small_state,
    write_nvidia_pytorch,
    write_nvidia_tensorflow,
    write_rosinality,
)
from execution_watch import watching
from pickle_attacks import corpus, executions

from distill.errors import UnsafePickle, UnsupportedCheckpoint
from distill.weights.checkpoint import read_checkpoint


def outcome(path: Path, events: list[str] | None = None) -> str | None:
    """Read a file under watch; return the message of its refusal, None where it was read."""
    try:
        with watching([] if events is None else events):
            read_checkpoint(path)
    except (UnsafePickle, UnsupportedCheckpoint) as error:
        return str(error)
    return None


# Names of the corpus need no file: the canary's folder serves only for the assembling.
NAMES = list(corpus(Path(tempfile.mkdtemp()) / "canary"))


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The corpus; good files are read first, so that lazy imports of the standard library are over."""
    folder = tmp_path_factory.mktemp("attacks")
    codecs.lookup("cp437")  # of names in a zip archive
    for write in (write_nvidia_pytorch, write_nvidia_tensorflow, write_rosinality):
        read_checkpoint(write(folder / "good", small_state()))
    return corpus(folder / "canary")


def test_the_corpus_is_large() -> None:
    assert len(NAMES) > 150


@pytest.mark.parametrize("name", NAMES)
def test_attack(name: str, attacks: dict[str, bytes], tmp_path: Path) -> None:
    file = tmp_path / "weights.pkl"
    canary = tmp_path / "canary"
    content = {**attacks, **executions(canary)}[name]
    file.write_bytes(content)
    modules, events = set(sys.modules), list[str]()
    message = outcome(file, events)
    assert message is not None
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    assert len(message.removeprefix(str(file))) < 300
    assert events == []
    assert not canary.exists()
    assert set(sys.modules) == modules


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("os.system", "refused global os.system (byte 2"),
        ("GLOBAL with a line break", r"refused global os\nsystem.x\ny"),
        ("INST", "refused opcode INST"),
        ("dotted global dnnlib.util EasyDict.__class__", "refused global dnnlib.util.EasyDict.__class__"),
        ("pickle in a storage", "refused global os.system"),
        ("torch archive", "refused global os.system"),
        ("BINBYTES8", "truncated: BINBYTES8 needs 1,099,511,627,776 bytes, 1 are left (byte 2)"),
        ("no STOP", "truncated: the file ends at byte 3 without a STOP"),
        ("a TensorFlow pickle cut off", "truncated"),
        ("half a torch archive", "truncated"),
        ("tensor beyond its storage", "beyond its storage of 4 numbers"),
        ("expanded tensor", "beyond its storage of 4 numbers"),
        ("storage of 2**40 numbers", "truncated: storage 0 needs 2,199,023,255,552 bytes, 0 are left"),
        ("array bomb", "4 bytes do not make up [1048576, 1048576]"),
        ("three million opcodes", "more than 1,000,000 pickle operations"),
        ("one text encoded often", "MiB of memory"),
        ("laughs as modules", "modules nested deeper"),
        ("a web page", "web page"),
    ],
)
def test_message(name: str, said: str, attacks: dict[str, bytes], tmp_path: Path) -> None:
    file = tmp_path / "weights.pkl"
    file.write_bytes(attacks[name])
    message = outcome(file)
    assert message is not None
    assert said in message


def test_python_itself_runs_what_is_refused_here(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for name in ("os.system", "posix.system by GLOBAL", "eval", "exec", "subprocess"):
        pickle.loads(executions(canary)[name])
        assert canary.exists(), name
        canary.unlink()


@pytest.mark.usefixtures("attacks")
def test_registered_extensions_are_not_looked_up(tmp_path: Path) -> None:
    events: list[str] = []
    copyreg.add_extension("os", "system", 1)
    try:
        canary, file = tmp_path / "canary", tmp_path / "weights.pkl"
        for name in ("EXT1", "EXT2", "EXT4"):
            file.write_bytes(executions(canary)[name])
            message = outcome(file, events)
            assert message is not None
            assert "EXT" in message
            assert not canary.exists()
    finally:
        copyreg.remove_extension("os", "system", 1)
    assert events == []


@pytest.mark.parametrize("write", [write_nvidia_pytorch, write_nvidia_tensorflow, write_rosinality])
@pytest.mark.usefixtures("attacks")
def test_good_files_run_nothing_either(write: object, tmp_path: Path) -> None:
    """The source code in these files would end the test run."""
    assert callable(write)
    file = write(tmp_path / "weights", golden_state())
    events: list[str] = []
    assert outcome(file, events) is None
    assert events == []


@pytest.mark.parametrize("write", [write_nvidia_pytorch, write_nvidia_tensorflow, write_rosinality])
def test_every_truncation_is_refused(write: object, tmp_path: Path) -> None:
    assert callable(write)
    content = write(tmp_path / "weights", small_state()).read_bytes()
    file = tmp_path / "short"
    for size in range(1, len(content), max(1, len(content) // 150)):
        file.write_bytes(content[:size])
        assert outcome(file) is not None, size


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    from distill.errors import DistillError

    for path in (tmp_path, tmp_path / "nowhere.pkl"):
        with pytest.raises(DistillError, match=r"not a file|no such file"):
            read_checkpoint(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DistillError, match="not a file"):
        read_checkpoint(tmp_path / "pipe")


MEASURED = """
import resource, sys
from pathlib import Path
from distill.errors import UnsafePickle
from distill.weights.checkpoint import read_checkpoint
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_checkpoint(Path(sys.argv[1]))
except UnsafePickle as error:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)
"""


def test_texts_made_wide_by_one_character_count_as_wide(tmp_path: Path) -> None:
    """320 MiB of text take four times as much; the file itself may be counted among the memory of the process."""
    text = "x" * (8 << 20) + "\U0001f600"
    file = tmp_path / "weights.pkl"
    one = b"X" + len(text.encode()).to_bytes(4, "little") + text.encode()
    with file.open("wb") as out:
        out.write(b"\x80\x02(")
        for _ in range(40):
            out.write(one)
        out.write(b"t.")
    found = subprocess.run(
        [sys.executable, "-c", MEASURED, file], capture_output=True, text=True, check=True
    ).stdout
    used, _, said = found.partition(" ")
    assert "asks for more than 1,15" in said
    assert int(used) < 1_700
