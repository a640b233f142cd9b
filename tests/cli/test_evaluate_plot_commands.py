"""`distill evaluate` and `distill plot` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import DIGEST, make_data_set
from PIL import Image

from distill.cli.main import run
from distill.evaluation import student_scores
from distill.evaluation.report import draw_samples, score_table, verdict
from distill.evaluation.student_scores import Evaluation, unbeaten
from distill.evaluation.times import open_teacher, teacher_times
from distill.networks.perceptual import load_perceptual
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.student import StudentFacts, save_student
from distill.shards.dataset import TripletDataset
from distill.shards.split import split_rows
from distill.timing import ImageTime

QUICK = ("--features", "pixels8", "--perceptual", "none", "--faces", "0", "--device", "cpu")


@pytest.fixture(autouse=True)
def little_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.timing.WARM_UPS", 0)
    monkeypatch.setattr("distill.timing.LEAST", 1)
    monkeypatch.setattr("distill.timing.SECONDS", 0.0)


def make_student(folder: Path, *, images: int = 2, **facts) -> Path:
    """A run's folder with a student of random weights."""
    folder.mkdir(parents=True)
    network = create(Architecture(inputs=3 * images, ngf=4, downsamplings=1, blocks=1), seed=0)
    save_student(folder / "student-best.safetensors", network, StudentFacts(**facts))
    return folder


