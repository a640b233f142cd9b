"""What `distill export-student --to web` writes, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from conditioned_students import make_conditioned

from distill.cli.main import run
from distill.editing.export import export_student
from distill.networks.student import StudentFacts, load_student, save_student
from distill.networks.vaegan import VAEGANShape, create_vaegan
from distill.serve import web_export
from distill.serve.web_export import PAGE, PROGRAM, RUNTIME
from distill.weights.registry import entry_of

LOCK = json.loads((PAGE.parent / "package-lock.json").read_text())["packages"]


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package like that of onnxruntime-web, in place of the fetched one."""
    package = tmp_path / "runtime.tgz"
    with tarfile.open(package, "w:gz") as members:
        for name in PROGRAM:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            members.addfile(info, io.BytesIO(name.encode()))
    monkeypatch.setattr(web_export, "runtime_package", lambda: package)
    return package


@pytest.fixture(autouse=True)
def needs_onnx() -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")


def export(source: object, out: Path, *options: str) -> int:
    return run(["export-student", str(source), "--to", "web", "--out", str(out), *options])


def test_a_page_is_written_whole(runtime: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "new" / "page"
    assert export("style-mix", page) == 0
    assert f"http.server --directory {page}" in capsys.readouterr().out
    facts = json.loads((page / "student.json").read_text())
    assert (facts["title"], facts["size"], facts["inputs"]) == ("style-mix", 64, ["photo", "style"])
    assert facts["marks"]["face"]["Comment"] == "Drawn by a neural network: the student style-mix"
    for file in facts["files"].values():
        assert (page / file["path"]).stat().st_size == file["bytes"]
    assert {"LICENSE", "ort.js", "ort.wasm"} == {path.name for path in (page / "runtime").iterdir()}
    assert (page / "faces" / "LICENSE").is_file()
    assert [path.name for path in page.parent.iterdir()] == ["page"]
    names = {path.name for path in page.rglob("*")}
    imported = {
        name for path in page.glob("*.js") for name in re.findall(r'from "\./([\w./]+)"', path.read_text())
    }
    assert {Path(name).name for name in imported} <= names


def test_changes_of_any_strength_are_told_with_their_ranges(runtime: Path, tmp_path: Path) -> None:
    make_conditioned(tmp_path / "run")
    assert export(tmp_path / "run", tmp_path / "page") == 0
    gender, age, smile = json.loads((tmp_path / "page" / "student.json").read_text())["conditions"]
    assert (gender["low"], gender["high"], gender["unit"], gender["ends"]) == (-1, 1, "", ["male", "female"])
    assert (age["name"], age["high"], age["unit"], age["ends"]) == ("age", 30, "years", ["younger", "older"])
    assert smile["kind"] == "probability"
    assert export(tmp_path / "run", tmp_path / "older", "--edit", "age=+20") == 0
    facts = json.loads((tmp_path / "older" / "student.json").read_text())
    assert (facts["conditions"], facts["title"]) == ([], "age=+20")


def test_weights_in_half_the_size_draw_nearly_the_same(tmp_path: Path) -> None:
    import onnxruntime

    student = make_conditioned(tmp_path / "run", scale=3.0)
    whole = export_student(student, tmp_path / "whole.onnx")
    half = export_student(student, tmp_path / "half.onnx", half=True)
    assert half.size < whole.size
    assert whole.difference < 1e-4 < half.difference < 0.05
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 16, 16)).astype(np.float32)
    feeds = {"images": x, "condition": np.array([[1, 20, 0]], np.float32)}
    drawn = [onnxruntime.InferenceSession(done.path).run(None, feeds)[0] for done in (whole, half)]
    assert np.abs(drawn[0] - drawn[1]).max() < 0.05


def test_an_earlier_page_is_replaced_only_when_told_and_nothing_else_ever(
    runtime: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, mine = tmp_path / "page", tmp_path / "mine"
    page.mkdir()
    assert export("ageing", page) == 0  # an empty folder will do
    assert export("gender-swap", page) == 2
    assert "replace it with --overwrite" in capsys.readouterr().err
    assert export("gender-swap", page, "--overwrite") == 0
    assert json.loads((page / "student.json").read_text())["title"] == "gender-swap"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    assert export("ageing", mine, "--overwrite") == 2
    assert "is not empty, and holds no page" in capsys.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_without_the_program_for_browsers_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    assert export("ageing", tmp_path / "page") == 2
    assert f"distill weights fetch {RUNTIME}" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_a_student_of_oblong_pictures_has_no_page(
    runtime: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = VAEGANShape(height=64, width=32, latent=5, channels=8, hidden=12, slope=0.2)
    network, _ = create_vaegan(shape, seed=0)
    save_student(tmp_path / "clothes.safetensors", network, StudentFacts(inputs=("image",)))
    assert load_student(tmp_path / "clothes.safetensors").architecture.sides == (64, 32)
    assert export(tmp_path / "clothes.safetensors", tmp_path / "page") == 2
    assert "pictures of 32×64 px, and the page cuts out squares" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_the_page_may_load_nothing_from_elsewhere() -> None:
    text = (PAGE / "index.html").read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    sources = {source for rule in rules.values() for source in rule.split()}
    assert sources == {"'none'", "'self'", "'wasm-unsafe-eval'", "blob:"}
    for path in (*PAGE.glob("*.js"), PAGE / "style.css", PAGE / "index.html"):
        links = re.findall(r"https?://[\w.:]+", path.read_text())
        assert [link for link in links if "localhost" not in link] == [], path


def test_the_table_and_the_lock_file_name_the_same_program() -> None:
    entry, locked = entry_of(RUNTIME), LOCK["node_modules/onnxruntime-web"]
    assert entry is not None
    assert (entry.url, entry.licence) == (locked["resolved"], locked["license"])
    assert locked["version"] in entry.summary
    if entry.path.is_file():
        digest = hashlib.sha512(entry.path.read_bytes()).digest()
        assert locked["integrity"] == "sha512-" + base64.b64encode(digest).decode()
