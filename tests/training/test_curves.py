"""Curves of runs: what is read, what is left out, which panels there are; and a picture that is one."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from distill.errors import DistillError
from distill.training import curves
from distill.training.curves import best_of, chosen_names, draw_curves, labels_of, read_curves, running_mean


def write_run(folder: Path, *, lines: int = 12, tail: str = "") -> Path:
    """A run with a loss each 1000 images and a score each 3000."""
    folder.mkdir(parents=True)
    rows = []
    for i in range(1, lines + 1):
        row = {"samples": 1000 * i, "loss_g": 2.0 / i, "lr": 2e-4, "seconds": 1.0}
        rows.append(row | ({"l1": 0.2 - 0.01 * i, "ssim": 0.05 * i} if i % 3 == 0 else {}))
    (folder / "stats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return folder


def test_numbers_are_read_where_they_stand(tmp_path: Path) -> None:
    found = read_curves(write_run(tmp_path / "run"))
    assert found.label == "run"
    at, values = found.of["l1"]
    assert at.tolist() == [3, 6, 9, 12]
    assert values == pytest.approx([0.17, 0.14, 0.11, 0.08])
    assert len(found.of["loss_g"][0]) == 12
    assert read_curves(tmp_path / "run" / "stats.jsonl").of.keys() == found.of.keys()


def test_a_line_that_is_being_written_and_values_that_were_not_finite(tmp_path: Path) -> None:
    tail = '{"samples": 13000, "loss_g": null, "note": "text"}\n\n{"samples": 14000, "lo'
    found = read_curves(write_run(tmp_path / "run", tail=tail))
    assert found.broken == 1
    assert math.isnan(found.of["loss_g"][1][-1])
    assert "note" not in found.of


@pytest.mark.parametrize("content", [None, "", "{}\n", "[1]\n", '{"samples": 5}\n', "\xff"])
def test_what_holds_no_run_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "stats.jsonl").write_bytes(content.encode("latin-1"))
    with pytest.raises(DistillError, match=r"stats\.jsonl") as caught:
        read_curves(tmp_path)
    assert "\n" not in str(caught.value)


def test_scores_come_first_and_only_what_is_wished(tmp_path: Path) -> None:
    run = read_curves(write_run(tmp_path / "run"))
    assert chosen_names([run]) == ["l1", "ssim", "loss_g", "lr"]  # seconds only if asked for
    assert chosen_names([run], ["loss", "seconds"]) == ["loss_g", "seconds"]
    with pytest.raises(DistillError, match="no number 'fid' in these runs; the numbers are loss_g, lr"):
        chosen_names([run], ["fid"])


def test_the_best_of_a_score_is_its_lowest_or_for_ssim_its_highest() -> None:
    values = np.asarray([0.3, np.nan, 0.1, 0.2])
    assert best_of("l1", values) == 2
    assert best_of("frechet_pixels8", values) == 2
    assert best_of("val/ssim", values) == 0
    assert best_of("loss_perceptual", values) is None
    assert best_of("lr", values) is None
    assert best_of("l1", np.full(2, np.nan)) is None


def test_running_mean_leaves_gaps_out() -> None:
    assert running_mean(np.asarray([1.0, 3.0, np.nan, 5.0]), 2).tolist() == [1, 2, 3, 5]
    assert np.isnan(running_mean(np.asarray([np.nan, 1.0]), 2)[0])


def test_runs_of_one_name_are_numbered(tmp_path: Path) -> None:
    runs = [read_curves(write_run(tmp_path / part / "run")) for part in "ab"]
    assert labels_of([*runs, curves.Curves("other", {})]) == ["run (1)", "run (2)", "other"]


def test_the_picture_shows_a_panel_for_each_number(tmp_path: Path) -> None:
    runs = [read_curves(write_run(tmp_path / "$a$")), read_curves(write_run(tmp_path / "_b", lines=6))]
    one = Image.open(io.BytesIO(draw_curves(runs, only=["l1"])))
    all_of_them = Image.open(io.BytesIO(draw_curves(runs, smooth=3, log=True)))
    assert one.format == "PNG"
    assert all_of_them.width > 1.5 * one.width
    for colour in curves.COLOURS[:2]:
        wanted = np.asarray([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        near = np.abs(np.asarray(one.convert("RGB")).astype(int) - wanted).sum(axis=-1) < 30
        assert near.sum() > 50, f"no line of colour {colour}"
    assert draw_curves(runs, form="svg").startswith(b"<?xml")


def test_a_baseline_is_dashed_where_it_leaves_the_curve_readable(tmp_path: Path) -> None:
    runs = [read_curves(write_run(tmp_path / "run"))]

    def dashes(l1: float) -> int:
        drawn = draw_curves(runs, only=["l1"], form="svg", baselines={"copy the content": {"l1": l1}})
        return drawn.count(b"stroke-dasharray")

    assert dashes(0.15) == dashes(9.0) + 1


def test_two_baselines_that_lie_close_are_named_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []

    class Kept(Figure):
        def __init__(self, *args: Any, **given: Any) -> None:
            super().__init__(*args, **given)
            drawn.append(self)

    monkeypatch.setattr(curves, "Figure", Kept)
    baselines = {"copy the content": {"l1": 0.15}, "mean of the inputs": {"l1": 0.1501}}
    draw_curves([read_curves(write_run(tmp_path / "run"))], only=["l1"], baselines=baselines)
    boxes = [text.get_window_extent() for text in drawn[0].axes[0].texts if text.get_text() in baselines]
    assert len(boxes) == 2
    assert not boxes[0].overlaps(boxes[1])