def evaluated(capsys, *words: object) -> dict:
    assert run(["evaluate", *map(str, words), *QUICK, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_table_a_json_and_a_picture(tmp_path, capsys):
    make_data_set(tmp_path / "data")
    student = make_student(tmp_path / "run")
    assert run(["evaluate", str(student), "--data", str(tmp_path / "data"), *QUICK]) == 0
    out, folder = capsys.readouterr().out, student / "evaluation"
    table = (folder / "evaluation.md").read_text()
    assert table in out
    assert "copy the content" in table
    assert "mean of inputs" in table
    facts = json.loads((folder / "evaluation.json").read_text())
    assert facts["scores"].keys() == {"student", "copy_content", "mean_of_inputs"}
    assert facts["scores"]["student"].keys() == {"l1", "ssim", "frechet_pixels8"}
    assert (facts["rows"], facts["part"], facts["resolution"]) == (6, "all", 16)
    assert facts["milliseconds_per_image"]["student"]["value"] > 0
    assert facts["milliseconds_per_image"]["embedding_and_edit"]["value"] is None
    with Image.open(folder / "samples.png") as picture:
        assert picture.height > 6 * 128
        assert picture.width > 6 * 128


def test_the_baselines_are_those_of_the_images(tmp_path, capsys):
    make_data_set(tmp_path / "data")
    facts = evaluated(capsys, make_student(tmp_path / "run"), "--data", tmp_path / "data")
    dataset = TripletDataset(tmp_path / "data", dtype="float32")
    rows = [dataset[i] for i in range(len(dataset))]
    missed = [(row["content"] - row["mixed"]).abs().mean().item() / 2 for row in rows]
    assert facts["scores"]["copy_content"]["l1"] == pytest.approx(np.mean(missed), rel=1e-5)
    blends = [((row["content"] + row["style"]) / 2 - row["mixed"]).abs().mean().item() / 2 for row in rows]
    assert facts["scores"]["mean_of_inputs"]["l1"] == pytest.approx(np.mean(blends), rel=1e-5)


def test_the_rows_held_out_from_training_count(tmp_path, capsys):
    make_data_set(tmp_path / "data")
    known = {"inputs": ("content", "style"), "target": "mixed", "resolution": 16, "seed": 3}
    held = split_rows(TripletDataset(tmp_path / "data"), fraction=0.5, seed=3)[1]
    assert 0 < len(held) < 6
    student = make_student(tmp_path / "a", data_digest=DIGEST, val_fraction=0.5, **known)
    facts = evaluated(capsys, student, "--data", tmp_path / "data", "--out", tmp_path / "found")
    assert (facts["rows"], facts["part"]) == (len(held), "validation")
    assert (tmp_path / "found" / "evaluation.json").is_file()

    other = make_student(tmp_path / "b", data_digest="ba9876543210", val_fraction=0.5, **known)
    facts = evaluated(capsys, other, "--data", tmp_path / "data")
    assert (facts["rows"], facts["part"]) == (6, "all")
    assert f"another data set, ba9876543210, not {DIGEST}" in facts["why"]

    everything = make_student(tmp_path / "c", data_digest=DIGEST, val_fraction=0.0, **known)
    facts = evaluated(capsys, everything, "--data", tmp_path / "data", "--limit", 2)
    assert (facts["rows"], facts["part"]) == (2, "all")
    assert "trained on these very rows" in facts["why"]


@pytest.mark.parametrize(
    ("changes", "shares"),
    [
        ({"edit": {"name": "style-mix", "pairing": {"name": "ring", "length": 4}}}, True),
        ({"truncation_psi": 0.6}, True),
        ({"seed": 1}, False),
        ({"edit": {"name": "morph"}}, False),
        ({"generator": None}, False),
        ({}, False),  # the same data set
    ],
)
def test_faces_that_two_data_sets_share_are_told(tmp_path, capsys, changes, shares):
    make_data_set(tmp_path / "data", **changes)
    drawn = {"generator_sha256": "ab" * 32, "edit": "style-mix", "seed": 0}
    student = make_student(tmp_path / "run", data_digest=DIGEST, val_fraction=0.0, seed=0, drawn=drawn)
    assert run(["evaluate", str(student), "--data", str(tmp_path / "data"), *QUICK, "--json"]) == 0
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if "shares faces" in line]
    notes = [note for note in json.loads(said.out)["notes"] if "shares faces" in note]
    assert (len(lines), len(notes)) == ((1, 1) if shares else (0, 0))
    for line in (*lines, *notes):
        assert DIGEST in line
        assert str(tmp_path / "data") in line
        assert "--seed 0" in line


def test_smaller_images_than_stored_where_it_was_trained_on_them(tmp_path, capsys):
    make_data_set(tmp_path / "data", resolution=32)
    student = make_student(tmp_path / "run", resolution=16)
    assert evaluated(capsys, student, "--data", tmp_path / "data")["resolution"] == 16


def test_one_input_has_one_baseline(tmp_path, capsys):
    make_data_set(tmp_path / "data", task="gender-swap", inputs=["source"], target="target")
    facts = evaluated(capsys, make_student(tmp_path / "run", images=1), "--data", tmp_path / "data")
    assert facts["scores"].keys() == {"student", "copy_content"}
    assert any("one baseline" in note for note in facts["notes"])


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    make_data_set(tmp_path / "data")
    student = make_student(tmp_path / "run")
    words = ["evaluate", str(student), "--data", str(tmp_path / "data"), "--dry-run"]
    assert run(words) == 0
    assert "rows     6 (all:" in capsys.readouterr().out
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["out"] == str(student / "evaluation")
    assert not (student / "evaluation").exists()


@pytest.mark.parametrize(
    ("student", "words"),
    [
        ({"images": 1}, "the network takes 3 input channels (1 image), the images have 6 (2 images)"),
        ({"images": 1, "inputs": ("source",), "target": "mixed"}, "no role 'source'; it has content, style"),
        ({"resolution": 6}, "resolution 6: the shards hold 16 px"),
    ],
)
def test_a_student_that_does_not_fit_is_one_line(tmp_path, capsys, student, words):
    make_data_set(tmp_path / "data")
    folder = make_student(tmp_path / "run", **student)
    assert run(["evaluate", str(folder), "--data", str(tmp_path / "data"), *QUICK]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not (folder / "evaluation").exists()


def test_what_is_not_there_is_one_line(tmp_path, capsys):
    make_data_set(tmp_path / "data")
    student = make_student(tmp_path / "run")
    for source, data in ((tmp_path / "none", "data"), (student, "nothing"), (tmp_path / "data", "data")):
        assert run(["evaluate", str(source), "--data", str(tmp_path / data), *QUICK]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "file").write_bytes(b"")
    out = str(tmp_path / "file" / "below")
    assert run(["evaluate", str(student), "--data", str(tmp_path / "data"), "--out", out, *QUICK]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--features", "fp64"], "unknown features 'fp64'"),
        (["--perceptual", "fp64"], "unknown perceptual features 'fp64'"),
        (["--scorer", "nobody", "--faces", "2"], "nobody: no such file; a scorer is"),
        (["--teacher", "nobody"], "unknown generator 'nobody'"),
    ],
)
def test_names_that_are_unknown_are_refused_before_the_work(
    tmp_path, capsys, monkeypatch, option, words, dry
):
    make_data_set(tmp_path / "data", align="gate")
    student = make_student(tmp_path / "run")
    monkeypatch.setattr(student_scores, "answers", lambda *args: pytest.fail("the work began"))
    quick = [
        "--features",
        "pixels8",
        "--perceptual",
        "none",
        "--faces",
        "0",
        "--out",
        str(tmp_path / "a" / "b"),
    ]
    assert run(["evaluate", str(student), "--data", str(tmp_path / "data"), *quick, *option, *dry]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_images_out_of_memory_say_what_to_do(tmp_path, capsys, monkeypatch):
    make_data_set(tmp_path / "data")
    student = make_student(tmp_path / "run")

    def full(*args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(student_scores, "answers", full)
    assert run(["evaluate", str(student), "--data", str(tmp_path / "data"), *QUICK]) == 2
    assert "out of memory with --batch 8; take a smaller one" in capsys.readouterr().err


def test_the_teacher_is_timed_where_it_can_be_had(tiny_weights, tiny_teacher, monkeypatch, tmp_path):
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path))
    recipe = {"generator": {"name": "tiny.safetensors", "sha256": tiny_teacher.sha256}}
    teacher = open_teacher(recipe, str(tiny_weights), "cpu")
    timed = teacher_times(recipe, teacher, batch=2, perceptual=load_perceptual("efficientnet_lite0"))
    assert "batch 2, 32 px" in timed["teacher_edit"].how
    assert "300 steps by the time of 10, batch 1, 32 px" in timed["embedding_and_edit"].how
    assert timed["embedding_and_edit"].milliseconds > 10 * timed["teacher_edit"].milliseconds > 0
    moved = {**recipe, "edit": {"name": "region-swap", "shares": {"settings": {"steps": 20}}}}
    swapped = teacher_times(moved, teacher, batch=2, perceptual=load_perceptual("efficientnet_lite0"))
    assert "20 steps by the time of 10, batch 4, 32 px" in swapped["teacher_edit"].how
    assert swapped["teacher_edit"].milliseconds > 5 * timed["teacher_edit"].milliseconds
    blind = load_perceptual("none")
    assert teacher_times(moved, teacher, batch=2, perceptual=blind)["teacher_edit"].milliseconds is None
    timed = teacher_times(recipe, teacher, batch=2, perceptual=blind)
    assert timed["teacher_edit"].milliseconds is not None
    assert timed["embedding_and_edit"].milliseconds is None
    for generator, words in (
        (recipe["generator"], "say where it is with --teacher"),
        ({"name": "ffhq-256", "sha256": "0" * 64}, "distill weights fetch ffhq-256"),
        ({"name": "portraits", "sha256": "0" * 64}, "the recipe's 000000000000"),
        (None, "the recipe names no generator"),
    ):
        recipe = {"generator": generator}
        teacher = open_teacher(recipe, None, "cpu")
        for missing in teacher_times(recipe, teacher, batch=2, perceptual=blind).values():
            assert missing.milliseconds is None
            assert words in missing.how


def found(student: dict[str, float], mean: dict[str, float]) -> Evaluation:
    copied = {"l1": 0.2, "ssim": 0.5, "frechet_inception": 9.0}
    return Evaluation(
        rows=3,
        scores={"student": student, "copy_content": copied, "mean_of_inputs": mean},
        faces={},
        face_rows=0,
        between_people=None,
        times={"student": ImageTime(1.0, "here")},
        shown=[],
    )


def test_a_verdict_for_people():
    good = found(
        {"l1": 0.1, "ssim": 0.7, "frechet_inception": 1.0}, {"l1": 0.3, "ssim": 0.2, "frechet_inception": 5.0}
    )
    assert verdict(good).startswith(
        "L1 is 0.50 times that of copying the content. The student beats copy the content and"
    )
    bad = found({"l1": 0.1, "ssim": 0.4, "frechet_inception": float("nan")}, good.scores["mean_of_inputs"])
    assert unbeaten(bad) == {
        "l1": [],
        "ssim": ["copy_content"],
        "frechet_inception": ["copy_content", "mean_of_inputs"],
    }
    assert verdict(bad).endswith("does not beat copy the content in SSIM, FID; nor mean of inputs in FID.")
    lines = score_table(bad).splitlines()
    assert len({len(line) for line in lines}) == 1  # aligned
    assert "FID ↓" in score_table(bad)
    assert "not finite" in score_table(bad)


def test_the_sample_picture_has_a_column_for_each_name():
    row = {name: np.full((16, 16, 3), shade, np.uint8) for name, shade in (("input: a", 0), ("student", 128))}
    picture = draw_samples([row, row], note="2 rows")
    assert (picture == 128).all(axis=-1).sum() == 2 * 128 * 128


# ---- plot


def write_stats(folder: Path) -> Path:
    folder.mkdir()
    lines = [json.dumps({"samples": 1000 * i, "loss_g": 1 / i, "l1": 0.1 / i}) for i in (1, 2, 3)]
    (folder / "stats.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_plot_writes_a_picture_beside_the_run_or_where_it_is_told(tmp_path, capsys):
    a, b = write_stats(tmp_path / "a"), write_stats(tmp_path / "b")
    assert run(["plot", str(a)]) == 0
    assert capsys.readouterr().out == f"{a / 'curves.png'}\n"
    with Image.open(a / "curves.png") as picture:
        assert picture.format == "PNG"
    out = tmp_path / "both.svg"
    assert run(["plot", str(a), str(b), "--only", "loss", "--smooth", "2", "--out", str(out)]) == 0
    assert out.read_text().startswith("<?xml")


def test_plot_of_another_file_asks_for_a_run(tmp_path, capsys):
    (tmp_path / "passwd").write_text("root:x:0:0\nmail:x:1:1\n")
    assert run(["plot", str(tmp_path / "passwd")]) == 2
    err = capsys.readouterr().err
    assert "no line of it is one of training; name the folder of a training run" in err
    assert run(["plot", "x", "--out", ""]) == 2
    assert "'--out': the name is empty" in capsys.readouterr().err


def test_plot_refuses_in_one_line(tmp_path, capsys):
    a, b = write_stats(tmp_path / "a"), write_stats(tmp_path / "b")
    for words in ([a, b], [a, "--out", tmp_path / "x.gif"], [tmp_path], [tmp_path / "none"]):
        assert run(["plot", *map(str, words)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not (a / "curves.png").exists()
