"""`distill assess-teacher` as a user calls it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from distill.cli.main import run
from distill.evaluation.card_section import marks
from distill.evaluation.teacher import AssessRequest, draw, latents
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
    assert sorted(path.name for path in out.iterdir()) == FILES
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
    assert sorted(path.name for path in out.iterdir()) == FILES, "no training picture is shown unasked"


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
    command = (tiny_weights, "--samples", 3, *QUICK, "--out", tmp_path / "out", "--card", card)
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
        (["--samples", "1"], "--samples"),
        (["--truncation-psi", "nan"], "truncation-psi"),
        (["--out", "note.txt"], "a folder is needed"),
        (["--card", "broken.md"], "the card needs one line"),
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
