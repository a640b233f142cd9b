"""The note in pictures for people says which network drew them; it is read back as anybody would read it."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from conditioned_students import make_conditioned
from PIL import Image

import distill
from distill.cli.main import run
from distill.pixels import Mark, encode_png

ASTRONAUT = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
SOFTWARE = f"distill {distill.__version__}"
DRAWN = 'DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"'
PARTLY = (
    'DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"'
)
ON_CPU = ("--device", "cpu")
FEW = ("--steps", "2", *ON_CPU)


def texts(path: Path) -> dict[str, str]:
    """The texts of a PNG by keyword."""
    with Image.open(path) as image:
        image.load()
        return dict(image.text)


def command(*words: object) -> None:
    assert run([str(word) for word in words]) == 0


def test_what_a_student_drew_names_it_and_its_edit(tmp_path: Path) -> None:
    words = ("translate", ASTRONAUT, "--model", "attributes", "--edit", "age=+20", *ON_CPU)
    command(*words, "--paste-back", "--strip", "smile=0:1:2", "--out", tmp_path)
    drawn = texts(tmp_path / "astronaut.png")
    assert drawn["Software"] == SOFTWARE
    assert drawn["Comment"] == "Drawn by a neural network: the student attributes, age=+20"
    assert DRAWN in drawn["XML:com.adobe.xmp"]
    for name in ("sheet", "compare/astronaut", "strip/astronaut", "pasted/astronaut"):
        parts = texts(tmp_path / f"{name}.png")
        assert parts["Comment"] == "Partly drawn by a neural network: the student attributes, age=+20"
        assert PARTLY in parts["XML:com.adobe.xmp"]


def test_a_student_of_ones_own_is_named_by_file_and_hash_and_never_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    make_conditioned(tmp_path / "private")
    command("translate", ASTRONAUT, "--model", tmp_path / "private", *ON_CPU, "--out", tmp_path / "out")
    note = texts(tmp_path / "out" / "astronaut.png")["Comment"]
    assert "safetensors (sha256 " in note
    assert "private" not in note
    again = (tmp_path / "out" / "astronaut.png").read_bytes()
    command("translate", ASTRONAUT, "--model", tmp_path / "private", *ON_CPU, "--out", tmp_path / "two")
    assert (tmp_path / "two" / "astronaut.png").read_bytes() == again


def test_what_a_generator_drew_names_it(tmp_path: Path) -> None:
    you, out = tmp_path / "you.png", tmp_path / "out"
    shutil.copy(ASTRONAUT, you)
    command("mix", ASTRONAUT, you, "--out", out / "mix", *FEW)
    projections = out / "mix" / "projections"
    command(
        "edit",
        "--from",
        projections,
        "you",
        "--direction",
        "age",
        "--strengths",
        "2,-2",
        "--out",
        out / "edit",
    )
    command("region", 3, 7, "--part", "mouth", "--set", "steps=1", "--out", out / "region", *ON_CPU)
    for path in (
        projections / "you.png",
        out / "mix" / "astronaut+you.png",
        out / "edit" / "you_+2.png",
        out / "region" / "3+7_mouth.png",
    ):
        assert texts(path)["Comment"] == "Drawn by a neural network: the generator portraits", path
    assert texts(projections / "compare" / "you.png")["Comment"].startswith("Partly drawn")


@pytest.mark.parametrize(
    "words",
    [
        ("translate", ASTRONAUT, "--model", "ageing", "--paste-back", *ON_CPU),
        ("project", ASTRONAUT, *FEW),
        ("region", 3, 7, "--part", "mouth", "--set", "steps=1", *ON_CPU),
    ],
)
def test_no_mark_leaves_it_out_and_the_pixels_as_they_are(words: tuple[object, ...], tmp_path: Path) -> None:
    command(*words, "--out", tmp_path / "marked")
    command(*words, "--no-mark", "--out", tmp_path / "plain")
    pictures = sorted(path.relative_to(tmp_path / "plain") for path in (tmp_path / "plain").rglob("*.png"))
    assert pictures
    for name in pictures:
        assert not texts(tmp_path / "plain" / name), name
        assert texts(tmp_path / "marked" / name)["Software"] == SOFTWARE
        both = [np.asarray(Image.open(tmp_path / kind / name)) for kind in ("marked", "plain")]
        assert np.array_equal(*both)


def test_a_name_of_any_letters_is_read_back() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    data = encode_png(image, Mark(by="the student 学生"))
    assert data == encode_png(image, Mark(by="the student 学生"))
    with Image.open(BytesIO(data)) as found:
        assert found.info["Comment"] == "Drawn by a neural network: the student 学生"
