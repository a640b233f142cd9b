"""`distill assess-teacher` as a user calls it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.cli.main import run
from distill.evaluation.card_section import marks
from distill.evaluation.teacher import AssessRequest, draw, latents
from distill.faces.outputs import write_stamp
from distill.stylegan2.load import load_generator
from distill.training.images import open_images
from distill.training.pictures import hold_out
from distill.weights.checkpoint import read_checkpoint, save_safetensors

BEGIN, END = marks("assessment")
FILES = ["assessment.md", "report.json", "samples-psi1.png", "samples.png", "truncation.png"]


@pytest.fixture
def pictures(tmp_path):
    """A folder of 9 pictures of noise."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, image in enumerate(np.random.default_rng(0).integers(0, 256, (9, 40, 32, 3), dtype=np.uint8)):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


QUICK = ("--no-faces", "--features", "pixels8")


def assess(*arguments):
    return run(["assess-teacher", *map(str, arguments)])


def test_pictures_report_and_text_are_written(tiny_weights, pictures, tmp_path, capsys):
    out = tmp_path / "out"
    command = (tiny_weights, "--data", pictures, "--samples", 6, *QUICK)
    assert assess(*command, "--out", out) == 0
    assert sorted(path.name for path in out.glob("[a-z]*")) == FILES
    report = json.loads((out / "report.json").read_text())
    assert report["score"]["name"] == "frechet_pixels8"
    assert (report["pictures"]["used"], report["pictures"]["total"]) == (9, 9)
    assert report["left_out"] == ["faces and likeness to training pictures: --no-faces was given"]
    text = capsys.readouterr().out
    assert "Fréchet distance ↓ (pixels8)" in text
    assert "left out: faces and likeness to training pictures: --no-faces was given" in text
    card = (out / "assessment.md").read_text()
    assert "6 samples of `tiny.safetensors`" in card
    assert "beside 9 of 9 training pictures (`pictures`)" in card
    assert str(tmp_path) not in card


def test_the_same_command_gives_the_same_files(tiny_weights, pictures, tmp_path):
    for name in ("a", "b"):
        assert assess(
            tiny_weights, "--data", pictures, "--samples", 3, *QUICK, "--out", tmp_path / name
        ) == 0  # fmt: skip
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_copies_of_training_faces_are_found(tmp_path, capsys):
    """The training pictures are samples of the teacher itself, one of them mirrored."""
    teacher = load_generator("portraits", precision="fp32")
    request = AssessRequest(source="portraits", samples=2)
    folder, out = tmp_path / "people", tmp_path / "out"
    folder.mkdir()
    for number, image in enumerate(draw(teacher, latents(teacher, request), 0.7)):
        Image.fromarray(image if number == 0 else image[:, ::-1]).save(folder / f"{number}.png")
    command = ("portraits", "--data", folder, "--samples", 2, "--out", out, "--features", "pixels8", "--json")
    assert assess(*command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((out / "report.json").read_text())
    assert report["faces"]["samples"]["one"] == report["faces"]["pictures"]["one"] == 1
    found = report["likeness"]
    assert found["copies"] == 1
    assert found["samples_to_training"]["least"] == pytest.approx(0, abs=1e-6)
    assert found["samples_to_training"]["percent_95"] < 0.25
    pairs = {pair["sample"]: (pair["picture"], pair["mirrored"]) for pair in found["nearest"]}
    assert pairs == {0: (0, False), 1: (1, True)}
    assert sorted(path.name for path in out.glob("[a-z]*")) == FILES, "no training picture is shown unasked"


def test_held_out_pictures_are_known_from_the_file(tiny_weights, pictures, tmp_path, capsys):
    trained = tmp_path / "trained.safetensors"
    facts = {
        "data_digest": open_images(pictures, resolution=32).digest,
        "training_images": 7,
        "seed": 5,
        "kimg": 1.5,
    }
    checkpoint = read_checkpoint(tiny_weights)
    save_safetensors(trained, replace(checkpoint, facts={**checkpoint.facts, **facts}))
    command = (trained, "--data", pictures, "--samples", 2, *QUICK, "--out", tmp_path / "o", "--json")
    assert assess(*command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["pictures"]["held_out"] == len(hold_out(9, 2, 5)[1]) == 2
    assert report["generator"]["training"]["kimg"] == 1.5
    (pictures / "0.png").unlink()
    assert assess(*command) == 0
    assert json.loads(capsys.readouterr().out)["pictures"]["held_out"] is None


def test_a_card_keeps_its_prose(tiny_weights, tmp_path):
    card = tmp_path / "tiny.md"
    card.write_text(f"# tiny\n\nProse.\n\n{BEGIN}\nold\n{END}\n\nLimits.\n")
    command = (tiny_weights, "--samples", 3, "--no-faces", "--out", tmp_path / "out", "--card", card)
    assert assess(*command) == 0
    text = card.read_text()
    assert text.startswith("# tiny\n\nProse.\n")
    assert text.endswith(f"{END}\n\nLimits.\n")
    assert "old" not in text
    assert "](tiny.png)" in text
    assert (tmp_path / "tiny.png").read_bytes() == (tmp_path / "out" / "samples.png").read_bytes()


def test_a_dry_run_writes_nothing(tiny_weights, pictures, tmp_path, capsys):
    out, card = tmp_path / "out", tmp_path / "card.md"
    assert assess(tiny_weights, "--data", pictures, "--out", out, "--card", card, "--dry-run") == 0
    text = capsys.readouterr().out
    assert "9 of 9" in text
    assert "about " in text
    assert not out.exists()
    assert not card.exists()


def test_teachers_of_other_domains_are_not_searched_for_faces(tiny_weights, tmp_path, monkeypatch, capsys):
    from distill.weights import registry

    monkeypatch.setattr(registry, "domain_of", lambda source: "car")
    assert assess(tiny_weights, "--dry-run", "--json", "--out", tmp_path / "out") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["faces"] is False
    assert "another domain (car)" in plan["left_out"]
    assert assess(tiny_weights, "--faces", "--dry-run", "--json", "--out", tmp_path / "out") == 0
    assert json.loads(capsys.readouterr().out)["faces"] is True


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "nowhere"], "no such file or folder"),
        (["--data", "empty"], "no files in"),
        (["--data", "one"], "1 picture"),
        (["--show-nearest"], "needs --data"),
        (["--pictures", "5"], "--pictures is of the overview beside --data"),
        (["--samples", "1"], "--samples"),
        (["--truncation-psi", "nan"], "truncation-psi"),
        (["--out", "note.txt"], "a folder is needed"),
        (["--card", "broken.md"], "broken.md: the card needs one line"),
        (["--card", "other.md"], "other.png is not shown by other.md"),
        (["--out", "pictures"], "pictures holds 1.png, and distill assess-teacher did not make it"),
        (["--card", "note.txt"], "ends in .md"),
        (["--card", "note.txt/card.md"], "a folder is needed"),
        (["--data", "pictures", "--features", "taste"], "unknown features"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_bad_input_is_one_line(tiny_weights, pictures, tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "one"):
        (tmp_path / name).mkdir()
    (pictures / "0.png").rename(tmp_path / "one" / "0.png")
    (tmp_path / "note.txt").write_text("a file")
    (tmp_path / "other.png").write_bytes(b"a picture")
    (tmp_path / "broken.md").write_text(f"{END} {BEGIN}")
    out = [] if "--out" in options else ["--out", "out"]
    assert assess(tiny_weights, "--no-faces", *out, *options) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_teacher_is_one_line(capsys):
    assert assess("portrait") == 2
    assert "did you mean portraits?" in capsys.readouterr().err


def test_an_interrupted_assessment_leaves_nothing(tiny_weights, tmp_path, monkeypatch, capsys):
    from distill.evaluation import teacher

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(teacher, "measure_variety", interrupted)
    assert assess(tiny_weights, "--samples", 2, "--out", tmp_path / "out") == 130
    assert capsys.readouterr().err.strip() == "distill: interrupted"
    assert not (tmp_path / "out").exists()


# ---- Places


def snapshot(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "dry run"])
@pytest.mark.parametrize("metrics", ["overview", "ppl_wend"])
@pytest.mark.parametrize(
    "name", ["metrics.json", "report.json", "samples.png", "manifest.json", "features/x"]
)
def test_a_folder_of_anything_else_is_left_alone(tiny_weights, tmp_path, capsys, name, metrics, dry):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("of someone else")
    before = snapshot(out)
    assert assess(tiny_weights, "--metrics", metrics, "--samples", 10, "--out", out, *dry) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{out} holds {Path(name).parts[0]}, and distill assess-teacher did not make it" in said
    assert snapshot(out) == before


