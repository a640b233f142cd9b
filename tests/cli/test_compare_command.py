"""`distill compare`: one table of methods on the same photographs, gone on with, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from comparisons import (
    BRIGHT,
    DARK,
    SIDE,
    BrightnessJudge,
    lit_face,
    write_cyclegan,
    write_faces,
    write_student,
)
from conditioned_students import make_conditioned
from PIL import Image
from torch import nn

from distill.attributes.judge import Judge
from distill.cli.main import run
from distill.evaluation.comparison.measure import PictureMeter
from distill.evaluation.comparison.student_drawer import StudentDrawer
from distill.networks.edits import EditAttribute
from distill.networks.stargan import StarGANArchitecture, create_generator
from distill.networks.student import StudentFacts, save_student
from distill.networks.vaegan import VAEGANShape, create_vaegan

FAST = ("--features", "pixels8", "--perceptual", "none", "--device", "cpu", "--scorer", "mine")


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only judge there is."""

    def only(source: str, *, device: object) -> Judge:
        return Judge(name=source, scorer=BrightnessJudge(), hashes=frozenset({"ab" * 32}))

    monkeypatch.setattr("distill.evaluation.comparison.run.open_judge", only)
    monkeypatch.setattr("distill.timing.WARM_UPS", 0)
    monkeypatch.setattr("distill.timing.LEAST", 1)
    monkeypatch.setattr("distill.timing.SECONDS", 0.0)


def words(photos: Path, out: Path, *more: object) -> list[str]:
    return ["compare", str(photos), "--edit", "gender=female", "--out", str(out), *FAST, *map(str, more)]


