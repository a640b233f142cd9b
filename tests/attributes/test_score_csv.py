"""Scores made elsewhere come in by the images' names."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from distill.attributes.score_csv import read_scores
from distill.cli.score_images import score_images
from distill.errors import DistillError


def written(folder: Path, text: str) -> Path:
    path = folder / "scores.csv"
    path.write_text(text)
    return path


def test_scores_come_by_key_and_their_kind_by_their_range(tmp_path: Path) -> None:
    path = written(tmp_path, "image,smile,yaw\na,0.9,-12.5\nb/c.png,1e-3,\n")
    scores = read_scores(path)
    assert dict(scores.kinds) == {"smile": "probability", "yaw": "value"}
    found = scores.scores_of(["b/c.png", "x/a.png", "d.png"])
    np.testing.assert_allclose(found["smile"], [0.001, 0.9, np.nan], rtol=1e-6)
    np.testing.assert_allclose(found["yaw"], [np.nan, -12.5, np.nan])
    assert found["yaw"].dtype == np.float32
    assert read_scores(path, values=["smile"]).kinds["smile"] == "value"
    assert scores.sha256 != read_scores(written(tmp_path, "key,smile\na.png,0.8\n")).sha256


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("picture,smile\na,1\n", "no column 'file' \\(or path.*picture,smile"),
        ("image,smile\na,high\n", "smile of a is 'high'; a number"),
        ("image,smile\na,inf\n", "smile of a is 'inf'"),
        ("image,smile\na,1e39\n", "smile of a is '1e39'"),
        ("image,smile\na,\n", "column smile has no number"),
        ("image,smile\na,1\na,0\n", "names 'a' a second time"),
    ],
)
def test_bad_tables_are_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DistillError, match=words) as caught:
        read_scores(written(tmp_path, text))
    assert "\n" not in str(caught.value)
    with pytest.raises(DistillError, match="no label column 'hat'"):
        read_scores(written(tmp_path, "image,smile\na,1\n"), values=["hat"])


def test_score_images_makes_a_table_of_them_and_judges_it(tmp_path: Path) -> None:
    folder, out, known = tmp_path / "pictures", tmp_path / "labels.csv", tmp_path / "known.csv"
    folder.mkdir()
    for name in ("a", "b", "c", "d"):
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
    path = written(tmp_path, "image,smile\na,0.95\nb,0.6\nc,0.02\n")
    known.write_text("file,smile_label\na,yes\nc,yes\n")
    options = [str(folder), "--scorer", str(path), "--out", str(out), "--labels", str(known)]
    result = CliRunner().invoke(score_images, options, standalone_mode=False)
    assert result.exit_code == 0, (result.output, result.exception)
    with out.open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert [rows[f"{name}.png"]["smile_label"] for name in "abcd"] == ["yes", "", "yes", ""]
    assert rows["d.png"]["reason"] == "no score"
    assert "known smile_label of 2: the scores are right for 50.0%" in result.stdout