def test_a_folder_of_another_command_is_left_alone(tiny_weights, tmp_path, capsys):
    write_stamp(tmp_path, "align", {"samples": ""})
    (tmp_path / "samples.png").write_text("of someone else")
    assert assess(tiny_weights, "--samples", 3, "--out", tmp_path) == 2
    assert "is a folder of distill align: choose another --out" in capsys.readouterr().err
    assert (tmp_path / "samples.png").read_text() == "of someone else"


def test_a_file_put_into_an_assessment_later_is_left_alone(tiny_weights, tmp_path, capsys):
    out = tmp_path / "out"
    assert assess(tiny_weights, "--samples", 3, "--no-faces", "--out", out) == 0
    (out / "metrics.json").write_text("of someone else")
    assert (
        assess(tiny_weights, "--metrics", "ppl_wend", "--samples", 10, "--out", out, "--cluster", "none") == 2
    )
    assert "metrics.json was not made by distill assess-teacher" in capsys.readouterr().err
    assert (out / "metrics.json").read_text() == "of someone else"


def test_the_same_command_renews_its_folder(tiny_weights, pictures, tmp_path):
    out = tmp_path / "out"
    command = (tiny_weights, "--samples", 3, "--no-faces", "--out", out)
    out.mkdir()
    assert assess(*command) == 0
    assert assess(*command, "--truncation-psi", 1) == 0
    left = sorted(path.name for path in out.glob("[a-z]*"))
    assert left == ["assessment.md", "report.json", "samples.png", "truncation.png"], (
        "no picture at another psi"
    )


def test_a_card_behind_a_link_is_written_where_it_lies(tiny_weights, tmp_path):
    real, link = tmp_path / "cards" / "real.md", tmp_path / "card.md"
    real.parent.mkdir()
    real.write_text("# tiny\n")
    link.symlink_to(real)
    command = (tiny_weights, "--samples", 3, "--no-faces", "--out", tmp_path / "out", "--card", link)
    for _ in range(2):
        assert assess(*command) == 0
    assert link.is_symlink()
    assert "](real.png)" in real.read_text()
    assert (real.parent / "real.png").is_file()


def test_a_read_only_place_of_a_card_is_told_of_the_card(tiny_weights, tmp_path, monkeypatch, capsys):
    allowed = os.access
    monkeypatch.setattr("os.access", lambda path, mode: "cards" not in str(path) and allowed(path, mode))
    (tmp_path / "cards").mkdir()
    command = (tiny_weights, "--samples", 3, "--out", tmp_path / "out", "--card", tmp_path / "cards" / "c.md")
    assert assess(*command) == 2
    said = capsys.readouterr().err
    assert "no permission to write there: choose another --card" in said
    assert not (tmp_path / "out").exists()
