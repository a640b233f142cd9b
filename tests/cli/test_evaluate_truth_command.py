"""`distill evaluate --truth`: a student beside the true edit of the same faces."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.cli.main import run
from distill.lock import FolderLock
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.student import StudentFacts, save_student
from distill.stylegan2 import projection
from distill.weights.registry import embedded_entry

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"


def portrait() -> np.ndarray:
    with Image.open(GOLDEN / "astronaut.png") as image:
        return np.asarray(image.convert("RGB").resize((512, 512)).resize((256, 256)))


def make_pairs(folder: Path) -> Path:
    """Three people: one whose truth is the source itself, one much brighter, one of the same age."""
    folder.mkdir()
    bright = np.clip(portrait().astype(int) + 60, 0, 255).astype(np.uint8)
    rows = ["id,source,older,age,older_age"]
    for name, truth, years in (("a", portrait(), 20), ("b", bright, 20), ("c", bright, 5)):
        Image.fromarray(portrait()).save(folder / f"{name}.png")
        Image.fromarray(truth).save(folder / f"{name}-older.png")
        rows.append(f"{name},{name}.png,{name}-older.png,30,{30 + years}")
    (folder / "pairs.csv").write_text("\n".join(rows))
    return folder


def rewrite(folder: Path, old: str, new: str) -> None:
    table = folder / "pairs.csv"
    table.write_text(table.read_text().replace(old, new))


@pytest.fixture
def student(tmp_path: Path) -> Path:
    network = create(Architecture(inputs=3, ngf=2, downsamplings=1, blocks=1), seed=0)
    save_student(tmp_path / "student-best.safetensors", network, StudentFacts(resolution=64, task="ageing"))
    return tmp_path / "student-best.safetensors"


def test_a_student_stands_beside_the_truth(tmp_path: Path, student: Path, capsys) -> None:
    out = tmp_path / "found"
    assert run(["evaluate", str(student), "--truth", str(make_pairs(tmp_path / "pairs")), "--out", str(out),
                "--scorer", "builtin", "--perceptual", "none"]) == 0  # fmt: skip
    said = capsys.readouterr().out
    found = json.loads((out / "truth.json").read_text())
    copied, mine = found["scores"]["copy_content"], found["scores"]["student"]
    # One truth is the source, the other 60 of 255 brighter where it does not clip.
    assert 0.05 < copied["l1"] < 0.5 * 60 / 255
    assert mine["l1"] > copied["l1"]
    assert mine["identity_to_truth"] > copied["identity_to_truth"] >= 0
    assert found["count"] == 2
    assert found["too_close"] == 1
    assert "1 pair left out" in said
    assert "age_miss" in found["faces"]["student"]
    assert (out / "truth.png").exists()


@pytest.mark.parametrize("name", ["truth.png", "truth.md", "truth.json"])
def test_files_of_somebody_else_are_not_replaced(tmp_path: Path, student: Path, capsys, name: str) -> None:
    out = tmp_path / "found"
    out.mkdir()
    words = ["evaluate", str(student), "--truth", str(make_pairs(tmp_path / "pairs")), "--out", str(out),
             "--scorer", "builtin", "--perceptual", "none"]  # fmt: skip
    (out / name).write_text("mine")
    for more in (["--dry-run"], []):
        assert run([*words, *more]) == 2
        assert f"{name} was not made by distill evaluate" in capsys.readouterr().err
    assert (out / name).read_text() == "mine"
    (out / name).unlink()
    (out / name).mkdir()
    assert run(words) == 2
    assert f"{name} is a folder" in capsys.readouterr().err
    (out / name).rmdir()
    for _ in range(2):  # its own files are renewed
        assert run([*words, "--limit", "1"]) == 0
    with FolderLock(out):
        assert run(words) == 2
    assert "in use by pid" in capsys.readouterr().err


@pytest.fixture
def one_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first pair is embedded, in two steps."""

    def two_steps(generator, images, *, steps, **rest):
        return projection.project(generator, images, steps=2, **rest)

    monkeypatch.setattr("distill.editing.latent_edit.project", two_steps)
    monkeypatch.setattr("distill.evaluation.truth.LATENT_PAIRS", 1)


def test_the_edit_in_the_teacher_is_measured_on_some_of_the_pairs(
    tmp_path: Path, student: Path, capsys, one_embedded
) -> None:
    assert run(["evaluate", str(student), "--truth", str(make_pairs(tmp_path / "pairs")), "--latent-edit",
                "--teacher", "portraits", "--strength", "2", "--scorer", "builtin", "--perceptual", "none",
                "--out", str(tmp_path / "found")]) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert "A share of 2 faces is known to ±0.69" in said
    assert "is over 1 of these pairs. A share of 1 face is known to ±0.98" in said
    assert "portraits, along portraits-age by 2\n" in said
    found = json.loads((tmp_path / "found" / "truth.json").read_text())
    assert found["measured"] == {"student": 2, "copy_content": 2, "latent_edit": 1}
    assert found["latent_edit"]["direction"] == "portraits-age"
    assert found["latent_edit"]["strength"] == 2
    assert found["faces"]["latent_edit"].keys() == found["faces"]["student"].keys()
    assert found["faces"]["latent_edit"]["age_moved"] != found["faces"]["student"]["age_moved"]


