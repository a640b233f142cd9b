"""The page of a run: what it shows, and that no name in it is taken for HTML."""

from __future__ import annotations

import json
from pathlib import Path

from distill.training.page import NAME, Page, write_page

SCORES = {"student, now (1.0 k)": {"l1": 0.25, "ssim": 0.5}, "copy the content": {"l1": 0.125, "ssim": 0.25}}


def test_the_best_of_each_score_is_bold_and_curves_come_with_the_first_numbers(tmp_path: Path) -> None:
    page = Page(title="a → b")
    write_page(tmp_path, page, SCORES, running=True)
    text = (tmp_path / NAME).read_text()
    assert 'http-equiv="refresh"' in text
    assert '<td class="best">0.125</td><td>0.25</td>' in text
    assert '<td>0.25</td><td class="best">0.5</td>' in text
    assert "data:image/svg+xml" not in text
    (tmp_path / "stats.jsonl").write_text(json.dumps({"samples": 1000, "l1": 0.25}) + "\n")
    write_page(tmp_path, page, SCORES, running=False)
    text = (tmp_path / NAME).read_text()
    assert 'http-equiv="refresh"' not in text
    assert "data:image/svg+xml" in text


def test_the_page_says_what_its_pictures_and_scores_are(tmp_path: Path) -> None:
    page = Page(
        title="a", picture="s.png", legend="at ψ 0.7", reals="reals.png", caution="scored on 3 images only"
    )
    write_page(tmp_path, page, {"generator": {"frechet_pixels8": 2.0}}, running=False)
    text = (tmp_path / NAME).read_text()
    assert 'src="s.png"' in text
    assert "at ψ 0.7" in text
    assert 'src="reals.png"' in text
    assert "Lower is better. Scored on 3 images only." in text
    assert "ssim" not in text.lower()
    write_page(tmp_path, page, SCORES, running=False)
    assert "ssim: higher is better. All others: lower." in (tmp_path / NAME).read_text()


def test_names_are_escaped(tmp_path: Path) -> None:
    page = Page(title="<b>&", facts={"data": "<script>"}, picture='"><script>')
    write_page(tmp_path, page, {}, running=False)
    text = (tmp_path / NAME).read_text()
    assert "<script>" not in text
    assert "<title>&lt;b&gt;&amp;</title>" in text
