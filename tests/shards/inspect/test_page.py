"""The inspection page: right counts, thresholds where they belong, nothing loaded from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from data_sets import make_data_set
from image_sets import write_image_set

from distill.errors import DistillError
from distill.shards.inspect.histogram import bins, count, draw_svg, histograms, thresholds_of
from distill.shards.inspect.page import build_page
from distill.shards.inspect.survey import look, spread_rows, survey

FILTERS = [
    {"name": "ssim", "min_ssim": 0.25, "max_ssim": 0.9},
    {"name": "face", "min_confidence": 0.2, "max_framing_error": 0.15, "detect_size": 256},
]


class Page(HTMLParser):
    """Collects tags, and complains about a tag that is closed out of order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page_of(folder, rows=4):
    found = survey(folder)
    samples, ledger = look(found, rows=rows)
    return build_page(found, samples, ledger)


@pytest.mark.parametrize("codec", ["raw", "jpeg", "webp"])
@pytest.mark.parametrize("inputs", [["content", "style"], ["source"]])
def test_it_shows_every_role_of_the_chosen_rows(tmp_path, codec, inputs):
    make_data_set(tmp_path, codec=codec, inputs=inputs)
    page = Page(page_of(tmp_path))
    images = [
        attributes for tag, attributes in page.tags if tag == "img" and "candidate " in attributes["alt"]
    ]
    assert len(images) == 4 * (len(inputs) + 1)
    assert all(image["src"].startswith("data:image/png;base64,") for image in images)
    assert images[0]["alt"] == f"{inputs[0]} of shard 0, candidate 0"


def test_it_loads_nothing_and_runs_nothing(tmp_path):
    make_data_set(tmp_path)
    text = page_of(tmp_path)
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object"}
    addresses = [
        value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")
    ]
    assert all(address.startswith("data:") for address in addresses)
    assert "url(" not in text
    assert "@import" not in text


def test_it_gives_the_counts_and_the_numbers_of_each_row(tmp_path):
    make_data_set(tmp_path)
    text = page_of(tmp_path, rows=6)
    assert "style-mix: 6 triplets, 16 px" in text
    assert '<th scope="row">accepted</th><td>6</td><td>60.0 %</td>' in text
    assert '<th scope="row">dropped: ssim.nothing-changed</th><td>2</td><td>20.0 %</td>' in text
    assert "<b>shard 1, candidate 3</b> · crossover 2" in text
    assert "<li>ssim 0.700</li>" in text
    assert "4 dropped without one" in text
    assert "min_ssim 0.25" in text
    assert "not complete" not in text


def test_text_from_a_recipe_is_escaped(tmp_path):
    evil = "<script>alert('x')</script>{{ 7 * 7 }}"
    filters = [{"name": "change", "min_<script>": 0.5}, {"name": evil}]
    make_data_set(tmp_path, task=evil, generator={"name": evil, evil: evil}, align=evil, filters=filters)
    text = page_of(tmp_path)
    assert "<script" not in text
    assert "&lt;script&gt;alert" in text
    assert "{{ 7 * 7 }}" in text


def test_the_thresholds_of_a_score_stand_below_its_histogram(tmp_path):
    make_data_set(tmp_path)
    assert "min_ssim 0.25" in re.search("<h3>ssim</h3>.*?</figure>", page_of(tmp_path), re.DOTALL)[0]


def test_a_run_that_has_not_finished_can_be_looked_at(tmp_path):
    make_data_set(tmp_path, shards=3, complete=False)
    (tmp_path / "shard-00001.json").unlink()
    text = page_of(tmp_path)
    assert "This data set is not complete" in text
    assert "shard-00001.h5: no readable sidecar" in text
    assert "style-mix: 6 triplets" in text


def test_a_broken_shard_is_named_and_the_others_are_shown(tmp_path):
    make_data_set(tmp_path, shards=3)
    (tmp_path / "shard-00001.h5").write_bytes(b"not HDF5")
    text = page_of(tmp_path, rows=9)
    assert "shard-00001.h5" in text
    assert len(re.findall("<figure><div", text)) == 6


@pytest.mark.parametrize("complete", [True, False])
def test_a_folder_without_one_readable_row_is_an_error(tmp_path, complete):
    make_data_set(tmp_path, shards=1, complete=complete)
    (tmp_path / "shard-00000.h5").write_bytes(b"not HDF5")
    with pytest.raises(DistillError, match=r"shard-00000\.h5"):
        page_of(tmp_path)


def test_the_same_folder_gives_the_same_page(tmp_path):
    make_data_set(tmp_path)
    assert page_of(tmp_path) == page_of(tmp_path)


def test_rows_are_spread_evenly_over_shards():
    assert spread_rows([10, 10], 4) == [[2, 7], [2, 7]]
    assert spread_rows([4, 2], 100) == [[0, 1, 2, 3], [0, 1]]
    chosen = spread_rows([256] * 97 + [168], 24)
    assert sum(map(len, chosen)) == 24
    assert max(map(len, chosen)) == 1
    assert spread_rows([3, 1, 3], 1) == [[], [0], []]


def test_thresholds_belong_to_the_scores_of_their_filter():
    assert thresholds_of("ssim", FILTERS) == [("min_ssim", 0.25), ("max_ssim", 0.9)]
    assert thresholds_of("face_confidence", FILTERS) == [("min_confidence", 0.2)]
    assert thresholds_of("face_framing", FILTERS) == [("max_framing_error", 0.15)]
    assert thresholds_of("sharpness", FILTERS) == []


def test_a_histogram_counts_every_candidate_once():
    values = np.asarray([[0.1, 0.2], [0.3, np.nan], [0.5, 0.6]], np.float32)
    accepted = np.asarray([True, False, True])
    one, two = histograms(accepted, {"face_framing": values}, rules=FILTERS, parts=["source", "target"])
    assert (one.name, two.name) == ("face_framing · source", "face_framing · target")
    assert (one.accepted.sum(), one.dropped.sum(), one.unscored) == (2, 1, 0)
    assert (two.accepted.sum(), two.dropped.sum(), two.unscored) == (2, 0, 1)
    assert one.shows(0.15)
    assert (one.edges == two.edges).all()


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5, 0.5], [np.nan, np.nan], [1e9, 1e9 + 1], [0.0, 0.0]])
def test_odd_scores_can_be_drawn(values):
    values = np.asarray(values, np.float32)
    limits = [("min_x", 0.2), ("max_x", 1e30)]
    edges = bins(values, limits)
    drawn = count("x", np.ones(len(values), bool), values, edges=edges, thresholds=limits)
    assert drawn.accepted.sum() == np.isfinite(values).sum()
    assert not drawn.shows(1e30)
    picture = draw_svg(drawn)
    assert picture == draw_svg(drawn)
    assert ElementTree.fromstring(picture).tag.endswith("svg")


def test_plain_images_have_names_labels_and_their_counts(tmp_path):
    labels = {"age": np.array([20, 40, np.nan, 35], np.float32), "who": ["a", "<b>", "a", ""]}
    write_image_set(tmp_path, np.zeros((4, 8, 8, 3), np.uint8), labels=labels, shard_size=2)
    text = page_of(tmp_path)
    Page(text)
    for words in ("images: 4 images, 8 px", "<b>0.png</b>", "age 20", "who &lt;b&gt;", "not known for 1"):
        assert words in text
    assert '<th scope="row">a</th><td>2</td>' in text
    assert '<th scope="row">not known</th><td>1</td>' in text
    for word in ("pair", "enerator", "→"):
        assert word not in text