def test_a_column_of_embedded_pairs_without_a_face_is_left_out(
    tmp_path: Path, student: Path, capsys, one_embedded
) -> None:
    folder, teacher = make_pairs(tmp_path / "pairs"), tmp_path / "mine.safetensors"
    Image.new("RGB", (256, 256), "grey").save(folder / "a.png")
    shutil.copy(embedded_entry("portraits").path, teacher)
    assert run(["evaluate", str(student), "--truth", str(folder), "--latent-edit", "--teacher", str(teacher),
                "--scorer", "builtin", "--perceptual", "none", "--out", str(tmp_path / "found")]) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert "embedded, edited: not measured: none of the pairs chosen to be embedded shows a face" in said
    assert "A share of 1 face" in said
    assert "mine.safetensors, along portraits-age by 3, the task's default" in said
    found = json.loads((tmp_path / "found" / "truth.json").read_text())
    assert (found["count"], found["without_face"]) == (1, 1)
    assert found["scores"].keys() == {"student", "copy_content"}


def test_a_teacher_without_such_a_direction_is_named(tmp_path: Path, student: Path, capsys) -> None:
    folder = make_pairs(tmp_path / "pairs")
    assert (
        run(["evaluate", str(student), "--truth", str(folder), "--latent-edit", "--teacher", "avatars"]) == 2
    )
    error = capsys.readouterr().err
    assert "no direction 'age' of the teacher avatars comes with distill" in error
    assert "people, portraits" in error


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "a-older.png").unlink(), "1 picture that is not there, first"),
        (lambda folder: Image.new("RGB", (40, 30)).save(folder / "b-older.png"), "256x256 px and b-older.png 40x30"),
        (lambda folder: (folder / "pairs.csv").unlink(), "no table"),
        (lambda folder: (folder / "more.csv").write_text("id,source"), "2 tables, more.csv and pairs.csv"),
        (lambda folder: (folder / "a.png").write_bytes(b"none"), "no picture that can be read"),
        (lambda folder: rewrite(folder, "source", "face"), "no column 'source'; its columns are id, face, older"),
        (lambda folder: rewrite(folder, "b-older.png", ""), "line 3 has nothing in column 'older'"),
        (lambda folder: rewrite(folder, "b.png", ""), "line 3 has nothing in column 'source'"),
        (lambda folder: rewrite(folder, "30,35", "30,nan"), "line 4 has 'nan' in column 'older_age', not an age"),
        (lambda folder: rewrite(folder, "30,35", "old,35"), "line 4 has 'old' in column 'age', not an age"),
        (lambda folder: (folder / "pairs.csv").write_text("id,source,older\n"), "and no pair below it"),
    ],
)  # fmt: skip
def test_a_broken_table_is_refused_in_one_line(tmp_path: Path, student: Path, capsys, spoil, message) -> None:
    folder = make_pairs(tmp_path / "pairs")
    spoil(folder)
    assert run(["evaluate", str(student), "--truth", str(folder), "--column", "older"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_pictures_beyond_the_limit_are_not_opened(tmp_path: Path, student: Path, capsys) -> None:
    folder = make_pairs(tmp_path / "pairs")
    (folder / "b.png").write_bytes(b"none")
    words = ["evaluate", str(student), "--truth", str(folder), "--scorer", "builtin", "--perceptual", "none",
             "--out", str(tmp_path / "found")]  # fmt: skip
    assert run([*words, "--limit", "1", "--dry-run"]) == 0
    (folder / "b-older.png").unlink()
    assert run([*words, "--limit", "1"]) == 0
    assert json.loads((tmp_path / "found" / "truth.json").read_text())["count"] == 1
    assert run([*words, "--limit", "2"]) == 2
    assert "1 picture that is not there, first" in capsys.readouterr().err


def test_a_column_that_is_not_there_and_options_that_do_not_go_together(
    tmp_path: Path, student: Path, capsys
) -> None:
    folder = make_pairs(tmp_path / "pairs")
    assert run(["evaluate", str(student), "--truth", str(folder), "--column", "younger"]) == 2
    assert (
        "no label column 'younger'; its columns are source, older, age, older_age" in capsys.readouterr().err
    )
    assert run(["evaluate", str(student), "--truth", str(folder), "--column", "source"]) == 2
    assert "--column source measures the pictures against themselves" in capsys.readouterr().err
    assert run(["evaluate", str(student), "--truth", str(folder), "--photos", str(folder)]) == 2
    assert run(["evaluate", str(student), "--photos", str(folder), "--column", "older"]) == 2


def test_pictures_that_lie_on_their_side_are_compared_upright(tmp_path: Path, student: Path, capsys) -> None:
    folder = make_pairs(tmp_path / "pairs")
    upright = Image.fromarray(portrait()).crop((0, 0, 256, 250))
    for name in ("a", "b"):
        upright.save(folder / f"{name}.png")
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by a quarter
        turned = upright.transpose(Image.Transpose.ROTATE_90)
        turned.save(folder / f"{name}-older.png", exif=exif)
    assert run(["evaluate", str(student), "--truth", str(folder), "--scorer", "builtin", "--perceptual", "none",
                "--out", str(tmp_path / "found"), "--json"]) == 0  # fmt: skip
    assert json.loads(capsys.readouterr().out)["scores"]["copy_content"]["l1"] == 0


@pytest.mark.parametrize("options", [["--truth", "--features", "pixels8"], ["--truth", "--faces", "3"],
                                     ["--photos", "--faces", "3"]])  # fmt: skip
def test_options_of_data_sets_are_refused(tmp_path: Path, student: Path, capsys, options) -> None:
    where, *more = options
    assert run(["evaluate", str(student), where, str(make_pairs(tmp_path / "pairs")), *more]) == 2
    assert "--data" in capsys.readouterr().err
