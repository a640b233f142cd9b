"""`distill evaluate` on what faces show: who judges, what flips, on data sets and on photos."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image

from distill.attributes.builtin import network_sha256
from distill.attributes.judge import Judge, edited, open_judge, selecting
from distill.cli.main import run
from distill.errors import DistillError
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.student import StudentFacts, save_student
from distill.shards.digest import digest_of
from distill.shards.folder import write_manifest
from distill.shards.layout import ShardContent
from distill.shards.write import commit_shard
from distill.stylegan2 import projection

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"
SIDE = 128


class Brightness:
    """Judges a face by its mean: bright ones are of one class, and each level of grey is a year."""

    names: Sequence[str] = ("gender", "age")
    kinds = MappingProxyType({"gender": "probability", "age": "value"})
    sha256, needs_face = "ab" * 32, True

    def __call__(self, images, faces):
        mean = np.asarray(images).mean(axis=(1, 2, 3))
        return {"gender": (mean / 255).astype(np.float32), "age": mean.astype(np.float32)}


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> str:
    """The only judge there is, by the name that it is asked for."""

    def only(source: str, *, attributes: object, device: object) -> Judge:
        return Judge(name=source, scorer=Brightness(), hashes=frozenset({"ab" * 32}))

    monkeypatch.setattr("distill.evaluation.faces.open_judge", only)
    monkeypatch.setattr("distill.timing.WARM_UPS", 0)
    monkeypatch.setattr("distill.timing.LEAST", 1)
    monkeypatch.setattr("distill.timing.SECONDS", 0.0)
    return "mine"


def face(level: float) -> np.ndarray:
    """One face, FFHQ-like, whose mean is about this level of grey."""
    with Image.open(GOLDEN / "astronaut.png") as image:
        pixels = np.asarray(image.convert("RGB").resize((512, 512)))[:256, 96:352]
    small = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.LANCZOS)).astype(float)
    return np.clip(small * level / small.mean(), 0, 255).astype(np.uint8)


def make_faces(folder: Path, **recipe) -> Path:
    """Two pairs: a dark face that brightens a lot, and one that darkens a little."""
    facts = {"inputs": ["source"], "target": "target", "resolution": SIDE, "codec": "raw", "align": "gate"}
    recipe = {"task": "gender-swap", **facts, **recipe}
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(recipe))
    content = ShardContent(
        index=0,
        digest=digest_of(recipe),
        recipe_json=json.dumps(recipe),
        codec="raw",
        resolution=SIDE,
        images={"source": np.stack([face(90), face(100)]), "target": np.stack([face(140), face(95)])},
        columns={"candidate": np.arange(2)},
        tried={"candidate": np.arange(2), "reason": np.zeros(2, np.uint8)},
        reasons=("accepted",),
    )
    write_manifest(
        folder, recipe=recipe, digest=digest_of(recipe), n=2, reports=[commit_shard(folder, content)]
    )
    return folder


def make_student(folder: Path, *, images: int = 1, **facts) -> Path:
    folder.mkdir(parents=True)
    network = create(Architecture(inputs=3 * images, ngf=2, downsamplings=1, blocks=1), seed=0)
    save_student(folder / "student-best.safetensors", network, StudentFacts(**facts))
    return folder


def evaluated(capsys, *words: object) -> tuple[dict, str]:
    options = () if "--photos" in words else ("--features", "pixels8", "--perceptual", "none")
    assert run(["evaluate", *map(str, words), *options, "--device", "cpu", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    return facts, " ".join(facts["notes"])


def test_classes_that_flip_and_years_beside_the_baselines(tmp_path, capsys, judge):
    data, student = make_faces(tmp_path / "data"), make_student(tmp_path / "run")
    facts, notes = evaluated(capsys, student, "--data", data, "--scorer", judge)
    scores = facts["faces"]["scores"]
    assert scores.keys() == {"student", "copy_content", "target"}
    assert scores["copy_content"]["gender_flipped"] == scores["copy_content"]["age_moved"] == 0
    assert scores["copy_content"]["identity_distance"] == 0
    assert scores["target"]["gender_flipped"] == 0.5
    assert scores["target"]["gender_flipped_sure"] == 0
    assert scores["target"]["age_moved"] == pytest.approx((50 - 5) / 2, abs=2)
    assert "age_wanted" not in scores["target"]  # a swap of gender wants no age
    assert facts["scorer"] == {"name": "mine", "sha256": ["ab" * 32], "selected_data": False}
    assert "judged by the scorer mine; no scorer is known to have selected the data" in notes
    assert "A share of 2 faces is known to ±0.69" in notes
    table = (student / "evaluation" / "evaluation.md").read_text()
    assert "gender: share that changes class " in table
    assert "age: years moved by" in table


def test_a_judge_that_selected_the_data_is_warned_of(tmp_path, capsys, judge):
    chosen = {
        "name": "apart",
        "attribute": "age",
        "source": "lower",
        "scorer": "x",
        "scorer_sha256": "ab" * 32,
    }
    data = make_faces(tmp_path / "data", task="ageing", select=chosen)
    facts, notes = evaluated(capsys, make_student(tmp_path / "run"), "--data", data, "--scorer", judge)
    assert facts["scorer"]["selected_data"] is True
    assert "Warning: Attributes: judged by the scorer mine, which also selected the data" in notes
    assert facts["faces"]["scores"]["target"]["age_wanted"] == 0.5

    other = {**chosen, "scorer": "builtin", "scorer_sha256": "cd" * 32}
    data = make_faces(tmp_path / "other", select=other)
    _, notes = evaluated(capsys, make_student(tmp_path / "b"), "--data", data, "--scorer", judge)
    assert "which did not select the data (builtin did)" in notes


def test_photos(tmp_path, capsys, judge):
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(GOLDEN / "astronaut.png", photos / "me.png")
    Image.new("RGB", (200, 200), "navy").save(photos / "wall.jpg")
    student = make_student(
        tmp_path / "run", task="ageing", inputs=("source",), target="target", resolution=64
    )
    words = [student, "--photos", photos, "--scorer", judge]
    assert run(["evaluate", *map(str, words), "--dry-run"]) == 0
    assert "photos   " in capsys.readouterr().out
    assert not (student / "evaluation").exists()

    facts, notes = evaluated(capsys, *words)
    assert (facts["count"], facts["faces"], facts["resolution"]) == (2, 1, 64)
    assert facts["scores"].keys() == {"student", "copy_content"}
    assert facts["scores"]["student"].keys() == {
        *(
            "identity_distance",
            "same_person",
            "gender_flipped",
            "gender_flipped_sure",
            "gender_flipped_up",
            "gender_flipped_down",
            "age_moved",
            "age_wanted",
        )
    }
    assert facts["scores"]["copy_content"]["identity_distance"] == 0
    (row,) = facts["rows"]
    assert row["identity_distance"] == pytest.approx(facts["scores"]["student"]["identity_distance"])
    assert row["after"]["age"] - row["before"]["age"] == pytest.approx(
        facts["scores"]["student"]["age_moved"]
    )
    assert facts["skipped"][0]["reason"] == "no face"
    assert "1 left out: no face" in notes
    with Image.open(student / "evaluation" / "photos.png") as picture:
        assert picture.width > 2 * 128
    assert "age: share that moves the wanted way" in (student / "evaluation" / "photos.md").read_text()

    (photos / "me.png").unlink()
    assert run(["evaluate", *map(str, words)]) == 1
    assert "none of 1 photo gave a face (no face 1)" in capsys.readouterr().err


def test_the_edit_in_the_teacher_stands_beside_the_student(tmp_path, capsys, judge, monkeypatch):
    def two_steps(generator, images, *, steps, **rest):
        return projection.project(generator, images, steps=2, **rest)

    monkeypatch.setattr("distill.editing.latent_edit.project", two_steps)
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(GOLDEN / "astronaut.png", photos / "me.png")
    roles = {"inputs": ("source",), "target": "target", "resolution": 64}
    student = make_student(tmp_path / "run", task="ageing", generator="portraits", **roles)
    words = ["--photos", photos, "--scorer", judge, "--latent-edit"]
    facts, _ = evaluated(capsys, student, *words)
    assert facts["scores"].keys() == {"student", "latent_edit", "copy_content"}
    moved = {name: scores["age_moved"] for name, scores in facts["scores"].items()}
    assert moved["copy_content"] == 0
    assert abs(moved["latent_edit"]) > 1
    assert moved["latent_edit"] != moved["student"]
    assert "embedded, edited" in (student / "evaluation" / "photos.md").read_text()
    facts, _ = evaluated(capsys, student, *words, "--strength", "0.01", "--out", tmp_path / "hardly")
    assert facts["scores"]["latent_edit"]["age_moved"] < moved["latent_edit"] - 1
    assert run(["evaluate", str(student), "--photos", str(photos), "--strength", "2"]) == 2
    assert "--strength goes with --latent-edit" in capsys.readouterr().err

    for task, teacher, line in (
        (
            "style-mix",
            "portraits",
            "is for students of an edit along a direction; this one learned style-mix",
        ),
        ("ageing", None, "needs the student's teacher: name it with --teacher"),
    ):
        other = make_student(tmp_path / task, task=task, generator=teacher, **roles)
        assert run(["evaluate", str(other), *map(str, words)]) == 2
        assert line in capsys.readouterr().err


def test_photos_without_faces_leave_no_folder_and_the_report_is_no_photo(tmp_path, capsys, judge):
    photos, student = tmp_path / "photos", make_student(tmp_path / "run", inputs=("source",), resolution=64)
    photos.mkdir()
    Image.new("RGB", (200, 200), "teal").save(photos / "wall.png")
    words = ["evaluate", student, "--photos", photos, "--scorer", judge, "--out", photos / "deep" / "report"]
    assert run(list(map(str, words))) == 1
    assert not (photos / "deep").exists()
    shutil.copy(GOLDEN / "astronaut.png", photos / "me.png")
    for place in ("report", "again"):
        assert run([*map(str, words[:-1]), str(photos / "deep" / place), "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["count"] == 2


def test_photos_whose_names_are_no_text_are_measured_and_reported(tmp_path, capsys, judge):
    photos = tmp_path / os.fsdecode(b"caf\xe9")
    photos.mkdir()
    shutil.copy(GOLDEN / "astronaut.png", photos / os.fsdecode(b"me\xff.png"))
    student = make_student(tmp_path / "run", inputs=("source",), resolution=64)
    assert run(["evaluate", str(student), "--photos", str(photos), "--scorer", judge]) == 0
    assert r"caf\xe9" in capsys.readouterr().out
    facts = json.loads((student / "evaluation" / "photos.json").read_text())
    assert facts["rows"][0]["photo"].endswith(r"caf\xe9/me\xff.png")
    assert r"caf\xe9 (1)" in (student / "evaluation" / "photos.md").read_text()


def test_what_does_not_go_together_is_one_line(tmp_path, capsys):
    data, student = make_faces(tmp_path / "data"), make_student(tmp_path / "run")
    for words, line in (
        ([], "give one of --data DIR"),
        (["--data", data, "--photos", tmp_path], "give one of --data DIR"),
        (["--data", data, "--style", "x.png"], "--style goes with --photos"),
        (["--data", data, "--latent-edit"], "--latent-edit goes with --photos"),
        (["--data", data, "--scorer", "nobody"], "nobody: no such file; a scorer is 'builtin', 'face-api'"),
        (["--photos", tmp_path, "--features", "pixels8"], "--features goes with --data"),
        (["--photos", tmp_path, "--teacher", "portraits"], "--teacher goes with --latent-edit"),
        (["--photos", tmp_path / "none"], "no such file or folder"),
    ):
        assert run(["evaluate", str(student), *map(str, words), "--device", "cpu"]) == 2
        error = capsys.readouterr().err
        assert line in error
        assert error.count("\n") == 1


def test_judges_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path))
    with pytest.raises(DistillError, match="distill weights fetch face-api-age-gender"):
        open_judge("face-api")
    with pytest.raises(DistillError, match="cannot be read"):
        open_judge(f"face-api={tmp_path}")
    builtin = open_judge()
    assert builtin.name == "builtin"
    assert builtin.selected({"filters": [{"scorer": "builtin"}]})
    assert builtin.selected({"filters": [{"sha": network_sha256("age")}]})
    assert not builtin.selected({"filters": [{"scorer": "face-api"}], "task": "builtin"})
    assert selecting({"filters": [{"scorer": "face-api"}]}) == "face-api"
    assert selecting({"filters": []}) is None


@pytest.mark.parametrize(
    ("selected_by", "flag", "words"),
    [
        ({"scorer": "x", "scorer_sha256": "ab" * 32}, True, "which also selected the data"),
        ({"scorer": "x", "scorer_sha256": "cd" * 32}, False, "which did not select the data (x did)"),
        ({}, False, "no scorer is known to have selected the data"),
        (None, None, "who selected the data is not known here"),
    ],
)
def test_a_student_knows_who_selected_what_it_learned(tmp_path, capsys, judge, selected_by, flag, words):
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(GOLDEN / "astronaut.png", photos / "me.png")
    known = {"task": "ageing", "inputs": ("source",), "target": "target", "resolution": 64}
    student = make_student(tmp_path / "run", **known, selected_by=selected_by)
    facts, notes = evaluated(capsys, student, "--photos", photos, "--scorer", judge)
    assert facts["scorer"]["selected_data"] is flag
    assert words in notes


def test_the_builtin_judge_reads_what_the_data_set_changes() -> None:
    smile = {"select": {"name": "opposite", "attribute": "smile"}}
    several = {"select": {"name": "measured", "attributes": ["gender", "yaw", "hat"]}}
    assert edited(smile) == ("smile",)
    assert edited({}) == edited({"select": None}) == ()
    assert set(open_judge("builtin", attributes=edited(smile)).scorer.names) == {
        "gender",
        "age",
        "age_spread",
        "smile",
    }
    assert "yaw" in open_judge("builtin", attributes=edited(several)).scorer.names
    assert list(open_judge("builtin").scorer.names) == ["gender", "age", "age_spread"]
