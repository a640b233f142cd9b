"""Data sets looked through as the app does it: what is chosen, in which order, and what is saved."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from data_sets import make_data_set

from distill.cli.main import run
from distill.errors import DistillError
from distill.serve.browse import (
    DataTable,
    histogram_of,
    open_table,
    page_numbers,
    page_samples,
    page_sheet,
    save_selection,
    select,
)
from distill.serve.sentences import sentence
from distill.shards.folder import read_manifest


@pytest.fixture
def table(tmp_path: Path) -> DataTable:
    make_data_set(tmp_path / "data", shards=3)
    return open_table(tmp_path / "data")


def test_a_table_has_every_number_of_the_rows(table: DataTable) -> None:
    assert table.rows == 9
    assert list(table.numbers) == [
        "crossover",
        "face_confidence[0]",
        "face_confidence[1]",
        "face_confidence[2]",
        "ssim",
    ]
    assert np.allclose(table.numbers["ssim"], [0.5, 0.6, 0.7] * 3)


def test_an_expression_keeps_what_refilter_keeps(table: DataTable) -> None:
    chosen = select(table, "ssim < 0.65 and face_confidence[1] > 0.6")
    assert chosen.rows.tolist() == [1, 4, 7]
    assert "kept" in "\n".join(chosen.lines)
    assert select(table, "ssim >= quantile(ssim, 0.5)").rows.tolist() == [1, 2, 4, 5, 7, 8]


def test_rows_are_sorted_by_a_number(table: DataTable) -> None:
    assert select(table, sort="ssim").rows.tolist() == [2, 5, 8, 1, 4, 7, 0, 3, 6]
    assert select(table, sort="ssim", descending=False).rows.tolist() == [0, 3, 6, 1, 4, 7, 2, 5, 8]


def test_a_page_shows_its_rows_in_order(table: DataTable) -> None:
    chosen = select(table, "ssim > 0.55", sort="ssim", descending=False)
    samples = page_samples(chosen, 1)
    assert [(sample.shard, sample.row) for sample in samples] == [
        (0, 1),
        (1, 1),
        (2, 1),
        (0, 2),
        (1, 2),
        (2, 2),
    ]
    assert [sample.title for sample in samples[:3]] == ["row 1", "row 4", "row 7"]
    assert page_sheet(chosen, 1).width > 100
    head, lines = page_numbers(chosen, 1)
    assert head[:2] == ["row", "crossover"]
    assert [line[-1] for line in lines] == [0.6] * 3 + [0.7] * 3
    with pytest.raises(DistillError, match="page 2: the pages are 1 to 1"):
        page_samples(chosen, 2)


def test_a_histogram_tells_kept_rows_from_the_others(table: DataTable) -> None:
    found = histogram_of(select(table, "ssim > 0.65"), "ssim")
    assert (found.accepted.sum(), found.dropped.sum()) == (3, 6)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("ssim > 2", "keeps none of the 9 rows"),
        ("beauty > 2", "beauty"),
        ("ssim = 2", "two numbers are compared with =="),
        ("__import__('os')", "no function"),
    ],
)
def test_an_expression_that_is_none_gets_a_sentence(table: DataTable, where: str, says: str) -> None:
    with pytest.raises(DistillError) as error:
        select(table, where)
    text = sentence(error.value)
    assert says in text
    assert "--where" not in text


def test_a_selection_is_saved_as_refilter_would_write_it(
    table: DataTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[tuple[int, int]] = []
    lines = save_selection(
        table, "ssim < 0.65", "kept", stop=threading.Event(), advance=lambda *counts: heard.append(counts)
    )
    assert lines[-1].startswith(f"saved as {tmp_path / 'kept'}: 6 rows in 2 shards")
    assert heard == [(3, 6), (3, 6)]
    assert run(["refilter", str(table.folder), "--where", "ssim<0.65", "--out", str(tmp_path / "other")]) == 0
    assert run(["verify", str(tmp_path / "kept"), "--full"]) == 0
    digests = [read_manifest(tmp_path / name)["digest"] for name in ("kept", "other")]
    assert digests[0] == digests[1]
    assert open_table(tmp_path / "kept").rows == 6


@pytest.mark.parametrize(
    ("where", "name", "says"),
    [
        ("ssim < 0.65", "../elsewhere", "not a name for a folder"),
        ("ssim < 0.65", "", "not a name for a folder"),
        ("ssim < 0.65", ".hidden", "not a name for a folder"),
        ("  ", "kept", "all rows are shown"),
        ("ssim < 0.65", "data", "choose another"),
        ("ssim < 0.65", "taken", "not a data set of ours"),
    ],
)
def test_a_selection_goes_nowhere_else(
    table: DataTable, tmp_path: Path, where: str, name: str, says: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DistillError, match=says):
        save_selection(table, where, name, stop=threading.Event())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_set_that_grew_is_read_anew(tmp_path: Path) -> None:
    make_data_set(tmp_path / "data", shards=1)
    assert open_table(tmp_path / "data").rows == 3
    make_data_set(tmp_path / "data", shards=2)
    assert open_table(tmp_path / "data").rows == 6


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DistillError, match=str(tmp_path)):
        open_table(tmp_path)
    make_data_set(tmp_path / "begun", complete=False)
    with pytest.raises(DistillError, match="not complete"):
        open_table(tmp_path / "begun")
