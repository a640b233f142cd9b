"""Pictures that are no squares, from `prepare-images --size` through a training to `translate --align none`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from distill.cli.main import run
from distill.networks.student import load_student
from distill.shards.dataset import TripletDataset
from distill.shards.read import open_shard
from distill.training.images import open_images

pytestmark = pytest.mark.usefixtures("pages_without_curves")

HEIGHT, WIDTH = 32, 16


def clothes(folder: Path, count: int, hue: int) -> Path:
    """Photos of 48 x 40 px, each with a band of colour across a height of its own."""
    folder.mkdir()
    for number in range(count):
        pixels = np.full((48, 40, 3), 60, np.uint8)
        pixels[4 * number : 4 * number + 12, :, hue] = 220
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def call(*words: object) -> int:
    return run([str(word) for word in words])


@pytest.mark.parametrize("codec", ["raw", "jpeg", "webp"])
def test_a_set_of_oblong_pictures(codec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = clothes(tmp_path / "photos", 5, 0)
    out = tmp_path / "set"
    assert call("prepare-images", photos, "--out", out, "--size", "16x32", "--codec", codec) == 0
    assert "5 of 5 pictures, 16×32, align none" in capsys.readouterr().out
    images = open_images(out, any_shape=True)
    assert (images.sides, images.resolution) == ((HEIGHT, WIDTH), HEIGHT)
    # The middle 24 of 40 columns, at two thirds.
    wanted = (
        Image.open(photos / "3.png").crop((8, 0, 32, 48)).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    )
    tolerance = 6 if codec == "jpeg" else 0
    assert np.abs(images.read(np.array([3]))[0].astype(int) - np.asarray(wanted)).max() <= tolerance
    with open_shard(out / "shard-00000.h5") as shard:
        assert (shard.sides, shard.recipe["width"]) == ((HEIGHT, WIDTH), WIDTH)
    smaller = TripletDataset(out, resolution=16)
    assert (smaller.sides, smaller[0]["image"].shape) == ((16, 8), (3, 16, 8))
    assert "16 × 32 pixels" in (out / "README.md").read_text()
    for command in ("verify", "inspect", "status"):
        assert call(command, out) == 0, command
    assert call("verify", out, "--full") == 0
    assert call("export", out, "--to", "folders", "--out", tmp_path / "files") == 0
    with Image.open(tmp_path / "files" / "image" / "000000.png") as picture:
        assert picture.size == (WIDTH, HEIGHT)


def test_squares_are_asked_for_where_oblong_pictures_do_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = clothes(tmp_path / "photos", 5, 0)
    prepare = ["prepare-images", photos, "--out", tmp_path / "set"]
    assert call(*prepare, "--size", "16x32", "--align", "ffhq") == 2
    assert "faces are cut out as squares" in capsys.readouterr().err
    assert call(*prepare, "--size", "16x2") == 2
    assert "sides of 4 to 1024 px are needed" in capsys.readouterr().err
    assert call(*prepare, "--size", "16") == 2
    assert "WIDTHxHEIGHT is needed, such as 128x256" in capsys.readouterr().err
    assert call(*prepare) == 2
    assert "one of --resolution and --size is needed" in capsys.readouterr().err
    assert call(*prepare, "--size", "16x32") == 0
    capsys.readouterr()
    assert (
        call("train-stylegan2", "--data", tmp_path / "set", "--out", tmp_path / "run", "--device", "cpu") == 2
    )
    assert "has pictures of 16×32 px: squares are needed" in capsys.readouterr().err


def test_a_cyclegan_learns_them_and_translates_whole_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, hue in (("red", 0), ("blue", 2)):
        photos = clothes(tmp_path / name, 6, hue)
        assert call("prepare-images", photos, "--out", tmp_path / f"{name}-set", "--size", "16x32") == 0
    words = [
        "train-cyclegan",
        "--data",
        tmp_path / "red-set",
        "--data-b",
        tmp_path / "blue-set",
        "--device",
        "cpu",
    ]
    words += ["--set", "ngf=4", "--set", "ndf=4", "--blocks", 1, "--batch", 2, "--set", "d_layers=1"]
    words += ["--features", "none", "--augment", "flip,crop,rotate", "--set", "downsamplings=1", "--lr", 5e-3]
    assert call(*words, "--constant-epochs", 2, "--decay-epochs", 0, "--out", tmp_path / "run") == 0
    student = load_student(tmp_path / "run")
    assert (student.facts.resolution, student.facts.width) == (HEIGHT, WIDTH)
    with Image.open(next((tmp_path / "run").glob("samples-*.png"))) as picture:
        assert picture.size == (6 * WIDTH, 8 * HEIGHT)
    capsys.readouterr()
    translate = ["translate", tmp_path / "red", "--model", tmp_path / "run", "--device", "cpu"]
    assert call(*translate, "--align", "none", "--out", tmp_path / "out", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["size"], report["width"], report["translated"]) == (HEIGHT, WIDTH, 6)
    pixels = open_images(tmp_path / "red-set", any_shape=True).read(np.array([2]))
    made = student(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1)[0].permute(1, 2, 0)
    with Image.open(tmp_path / "out" / "2.png") as picture:
        assert np.abs(np.asarray(picture) - ((made.numpy() + 1) * 127.5)).max() <= 1
    assert (tmp_path / "out" / "sheet.png").is_file()
    capsys.readouterr()
    assert call(*translate, "--out", tmp_path / "faces") == 2
    assert (
        "takes pictures of 16×32 px, and faces are squares: give it whole pictures" in capsys.readouterr().err
    )
    assert call(*translate, "--align", "none", "--paste-back", "--out", tmp_path / "faces") == 2
    assert "only squares are pasted back: leave out --paste-back" in capsys.readouterr().err
    assert not (tmp_path / "faces").exists()
    assert call(*translate, "--align", "none", "--size", 64, "--out", tmp_path / "large") == 0
    with Image.open(tmp_path / "large" / "2.png") as picture:
        assert picture.size == (2 * WIDTH, 2 * HEIGHT)
