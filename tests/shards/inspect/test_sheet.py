"""The contact sheet is a picture that one can recognise faces in."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from distill.shards.inspect.sheet import (
    caption,
    draw_sheet,
    lines_of,
    numbers,
    png_bytes,
    shortened,
    text_width,
)
from distill.shards.inspect.survey import Sample


def sample(side, roles, candidate=0, value=120):
    image = np.full((side, side, 3), value, np.uint8)
    return Sample(
        shard=0,
        row=0,
        candidate=candidate,
        images=dict.fromkeys(roles, image),
        params={"crossover": np.int16(5)},
        scores={},
    )


def plain_blocks(sheet, value):
    """How many pixels of the sheet show the images' colour."""
    return int((np.asarray(sheet) == value).all(axis=-1).sum())


@pytest.mark.parametrize(("side", "shown"), [(64, 128), (100, 128), (200, 200), (1024, 256)])
@pytest.mark.parametrize("roles", [["source", "target"], ["content", "style", "mixed"]])
def test_small_images_are_enlarged_and_large_ones_reduced(side, shown, roles):
    sheet = draw_sheet([sample(side, roles), sample(side, roles)], roles)
    assert plain_blocks(sheet, 120) == 2 * len(roles) * shown**2


def test_samples_stand_beside_each_other_up_to_a_page_width():
    roles = ["content", "style", "mixed"]
    one, two, many = (draw_sheet([sample(64, roles)] * n, roles) for n in (1, 2, 24))
    assert two.width > one.width
    assert two.height == one.height
    assert many.width <= 1700
    assert many.height > one.height


def test_it_has_captions_and_is_a_png():
    roles = ["content", "style", "mixed"]
    with_title = draw_sheet([sample(64, roles)], roles, title="style-mix: 1 triplet" * 20)
    without = draw_sheet([sample(64, roles)], roles)
    assert with_title.size == without.size
    assert png_bytes(with_title) != png_bytes(without)
    with Image.open(io.BytesIO(png_bytes(with_title))) as picture:
        assert picture.format == "PNG"
        assert picture.size == with_title.size
    other = draw_sheet([sample(64, roles, candidate=7)], roles)
    assert png_bytes(other) != png_bytes(without)


def test_numbers_of_several_roles_stand_together():
    values = {"crossover": np.int16(5), "face": np.asarray([1.0, 0.25], np.float32)}
    assert numbers(values) == ["crossover 5", "face 1.000 / 0.250"]


def test_single_images_make_a_grid_without_the_name_of_the_role():
    few, many = (draw_sheet([sample(64, ["image"])] * count, ["image"]) for count in (1, 36))
    assert many.width // 128 >= 12
    assert many.height < 4 * few.height
    assert few.height == draw_sheet([sample(64, ["a", "b"])], ["a", "b"]).height - 24


def test_no_number_of_a_caption_is_cut():
    pair = sample(64, ["source", "target"], candidate=1234)
    swapped = replace(pair, moved=["gender 0.03 to 0.97"], name="")
    assert caption(swapped, 260) == ["shard 0, candidate 1234", "gender 0.03 to 0.97"]
    asked = replace(
        pair, asked=["age -2.4", "gender +1.3", "smile -0.8"], moved=["age -21.3", "gender +0.97"]
    )
    assert caption(asked, 260)[1:] == [
        "asked: age -2.4, gender +1.3",
        "smile -0.8",
        "measured: age -21.3, gender +0.97",
    ]
    long = numbers({"angles": np.linspace(0, 1, 12)})
    lines = lines_of(long, 260, size=13)
    assert " ".join(lines) == long[0]
    assert all(text_width(line, 13) <= 260 for line in lines)


def test_a_name_without_room_loses_its_middle():
    name = "photograph_" * 20 + "0001.jpg"
    assert text_width(shortened(name, 128, size=13), 13) <= 128
    first, last = shortened(name, 128, size=13).split("…")
    assert name.startswith(first)
    assert last.endswith("1.jpg")
    assert lines_of(["a.jpg", "age 31"], 128, size=13) == ["a.jpg, age 31"]


def test_a_title_is_whole_above_one_small_image():
    title = "images: 2,000 images, 64 px"
    sheet = draw_sheet([sample(64, ["image"])], ["image"], title=title)
    assert sheet.width >= text_width(title, 13)
