"""`distill inspect` and `distill export` as a user calls them."""

from __future__ import annotations

import json

import pytest
from data_sets import make_data_set
from PIL import Image

from distill.cli.main import run


def test_inspect_writes_a_page_and_a_picture_and_says_where(tmp_path, capsys):
    make_data_set(tmp_path)
    assert run(["inspect", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "inspect.html") in out
    assert str(tmp_path / "contact_sheet.png") in out
    assert (tmp_path / "inspect.html").read_text().startswith("<!doctype html>")
    with Image.open(tmp_path / "contact_sheet.png") as sheet:
        assert sheet.width > 128


def test_inspect_takes_other_paths_and_json(tmp_path, capsys):
    make_data_set(tmp_path / "data", complete=False)
    page, sheet = tmp_path / "a.html", tmp_path / "b.png"
    command = ["inspect", str(tmp_path / "data"), "--rows", "2", "--out", str(page), "--sheet", str(sheet)]
    assert run([*command, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["complete"] is False
    assert (facts["rows"], facts["tried"], facts["dropped"]) == (
        6,
        10,
        {"ssim.nothing-changed": 2, "face.none": 2},
    )
    assert (facts["page"], facts["sheet"]) == (str(page), str(sheet))
    assert page.exists()
    assert sheet.exists()
    assert not (tmp_path / "data" / "inspect.html").exists()


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_inspect_of_a_folder_without_a_shard_is_one_line(tmp_path, capsys, folder):
    (tmp_path / "empty").mkdir()
    assert run(["inspect", str(tmp_path / folder)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "no shard" in captured.err
    assert list((tmp_path / "empty").iterdir()) == []


def test_inspect_names_the_file_that_it_cannot_write(tmp_path, capsys):
    make_data_set(tmp_path)
    (tmp_path / "file").touch()
    page = tmp_path / "file" / "page.html"
    assert run(["inspect", str(tmp_path), "--out", str(page)]) == 2
    assert f"{page.parent} is a file, but a folder is needed" in capsys.readouterr().err


def test_inspect_makes_the_folder_of_its_page(tmp_path):
    make_data_set(tmp_path / "set")
    page = tmp_path / "new" / "pages" / "page.html"
    assert run(["inspect", str(tmp_path / "set"), "--out", str(page)]) == 0
    assert page.exists()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--out", "", "'--out': the name is empty"),
        ("--sheet", "", "'--sheet': the name is empty"),
        ("--out", ".", "'--out': File '.' is a directory"),
        ("--sheet", ".", "'--sheet': File '.' is a directory"),
    ],
)
def test_inspect_needs_the_names_of_files(tmp_path, capsys, option, value, words):
    make_data_set(tmp_path)
    assert run(["inspect", str(tmp_path), option, value]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "inspect.html").exists()


def test_export_says_what_it_did_and_how_to_train(tmp_path, capsys):
    make_data_set(tmp_path / "data")
    out = tmp_path / "for pix2pixHD"
    assert (
        run(["export", str(tmp_path / "data"), "--to", "pix2pixhd", "--out", str(out), "--limit", "4"]) == 0
    )
    text = capsys.readouterr().out
    assert f"{out}: 4 samples, 13 files written, 0 were there already" in text
    assert f"--dataroot '{out}' --label_nc 0 --no_instance --input_nc 6" in text
    assert sorted(path.name for path in (out / "train_C").iterdir()) == [f"{k:06d}.png" for k in range(4)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--to", "floppy", "--out", "x"],
        ["--to", "folders"],
        ["--out", "x"],
        ["--to", "folders", "--out", "x", "--limit", "0"],
        ["--to", "folders", "--out", "x", "--format", "gif"],
    ],
)
def test_export_refuses_bad_options(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    make_data_set(tmp_path / "data", shards=1)
    assert run(["export", "data", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_export_onto_a_file_is_one_line(tmp_path, capsys):
    make_data_set(tmp_path / "data", shards=1)
    (tmp_path / "x").write_text("a file")
    assert run(["export", str(tmp_path / "data"), "--to", "folders", "--out", str(tmp_path / "x")]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "is a file, but a folder is needed" in captured.err
    assert (tmp_path / "x").read_text() == "a file"
