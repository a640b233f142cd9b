"""What is done with an uploaded photo, and the sentence that a bad one gets; no browser and no gradio needed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from conditioned_students import make_conditioned
from PIL import Image
from skimage import data as pictures

from distill.editing.translator import Translator
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.networks.student import load_student
from distill.serve.editors import EditSlider, edit_of_sliders, open_students
from distill.serve.photos import edit_upload
from distill.serve.sentences import sentence
from distill.serve.uploads import MOST_BYTES, RefusedUpload, check_upload


@pytest.fixture(scope="module")
def astronaut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    Image.fromarray(pictures.astronaut()).save(path)
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def huge_png() -> bytes:
    """A picture of 100 megapixels in few bytes."""
    file = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(file, "PNG")
    return file.getvalue()


def test_a_photo_comes_back_with_its_face_as_the_student_makes_it(astronaut: Path) -> None:
    (editor,) = open_students(["ageing"])
    done = edit_upload(astronaut, editor)
    (cut,), (output,) = done.cuts, done.outputs
    assert (output == Translator(student=load_student("ageing"), size=64)([cut.pixels])[0]).all()
    after = done.after()
    assert (after[:20] == done.before[:20]).all()
    assert (after[60:140, 190:260] != done.before[60:140, 190:260]).any()
    assert (np.asarray(Image.open(io.BytesIO(done.png())).convert("RGB")) == after).all()


def test_a_student_of_two_pictures_takes_a_style(astronaut: Path) -> None:
    (editor,) = open_students(["style-mix"])
    assert editor.takes_style
    with pytest.raises(RefusedUpload, match="style-mix takes two pictures: choose a style photo too"):
        edit_upload(astronaut, editor)
    done = edit_upload(astronaut, editor, style=astronaut)
    assert done.style is not None
    assert done.style.shape == (64, 64, 3)


def test_sliders_of_a_student_say_what_it_was_taught(tmp_path: Path, astronaut: Path) -> None:
    make_conditioned(tmp_path / "run")
    (editor,) = open_students([str(tmp_path / "run")])
    assert [slider.label for slider in editor.sliders] == [
        "gender: male to female",
        "age: younger to older, years",
        "smile",
    ]
    assert (editor.sliders[1].low, editor.sliders[1].high) == (-30, 30)
    edit = edit_of_sliders(editor.sliders, [0, 20, 0])
    assert edit == "age=+20"
    plain, older = (edit_upload(astronaut, editor, edit=text).outputs[0] for text in ("", edit))
    assert (plain != older).any()
    with pytest.raises(DistillError, match="age was taught from -30 to") as error:
        edit_upload(astronaut, editor, edit="age=99")
    assert sentence(error.value).startswith("Age=99: age was taught from -30 to")
    (other,) = open_students(["ageing"])
    with pytest.raises(DistillError) as error:
        edit_upload(astronaut, other, edit="age=9")
    assert sentence(error.value) == "Ageing: this student makes one change alone: leave out age=9."


def test_all_faces_or_the_middle(tmp_path: Path) -> None:
    (editor,) = open_students(["face-to-drawing"])
    face = pictures.astronaut()[:300, 60:420]
    two = tmp_path / "two.png"
    Image.fromarray(np.concatenate([face, face[:, ::-1]], axis=1)).save(two)
    assert len(edit_upload(two, editor).outputs) == 1
    assert len(edit_upload(two, editor, faces="all").outputs) == 2
    coffee = tmp_path / "coffee.png"
    Image.fromarray(pictures.coffee()).save(coffee)
    with pytest.raises(RefusedUpload, match=r"No face was found in the photo .* take its middle"):
        edit_upload(coffee, editor)
    assert len(edit_upload(coffee, editor, faces="none").outputs) == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "The photo is empty (0 bytes): choose another file."),
        (b"Dear Madam,", "The photo cannot be used: not an image"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "The photo cannot be used: "),
        (b"x" * (MOST_BYTES + 1), "The photo has 30 MB; 30 MB are allowed: make it smaller."),
        (huge_png(), "The photo has 100 megapixels (10000×10000); 50 are allowed: make it smaller."),
    ],
    ids=["empty", "text", "cut", "bytes", "pixels"],
)
def test_what_cannot_be_used_gets_one_sentence(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(RefusedUpload) as error:
        check_upload(written(tmp_path / "upload.png", data))
    text = sentence(error.value)
    assert text.startswith(says)
    assert str(tmp_path) not in text
    assert "\n" not in text


def test_nothing_chosen_and_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RefusedUpload, match=r"Choose a style photo first\."):
        check_upload(None, "style photo")
    with pytest.raises(RefusedUpload, match="not here any more"):
        check_upload(tmp_path / "gone.png")


def test_students_without_names_are_those_of_the_package() -> None:
    names = [editor.name for editor in open_students([])]
    assert names == ["style-mix", "gender-swap", "ageing", "face-to-drawing", "attributes"]


@pytest.mark.parametrize(
    ("sources", "says"),
    [(["ageng"], "did you mean ageing"), (["ageing", "ageing"], "ageing is given twice")],
)
def test_students_that_are_none_are_named(sources: list[str], says: str) -> None:
    with pytest.raises(DistillError, match=says):
        open_students(sources)


def test_sliders_at_zero_are_left_out() -> None:
    sliders = [EditSlider(name=name, unit="", low=-1, high=1, step=0.05) for name in ("a", "b")]
    assert edit_of_sliders(sliders, [0, 0]) == ""
    assert edit_of_sliders(sliders, [0.5, -1]) == "a=+0.5,b=-1"


def test_the_latent_edit_moves_along_directions(astronaut: Path) -> None:
    from distill.serve.editors import open_latent_editor
    from distill.stylegan2.load import load_generator

    editor = open_latent_editor(load_generator("portraits", precision="fp32"))
    assert {slider.name for slider in editor.sliders} >= {"age", "gender", "smile", "yaw"}
    still = edit_upload(astronaut, editor).outputs[0]
    moved = edit_upload(astronaut, editor, edit="age=+3").outputs[0]
    assert far(still, moved) > 3
    for edit, says in (("beard=1", "no direction 'beard'"), ("age=9", "from -4 to"), ("age=x", "from -4 to")):
        with pytest.raises(DistillError, match=says):
            edit_upload(astronaut, editor, edit=edit)


def far(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(float) - other).mean())
