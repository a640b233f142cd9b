"""Regions that a user brings: a painted mask, a face parser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_files import model, node
from PIL import Image
from region_pictures import pictures

from distill.errors import DistillError
from distill.faces.regions.open import open_regions
from distill.faces.regions.painted import PaintedRegion
from distill.faces.regions.parser import FaceParser
from distill.faces.regions.parts import RegionPictures, region_masks

INPUT = '[input]\ncrop = "whole"\nmean = 0\nstd = 1\n'
REGIONS = "[regions]\nhair = 1\nface = [0, 2]\n"
SIDE = 8  # px of the parser's input
Outputs = dict[str, list[int | str]]
COLOURS = np.eye(3, dtype=np.float32) * 40  # class k is sure where colour k is full


def save_parser(path: Path, *, ending: list[bytes] | None = None, outputs: Outputs | None = None) -> None:
    """A parser of three classes: red, green, blue."""
    nodes = [node("Conv", ["images", "w"], "logits"), *(ending or [])]
    given = outputs or {"logits": ["N", 3, SIDE, SIDE]}
    path.write_bytes(model(nodes, {"w": COLOURS.reshape(3, 3, 1, 1)}, ["N", 3, SIDE, SIDE], given))


def toml(folder: Path, text: str, name: str = "parser.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def halves(side: int = 32) -> RegionPictures:
    """One picture: red, and green in its right half."""
    images = np.zeros((1, side, side, 3), dtype=np.uint8)
    images[:, :, : side // 2, 0] = images[:, :, side // 2 :, 1] = 255
    return RegionPictures(images=images, faces=[None])


def test_a_mask_stands_for_the_part_that_is_asked_for(tmp_path, tiny_teacher):
    grey = np.zeros((32, 32), dtype=np.uint8)
    grey[8:24, 8:24], grey[0] = 255, 102
    Image.fromarray(grey).save(tmp_path / "mask.png")
    source = open_regions(tiny_teacher, tmp_path / "mask.png")
    found = region_masks(source, pictures(3, 32, faces=False), ["clothes"])["clothes"]
    assert found.shape == (3, 32, 32)
    assert found[2, 10, 10] == 1
    assert found[2, 0, 0] == pytest.approx(0.4)
    assert found[2, 30, 30] == 0


def test_a_mask_of_another_size_and_an_empty_one_are_refused(tmp_path):
    Image.new("L", (64, 32), 255).save(tmp_path / "mask.png")
    with pytest.raises(
        DistillError, match=r"mask\.png: a mask of 64×32 px for pictures of 32×32 px"
    ) as caught:
        region_masks(PaintedRegion.read(tmp_path / "mask.png"), pictures(1, 32), ["hair"])
    assert "\n" not in str(caught.value)
    Image.new("RGB", (32, 32)).save(tmp_path / "black.png")
    with pytest.raises(DistillError, match="the region 'hair' has no pixels"):
        region_masks(PaintedRegion.read(tmp_path / "black.png"), pictures(1, 32), ["hair"])
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(DistillError, match=r"no\.png: "):
        PaintedRegion.read(tmp_path / "no.png")


def test_a_parser_gives_the_share_of_its_classes(tmp_path):
    save_parser(tmp_path / "net.onnx")
    source = FaceParser.read(toml(tmp_path, f'network = "net.onnx"\n{INPUT}{REGIONS}'))
    assert source.parts == ["face", "hair"]
    found = region_masks(source, halves())
    assert np.allclose(found["face"] + found["hair"], 1, atol=1e-4)
    assert found["hair"][0, 10, 20:].min() > 0.99
    assert found["hair"][0, 10, :12].max() < 0.01
    with pytest.raises(DistillError, match="part 'eyes' is not one of face, hair"):
        region_masks(source, halves(), ["eyes"])


def test_the_landmarks_give_what_a_parser_lacks(tmp_path, tiny_teacher):
    save_parser(tmp_path / "net.onnx")
    path = toml(tmp_path, f'network = "net.onnx"\n{INPUT}{REGIONS}')
    source = open_regions(tiny_teacher, path)
    assert source.parts == ["eyes", "nose", "mouth", "face", "hair"]
    assert source.face_parts == ["eyes", "nose", "mouth"]


def test_probabilities_and_inner_values_can_be_named(tmp_path):
    ending = [node("Softmax", ["logits"], "shares", axis=1)]
    outputs: Outputs = {"shares": ["N", 3, SIDE, SIDE]}
    save_parser(tmp_path / "net.onnx", ending=ending, outputs=outputs)
    head = 'network = "net.onnx"\n'
    by_shares = FaceParser.read(toml(tmp_path, f'{head}given = "probabilities"\n{INPUT}{REGIONS}'))
    by_logits = FaceParser.read(toml(tmp_path, f'{head}output = "logits"\n{INPUT}{REGIONS}'))
    one, other = (region_masks(source, halves(), ["hair"])["hair"] for source in (by_shares, by_logits))
    assert np.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (INPUT + "[regions]\nhair = 3\n", r"regions\.hair: class 3; the network has 3, 0 to 2"),
        (INPUT + "[regions]\nears = 1\n", r"regions\.ears"),
        (INPUT + "[regions]\nhair = []\n", r"regions\.hair"),
        (INPUT + "[regions]\n", "regions"),
        (INPUT.replace("whole", "chip") + REGIONS, 'a parser sees the "whole" picture'),
        (
            INPUT.replace('"whole"', '"whole"\nsize = 16') + REGIONS,
            r"input\.size: the network takes \[8, 8\]",
        ),
        (
            INPUT.replace('"whole"', '"whole"\nchannels = "grey"') + REGIONS,
            "input.channels: the network takes 3",
        ),
        ('output = "nothing"\n' + INPUT + REGIONS, "its output nothing is never computed"),
    ],
)
def test_settings_that_do_not_fit_are_told_in_one_line(text, words, tmp_path):
    save_parser(tmp_path / "net.onnx")
    with pytest.raises(DistillError, match=words) as caught:
        FaceParser.read(toml(tmp_path, f'network = "net.onnx"\n{text}'))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_of_class_numbers_or_of_several_outputs_is_refused(tmp_path):
    several: Outputs = {"logits": ["N", 3, SIDE, SIDE], "shares": ["N", 3, SIDE, SIDE]}
    save_parser(
        tmp_path / "net.onnx", ending=[node("Softmax", ["logits"], "shares", axis=1)], outputs=several
    )
    path = toml(tmp_path, f'network = "net.onnx"\n{INPUT}{REGIONS}')
    with pytest.raises(DistillError, match="output: the network gives logits, shares; name the one"):
        FaceParser.read(path)
    save_parser(
        tmp_path / "net.onnx",
        ending=[node("ReduceMax", ["logits"], "best", keepdims=0)],
        outputs={"best": []},
    )
    with pytest.raises(DistillError) as caught:
        FaceParser.read(path)
    assert "\n" not in str(caught.value)
    save_parser(
        tmp_path / "net.onnx",
        ending=[node("GlobalAveragePool", ["logits"], "pooled"), node("Flatten", ["pooled"], "flat")],
        outputs={"flat": ["N", 3]},
    )
    with pytest.raises(
        DistillError, match=r"the network gives \[3\] for a picture; the scores of 2 or more classes"
    ):
        FaceParser.read(path)


def test_a_network_that_lies_elsewhere_is_not_read(tmp_path):
    (tmp_path / "in").mkdir()
    save_parser(tmp_path / "net.onnx")
    with pytest.raises(DistillError, match="lies elsewhere; put it beside this file or below"):
        FaceParser.read(toml(tmp_path / "in", f'network = "../net.onnx"\n{INPUT}{REGIONS}'))
