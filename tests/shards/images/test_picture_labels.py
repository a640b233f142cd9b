from __future__ import annotations

import numpy as np
import pytest

from distill.attributes.classifier.examples import read_examples
from distill.attributes.score_csv import read_scores
from distill.errors import DistillError
from distill.shards.images.labels import as_column, balanced_weights, read_labels, split_balance


def table(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return read_labels(path)


def test_pictures_are_known_by_path_name_or_stem(tmp_path):
    labels = table(tmp_path, "file,gender,age\na/x.jpg,F,30\ny.jpg,M,\nz,F,50\n")
    names = ["a/x.jpg", "b/y.jpg", "z.png", "w.png"]
    assert labels.labels_of(names) == {"gender": ["F", "M", "F", ""], "age": ["30", "", "50", ""]}


def test_a_short_name_that_two_pictures_have_says_nothing(tmp_path):
    labels = table(tmp_path, "file,gender\nx.jpg,F\n")
    assert labels.labels_of(["a/x.jpg", "b/x.jpg"]) == {"gender": ["", ""]}


def test_byte_order_mark_blank_lines_and_any_place_of_the_key(tmp_path):
    labels = table(tmp_path, "\ufeffgender,Name\n\nF,a.jpg\n\n")
    assert labels.columns == ("gender",)
    assert labels.labels_of(["a.jpg"]) == {"gender": ["F"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("picture,gender\n", "no column 'file' \\(or path, .*name\\)"),
        ("file\nx\n", "label columns"),
        ("file,a,a\n", "different label columns"),
        ("file,a b\n", "column 'a b'"),
        ("file,a\nx,1\nx,2\n", "line 3 names 'x' a second time"),
        ("file,a\nx\n", "line 2 has 1 cells"),
        ('file,a\n"x,1\n', "not a CSV file"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(DistillError, match=message) as caught:
        table(tmp_path, text)
    assert "labels.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(DistillError, match="no such file"):
        read_labels(tmp_path / "none.csv")
    for data, what in (
        (
            b"file,a\n\x81\x8d,1\n",
            "neither UTF-8 nor UTF-16 nor Windows-1252 text: save it as a CSV in UTF-8",
        ),
        (b"file,a\nx\0y,1\n", "neither UTF-8"),
        (b"PK\x03\x04 a workbook", "a spreadsheet's own format, not a CSV: save it as a CSV in UTF-8"),
    ):
        (tmp_path / "bytes.csv").write_bytes(data)
        with pytest.raises(DistillError, match=what):
            read_labels(tmp_path / "bytes.csv")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_is_read_as_spreadsheets_save_it(tmp_path, separator, encoding, end):
    lines = ["file;hair;score;", '"Zoë; 1.jpg";grau;0.5;', "Jürgen.jpg;weiß;1;"]
    text = end.join(line.replace(";", separator) for line in lines)
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    labels = read_labels(tmp_path / "labels.csv")
    names = [f"Zoë{separator} 1.jpg", "Jürgen.jpg"]
    assert labels.labels_of(names) == {"hair": ["grau", "weiß"], "score": ["0.5", "1"]}


def test_excel_s_first_line_and_decimal_commas(tmp_path):
    labels = table(tmp_path, "sep=;\nfile;smile\na.jpg;0,93\nb.jpg;-1,5\n")
    assert labels.labels_of(["a.jpg", "b.jpg"]) == {"smile": ["0.93", "-1.5"]}
    with pytest.raises(DistillError, match="line 3 has 1 cells"):
        table(tmp_path, "sep=;\nfile;smile\na.jpg\n")


@pytest.mark.parametrize("key", ["file", "path", "image", "candidate", "sample", "key", "name", "File"])
def test_every_command_takes_the_same_names_of_the_column_that_names_the_picture(tmp_path, key):
    (tmp_path / "a.csv").write_text(f"{key},label\n" + "".join(f"{n}.png,{n % 2}\n" for n in range(20)))
    assert read_labels(tmp_path / "a.csv").columns == ("label",)
    assert read_scores(tmp_path / "a.csv").names == ["label"]
    assert len(read_examples(tmp_path / "a.csv", tmp_path / "out").items) == 20


def test_types_of_columns():
    assert as_column(["1", "-2"]).dtype == np.int16
    assert as_column(["1", "70000"]).dtype == np.float32
    mixed = as_column(["1950", "", "2.5"])
    assert mixed.dtype == np.float32
    np.testing.assert_array_equal(mixed, np.array([1950, np.nan, 2.5], np.float32))
    assert as_column(["007", "1"]) == ["007", "1"]
    assert as_column(["F", ""]) == ["F", ""]
    assert as_column(["", ""]) == ["", ""]


def test_balanced_classes_are_equally_likely_and_the_rest_keeps_its_share():
    classes = ["M"] * 6 + ["F"] * 2 + [""] * 12
    weights, shares = balanced_weights(classes)
    drawn = {name: weights[[c == name for c in classes]].sum() / weights.sum() for name in ("M", "F", "")}
    assert drawn == pytest.approx({"M": 0.2, "F": 0.2, "": 0.6})
    assert weights.mean() == pytest.approx(1)
    assert (shares["F"].weight, shares["F"].count, shares[""].weight) == (2.0, 2, 1.0)


@pytest.mark.parametrize("classes", [["", ""], ["F", "F", ""], [str(i) for i in range(101)]])
def test_too_few_or_too_many_classes(classes):
    with pytest.raises(DistillError, match="2 to 100 classes"):
        balanced_weights(classes)


def test_balance_option():
    path, column = split_balance("a:b/labels.csv:gender")
    assert (str(path), column) == ("a:b/labels.csv", "gender")
    for text in ("labels.csv", "labels.csv:", ":gender"):
        with pytest.raises(DistillError, match=r"FILE\.csv:COLUMN"):
            split_balance(text)
