"""`distill directions`: files beside a direction, going on, published arrays, one line for bad input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from planted import GENDER, PlantedTeacher, planted_studio, planted_teacher_facts

from distill.cli.directions import directions
from distill.cli.main import explain
from distill.directions import fit_run, import_run
from distill.directions.file import read_direction
from distill.directions.requests import ScoredFaces
from distill.directions.trial import Opened
from distill.weights.checkpoint import read_checkpoint


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted teacher and scorer, whatever --generator says."""

    def opened(scored: ScoredFaces, attributes: Sequence[str], command: str) -> Opened:
        settings = {"scorer": "planted", "seed": scored.drawn.seed}
        return Opened(
            studio=planted_studio(), teacher=planted_teacher_facts(), settings=settings, command=command
        )

    for module in (fit_run, import_run):
        monkeypatch.setattr(module, "open_studio", opened)


def call(*arguments: Any) -> Result:
    return CliRunner().invoke(directions, [str(argument) for argument in arguments], standalone_mode=False)


def fit(out: Path, *arguments: Any) -> Result:
    return call("fit", "--n", 400, "--faces", 8, "--out", out, *arguments)


def refused(result: Result, *words: str) -> None:
    assert result.exception is not None, result.output
    line, code = explain(result.exception)
    assert code == 2
    assert "\n" not in line
    for word in words:
        assert word in line


@pytest.mark.usefixtures("planted")
def test_a_fit_writes_directions_with_pictures_cards_and_numbers(tmp_path: Path) -> None:
    result = fit(tmp_path, "--attribute", "gender,age", "--orthogonal-to", "age")
    assert result.exit_code == 0, result.output
    gender = read_direction(tmp_path / "planted-gender.safetensors")
    gender.check_fits(num_ws=4, w_dim=6, generator_sha256=PlantedTeacher.sha256)
    row = gender.vector[0].double().numpy()
    age = read_direction(tmp_path / "planted-age.safetensors").vector[0].double().numpy()
    assert abs(row @ age) < 1e-6
    assert row @ GENDER > 0
    report = json.loads((tmp_path / "planted-gender.json").read_text())
    assert report["facts"] == dict(gender.facts)
    assert set(report["entanglement"]["movement"]) == {"planted-gender", "planted-age"}
    assert len(report["drawn"]["mean"]["gender"]) == 17
    card = (tmp_path / "planted-gender.md").read_text()
    assert "planted-gender.png" in card
    assert "fit --attribute gender,age --n 400 --orthogonal-to age --faces 8 --generator portraits" in card
    assert str(tmp_path) not in card
    with Image.open(tmp_path / "planted-gender.png") as picture:
        assert picture.width > 9 * 128
    assert "recommended strength" in result.stdout
    assert "cosine of planted-gender and planted-age" in result.stdout


@pytest.mark.usefixtures("planted")
def test_another_attribute_needs_no_new_samples(tmp_path: Path) -> None:
    assert fit(tmp_path, "--attribute", "gender").exit_code == 0
    result = fit(tmp_path, "--attribute", "age", "--json")
    assert result.exit_code == 0, result.output
    assert "400 of them in" in result.stderr
    [report] = json.loads(result.stdout)
    assert report["attribute"] == "age"
    assert report["facts"]["method"] == "ridge"
    assert len(list(tmp_path.glob("*.scores"))) == 1