def compared(capsys, *given: object) -> dict:
    assert run([*words(*given[:2]), *map(str, given[2:]), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def error_of(capsys, *given: object) -> str:
    assert run(words(*given)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def write_pictures(folder: Path, levels=DARK, *, brighter: float = 100, side: int = SIDE) -> Path:
    """What another method made: the same faces, brighter."""
    folder.mkdir()
    for level in levels:
        Image.fromarray(lit_face(level + brighter, side)).save(folder / f"{level}.png")
    return folder


def test_methods_stand_beside_each_other(tmp_path: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos"), tmp_path / "out"
    student = write_student(tmp_path / "run")
    (student / "stats.jsonl").write_text(
        '{"samples": 1000, "seconds": 60}\n{"samples": 2000, "seconds": 90}\n{"samples": 3000, "seconds": 9}\n'
    )
    folder = write_pictures(tmp_path / "elsewhere")
    facts = compared(
        capsys, photos, out, "--method", f"mine={student}", "--method", f"other={folder}", "--align", "none"
    )
    rows = facts["rows"]
    assert list(rows) == ["copy the input", "real against real", "mine", "other"]
    assert (facts["faces"], facts["real"]) == (4, 8)
    copied, other = rows["copy the input"], rows["other"]
    assert (copied["success"], copied["identity_distance"], copied["same_person"]) == (0, 0, 1)
    assert (other["success"], other["no_face"]) == (1, 0)
    assert other["age_moved"] == pytest.approx(95, abs=10)
    assert other["kernel_pixels8"]["value"] < copied["kernel_pixels8"]["value"]
    assert other["kernel_pixels8"]["subset"] == 2
    assert rows["real against real"]["count"] == 0
    assert (rows["mine"]["training_images"], rows["mine"]["training_minutes"]) == (2000, 2.5)
    assert rows["mine"]["milliseconds_per_image"]["value"] > 0
    assert "tasks of this package" not in " ".join(facts["notes"])
    table = (out / "comparison.md").read_text()
    assert "| other " in table
    assert "Success: the share that shows apparent gender female, as mine reads it." in table
    listed = json.loads((out / "photos.json").read_text())
    assert [face["name"] for face in listed["faces"]] == [str(level) for level in DARK]
    assert len(list((out / "aligned").glob("*.png"))) == 4
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.height > 4 * 128
    assert "mine" in (out / "ab.html").read_text()


def test_the_same_command_goes_on_and_a_new_method_adds_a_row(tmp_path: Path, capsys, monkeypatch) -> None:
    photos, out = write_faces(tmp_path / "photos"), tmp_path / "out"
    first = ("--method", f"a={write_student(tmp_path / 'a')}")
    second = ("--method", f"b={write_student(tmp_path / 'b', seed=1)}")
    drawn, measured = [], []
    draw, measure = StudentDrawer.draw, PictureMeter.__call__

    def counted_draw(self, faces):
        drawn.extend(face.name for face in faces)
        return draw(self, faces)

    def interrupted(self, face, picture):
        if len(measured) == 6:
            raise KeyboardInterrupt
        measured.append(face.name)
        return measure(self, face, picture)

    monkeypatch.setattr(StudentDrawer, "draw", counted_draw)
    monkeypatch.setattr(PictureMeter, "__call__", interrupted)
    assert run(words(photos, out, *first)) == 130
    assert not (out / "comparison.json").exists()
    capsys.readouterr()
    monkeypatch.setattr(PictureMeter, "__call__", lambda *a: measured.append(a[1].name) or measure(*a))
    before = compared(capsys, photos, out, *first)
    assert len(drawn) == 4
    assert len(measured) == 6 + 2
    again = compared(capsys, photos, out, *first, *second)
    assert len(drawn) == 8
    assert len(measured) == 8 + 4
    assert again["rows"]["a"] == before["rows"]["a"]
    (out / "methods").glob("a-*").__next__().joinpath(f"{DARK[0]}.png").unlink()
    assert compared(capsys, photos, out, *first, *second)["rows"]["b"] == again["rows"]["b"]
    assert len(drawn) == 9


def test_another_list_in_the_same_folder_is_refused(tmp_path: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos"), tmp_path / "out"
    compared(capsys, photos, out, "--size", 256)
    before = (out / "photos.json").read_bytes()
    write_faces(photos, [63])
    assert "another list of photos: 1 file changed, first 63.png" in error_of(capsys, photos, out)
    (photos / "63.png").unlink()
    assert "size 256, not 128" in error_of(capsys, photos, out, "--size", "128")
    assert (out / "photos.json").read_bytes() == before
    assert "photos.json was not made by distill compare" in refused_folder(tmp_path, capsys, photos)


def refused_folder(tmp_path: Path, capsys, photos: Path) -> str:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photos.json").write_text("{}")
    return error_of(capsys, photos, tmp_path / "mine")


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos", [*DARK, *BRIGHT]), tmp_path / "run"
    out.mkdir()
    (out / "stats.jsonl").write_text("{}\n")
    assert "holds 'stats.jsonl' and no comparison: choose an empty" in error_of(
        capsys, photos, out, "--size", 256
    )
    assert [item.name for item in out.iterdir()] == ["stats.jsonl"]


def test_an_unknown_word_after_a_method_is_answered_by_those_there_are(tmp_path: Path, capsys) -> None:
    photos, student = write_faces(tmp_path / "photos", [*DARK, *BRIGHT]), write_student(tmp_path / "run")
    for what in (f"{student}:b2b", "portraits:foo", "gender-swap:foo"):
        line = error_of(capsys, photos, tmp_path / "out", "--method", f"m={what}")
        assert f"has no :{what[-3:]}: a generator takes w, w+, pti, encoder" in line
        assert "a2b or b2a" in line


def test_aligned_pictures_that_are_gone_are_cut_again(tmp_path: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos"), tmp_path / "out"
    before = compared(capsys, photos, out, "--size", 64)
    (out / "aligned" / f"{DARK[1]}.png").unlink()
    assert compared(capsys, photos, out) == before


def test_labels_and_a_folder_of_real_pictures(tmp_path: Path, capsys) -> None:
    photos, real = write_faces(tmp_path / "photos", DARK), write_faces(tmp_path / "real", BRIGHT)
    lines = [f"{level}.png,male" for level in DARK]
    (tmp_path / "labels.csv").write_text("\n".join(["file,gender", *lines]))
    labels = ("--labels", tmp_path / "labels.csv")
    assert "no photograph has gender=female: name real" in error_of(capsys, photos, tmp_path / "o", *labels)
    facts = compared(capsys, photos, tmp_path / "out", *labels, "--real", real, "--size", 256)
    assert (facts["faces"], facts["real"]) == (4, 8)


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos"), tmp_path / "out"
    student = write_student(tmp_path / "run")
    (tmp_path / "men.csv").write_text(
        "\n".join(["file,gender", *(f"{x}.png,female" for x in (*DARK, *BRIGHT))])
    )
    few = write_faces(tmp_path / "few", (*DARK[:2], *BRIGHT))
    (tmp_path / "few.csv").write_text("\n".join(["file,gender", *(f"{x}.png,male" for x in DARK[:2]),
                                                 *(f"{x}.png,female" for x in BRIGHT)]))  # fmt: skip
    sizes = write_faces(tmp_path / "sizes", (*DARK, *BRIGHT[1:]))
    write_faces(sizes, BRIGHT[:1], side=96)
    oblong = tmp_path / "oblong"
    oblong.mkdir()
    Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(oblong / "60.png")
    for given, line in (
        ((photos,), "no method has a size of its own at which to compare faces: add --size"),
        ((photos, "--method", f"a={student}", "--method", f"A={student}"), "two methods have this name"),
        ((photos, "--method", "gender-swap"), "NAME=WHAT is needed"),
        ((photos, "--method", "copy the input=x"), "a row of that name is in every table"),
        ((photos, "--method", "a=nothing-here"), "--method a: nothing-here: no such file, and no student"),
        ((photos, "--method", f"a={oblong}"), "has 16x8 px: squares are needed"),
        ((photos, "--method", f"a={student}:b2a"), "no b2a.safetensors in it: the other way"),
        ((photos, "--method", f"a={student}:smile=yes"), "it makes one change alone: leave out :smile=yes"),
        ((photos, "--method", "a=avatars:w"), "no direction 'gender' of the teacher avatars"),
        ((photos, "--edit", "gender=old"), "gender goes to female or male"),
        ((photos, "--edit", "smile=yes"), "the scorer mine reads gender, age"),
        ((photos, "--labels", tmp_path / "men.csv"), "no photograph is without gender=female"),
        (
            (few, "--labels", tmp_path / "few.csv"),
            "2 photographs to edit and 8 real ones: the kernel distance",
        ),
        ((sizes, "--align", "none"), "--align none takes squares of one size"),
        ((tmp_path / "none",), "no such folder of photographs"),
    ):
        assert line in error_of(capsys, given[0], out, *given[1:])
        assert not out.exists()


def test_a_folder_that_lacks_pictures_is_told_which(tmp_path: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos"), tmp_path / "out"
    folder = write_pictures(tmp_path / "elsewhere", DARK[1:])
    error = error_of(capsys, photos, out, "--method", f"other={folder}")
    assert f"1 photograph of 4 has no picture: {DARK[0]};" in error
    shutil.copy(out / "aligned" / f"{DARK[0]}.png", folder)
    assert compared(capsys, photos, out, "--method", f"other={folder}")["rows"]["other"]["count"] == 4


def test_a_dry_run_says_what_is_there_and_writes_nothing(tmp_path: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos"), tmp_path / "out"
    method = ("--method", f"mine={write_student(tmp_path / 'run')}")
    assert run(words(photos, out, *method, "--dry-run")) == 0
    assert "12 photographs; the scorer says which have gender=female already" in capsys.readouterr().out
    assert not out.exists()
    compared(capsys, photos, out, *method)
    assert run(words(photos, out, *method, "--dry-run")) == 0
    assert "4 photographs, 4 done already" in capsys.readouterr().out


def stargan() -> nn.Module:
    return create_generator(StarGANArchitecture(attributes=1, width=4, blocks=1), seed=0)


def vaegan() -> nn.Module:
    shape = VAEGANShape(height=16, width=16, latent=3, channels=4, hidden=7)
    return create_vaegan(shape, seed=0)[0].with_means(torch.ones(1, 3), torch.zeros(1, 3))


@pytest.mark.parametrize("make", [stargan, vaegan])
def test_a_student_that_takes_an_edit_is_told_it(
    make: Callable[[], nn.Module], tmp_path: Path, capsys
) -> None:
    photos, out = write_faces(tmp_path / "photos"), tmp_path / "out"
    known = EditAttribute(label="gender", value="female", values=("female", "male"))
    facts = StudentFacts(inputs=("image",), target="image", resolution=16, attributes=(known,))
    student = tmp_path / "student.safetensors"
    save_student(student, make(), facts)
    given = (
        "--method",
        f"a={student}",
        "--method",
        f"b={student}:gender=female",
        "--method",
        f"c={student}:gender=male",
    )
    found = compared(capsys, photos, out, *given, "--size", "64")
    rows = found["rows"]
    assert found["methods"]["a"]["edits"] == ["gender=female"]
    assert rows["a"]["l1_to_input"] == rows["b"]["l1_to_input"] != rows["c"]["l1_to_input"]
    assert "a works at 16 px: its pictures are scaled to 64 px" in " ".join(found["notes"])
    assert "--edit smile=yes: this student does not know it" in error_of(
        capsys, photos, out, "--method", f"d={student}:smile=yes"
    )


def test_true_pairs_add_the_distance_to_the_truth(tmp_path: Path, capsys) -> None:
    pairs = write_faces(tmp_path / "pairs", range(60, 124, 8))
    lines = ["source,older,age,older_age"]
    for level in range(60, 124, 8):
        Image.fromarray(lit_face(level + 40)).save(pairs / f"{level}-older.png")
        lines.append(f"{level}.png,{level}-older.png,30,60")
    (pairs / "pairs.csv").write_text("\n".join(lines))
    folder = write_pictures(tmp_path / "elsewhere", range(60, 124, 8), brighter=40, side=128)
    truth = ["compare", "--truth", pairs, "--edit", "older", "--out", tmp_path / "out", *FAST,
             "--method", f"true={folder}", "--align", "none", "--size", "128"]  # fmt: skip
    assert run([*map(str, truth), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows["true"]["l1_to_truth"] == rows["true"]["identity_to_truth"] == 0
    assert rows["true"]["ssim_to_truth"] == 1
    assert rows["true"]["success"] == 1
    assert rows["copy the input"]["l1_to_truth"] == pytest.approx(rows["true"]["l1_to_input"])
    assert rows["copy the input"]["success"] == 0
    assert "L1 to truth" in (tmp_path / "out" / "comparison.md").read_text()
    assert run([*map(str, truth), "--labels", "x.csv"]) == 2
    assert "--labels goes with PHOTOS" in capsys.readouterr().err


def write_swaps(folder: Path) -> Path:
    """True pairs of both genders; the judge takes all sources for men, as the table does not."""
    write_faces(folder, range(50, 130, 5))
    lines = ["source,sex_changed,sex"]
    for place, level in enumerate(range(50, 130, 5)):
        Image.fromarray(lit_face(level + 60)).save(folder / f"{level}-other.png")
        lines.append(f"{level}.png,{level}-other.png,{('male', 'female')[place % 2]}")
    (folder / "pairs.csv").write_text("\n".join(lines))
    return folder


def test_people_of_both_genders_each_get_the_other_one(tmp_path: Path, capsys) -> None:
    pairs = write_swaps(tmp_path / "pairs")
    run_of = write_cyclegan(tmp_path / "cg", ("men", "women"))

    def rows(out: str, *more: str) -> dict:
        given = ["compare", "--truth", pairs, "--column", "sex_changed", "--out", tmp_path / out, *FAST,
                 "--align", "none", "--size", "64"]  # fmt: skip
        for name, what in (("CycleGAN", ""), ("CycleGAN a/b", ":a2b"), ("CycleGAN b/a", ":b2a")):
            given += ["--method", f"{name}={run_of}{what}"]
        assert run([*map(str, given), *more, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    found = rows("both")
    listed = json.loads((tmp_path / "both" / "photos.json").read_text())
    assert [face["way"] for face in listed["faces"]] == [1, -1] * 8
    assert found["rows"]["copy the input"]["success"] == 0.5
    folders = {name: next((tmp_path / "both" / "methods").glob(f"{name}-????????????"))
               for name in ("CycleGAN", "CycleGAN-a-b", "CycleGAN-b-a")}  # fmt: skip
    for place, level in enumerate(range(50, 130, 5)):
        drawn, forth, back = ((folder / f"{level}.png").read_bytes() for folder in folders.values())
        assert drawn == (forth, back)[place % 2] != (back, forth)[place % 2]

    one = rows("women", "--edit", "gender=female")
    assert one["faces"] == 8
    assert one["left_out"] == {"the source has gender=female already": 8}
    assert one["rows"]["CycleGAN"]["l1_to_truth"] == one["rows"]["CycleGAN a/b"]["l1_to_truth"]


def test_a_table_of_pairs_with_an_unknown_word_is_refused(tmp_path: Path, capsys) -> None:
    pairs = write_swaps(tmp_path / "pairs")
    table = pairs / "pairs.csv"
    table.write_text(table.read_text().replace(",male", ",m"))
    given = [
        "compare",
        "--truth",
        pairs,
        "--column",
        "sex_changed",
        "--out",
        tmp_path / "out",
        *FAST,
        "--size",
        "64",
    ]
    assert run([*map(str, given)]) == 2
    assert "sex is 'm'; known are female, male" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_training_that_began_from_another_file_says_so(tmp_path: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos"), tmp_path / "out"
    whole, begun = write_student(tmp_path / "a"), write_student(tmp_path / "b", seed=1, init="parent.pth")
    facts = compared(capsys, photos, out, "--method", f"a={whole}", "--method", f"b={begun}")
    assert facts["rows"]["a"]["training_began_from"] is None
    assert facts["rows"]["b"]["training_began_from"] == "parent.pth"
    table = (out / "comparison.md").read_text().splitlines()
    cells = {name: next(line for line in table if line.startswith(f"| {name} ")) for name in "ab"}
    assert "2,000 + init" in cells["b"]
    assert "2,000" in cells["a"]
    assert "init" not in cells["a"]


def test_one_student_by_several_amounts(tmp_path: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos", range(60, 140, 5)), tmp_path / "out"
    make_conditioned(tmp_path / "run")
    methods = {"all": f"{tmp_path / 'run'}", "some": f"{tmp_path / 'run'}:age=+5"}
    given = [word for name, what in methods.items() for word in ("--method", f"{name}={what}")]
    facts = compared(capsys, photos, out, *given, "--edit", "age=older", "--align", "none")
    assert facts["methods"]["all"]["edits"] == ["age=+20"]
    assert facts["methods"]["some"]["edits"] == ["age=+5"]
    assert "all: told age=+20 years for age=older" in " ".join(facts["notes"])
    assert "some: told" not in " ".join(facts["notes"])
    name = next((out / "methods").glob("all-*/*.png")).name
    one, other = (next((out / "methods").glob(f"{method}-*/{name}")).read_bytes() for method in methods)
    assert one != other