@pytest.mark.usefixtures("planted")
def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    result = fit(tmp_path, "--attribute", "gender", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "show a face" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("planted")
def test_a_slash_at_the_end_of_out_means_a_new_folder(tmp_path: Path) -> None:
    out = tmp_path / "new"
    done = call("fit", "--n", 400, "--faces", 8, "--attribute", "gender", "--out", f"{out}/", "--dry-run")
    assert f"to write: {out}/planted-gender.safetensors," in done.output
    np.save(tmp_path / "published.npy", -0.1 * GENDER)
    arguments = [
        "import",
        tmp_path / "published.npy",
        "--attribute",
        "gender",
        "--samples",
        12,
        "--out",
        f"{out}/",
    ]
    assert call(*arguments).exit_code == 0
    assert [path.name for path in out.glob("*.safetensors")] == ["planted-gender.safetensors"]


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--attribute", "smile"], ["unknown attribute 'smile'", "gender, age"]),
        (["--attribute", "gender", "--method", "pca"], ["unknown method 'pca'", "centroid, logistic"]),
        (["--attribute", "gender", "--layers", "9-3"], ["layers '9-3'", "0 to 3"]),
        (["--attribute", "gender", "--orthogonal-to", "no-such"], ["unknown direction 'no-such'"]),
        (["--attribute", ","], ["no attribute is named", "gender, age"]),
    ],
    ids=["attribute", "method", "layers", "orthogonal", "none"],
)
def test_bad_input_gets_one_line(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    refused(fit(tmp_path, *arguments), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("planted")
def test_a_direction_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "planted-gender.safetensors").write_bytes(b"mine")
    refused(fit(tmp_path, "--attribute", "gender"), "exists", "--overwrite")
    assert fit(tmp_path, "--attribute", "gender", "--overwrite").exit_code == 0


@pytest.mark.usefixtures("planted")
def test_a_published_direction_is_turned_and_scaled(tmp_path: Path) -> None:
    np.save(tmp_path / "published.npy", np.tile(-0.1 * GENDER, (1, 1)))
    out = tmp_path / "mine.safetensors"
    result = call(
        "import", tmp_path / "published.npy", "--attribute", "gender", "--samples", 12, "--out", out
    )
    assert result.exit_code == 0, result.output
    found = read_direction(out)
    row = found.vector[0].double().numpy()
    assert row @ GENDER / np.linalg.norm(row) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(row) == pytest.approx(found.facts["deviation"], rel=1e-4)
    assert found.facts["turned"] is True
    assert "turned round" in result.stdout


@pytest.mark.usefixtures("planted")
def test_an_attribute_that_the_scorer_does_not_know_is_sent_to_no_orient(tmp_path: Path) -> None:
    np.save(tmp_path / "smile.npy", GENDER)
    result = call("import", tmp_path / "smile.npy", "--attribute", "smile", "--out", tmp_path / "mine")
    refused(result, "unknown attribute 'smile'", "--no-orient imports it with its own sign and length")
    assert [path.name for path in tmp_path.iterdir()] == ["smile.npy"]


def test_a_direction_for_which_there_is_no_scorer_is_kept_as_it_is(
    tmp_path: Path, tiny_weights: Path
) -> None:
    width = read_checkpoint(tiny_weights).facts["w_dim"]
    published = -np.arange(1.0, width + 1, dtype=np.float32)
    np.save(tmp_path / "smile.npy", published)
    out = tmp_path / "mine.safetensors"
    arguments = ["import", tmp_path / "smile.npy", "--attribute", "smile", "--no-orient", "--layers", "1-2"]
    arguments += ["--generator", tiny_weights, "--out", out, "--precision", "fp32"]
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    found = read_direction(out)
    assert (found.attribute, found.facts["oriented"]) == ("smile", False)
    assert np.array_equal(found.vector[1].numpy(), published)
    assert np.array_equal(found.vector[2].numpy(), published)
    assert not found.vector[0].any()
    assert "its own sign and length" in result.stdout
    assert out.with_suffix(".png").is_file()
    shown = call("show", out).stdout
    assert "is said to move smile" in shown
    assert "its own sign and length" in shown
    refused(call(*arguments), "exists", "--overwrite")


@pytest.mark.usefixtures("planted")
def test_a_direction_of_another_width_is_refused_with_both_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.ones((18, 512)))
    refused(call("import", tmp_path / "wide.npy", "--attribute", "gender"), "[18, 512]", "[4, 6]")


def test_factors_of_a_teacher_get_a_picture_each(tmp_path: Path, tiny_weights: Path) -> None:
    arguments = ["sefa", "--generator", tiny_weights, "--out", tmp_path / "sefa", "--precision", "fp32"]
    result = call(*arguments, "--count", 2, "--layers", "0-3")
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "sefa").iterdir())
    assert names == [f"tiny-sefa-0{k}.{suffix}" for k in (1, 2) for suffix in ("png", "safetensors")]
    first = read_direction(tmp_path / "sefa" / "tiny-sefa-01.safetensors")
    assert first.attribute == "sefa-01"
    assert first.vector[0].any()
    assert not first.vector[4:].any()
    refused(call(*arguments, "--count", 2), "exists", "--overwrite")
    shown = call("show", tmp_path / "sefa" / "tiny-sefa-01.safetensors")
    assert "factorised style layers" in shown.stdout
    listed = call("list", tmp_path / "sefa", "--json")
    assert "sefa-02" in [entry["attribute"] for entry in json.loads(listed.stdout)]


@pytest.mark.usefixtures("planted")
def test_a_truncation_that_is_no_number_is_refused(tmp_path: Path) -> None:
    refused(
        fit(tmp_path, "--attribute", "gender", "--truncation-psi", "nan"),
        "'--truncation-psi': nan is no finite number",
    )


def test_show_and_list_tell_what_is_not_there() -> None:
    refused(call("show", "nothing"), "unknown direction 'nothing'")
    refused(call("list", "no/folder"), "no such folder")
