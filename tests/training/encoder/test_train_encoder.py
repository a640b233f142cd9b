"""Training an encoder: it finds w+ again, from samples alone and with photos, and a run can be cut in two."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from state_differences import differences

import distill
from distill.cli.main import run
from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.encoder_files import load_encoder, save_encoder
from distill.stylegan2.encoding import encode
from distill.stylegan2.spread import measure_spread
from distill.training.checkpoint import load_checkpoint

pytestmark = pytest.mark.usefixtures("pages_without_curves")

FAST = (
    "--set",
    "width=8",
    "--set",
    "perceptual=none",
    "--set",
    "rounds=2",
    "--device",
    "cpu",
    "--score-images",
    "4",
)


def train(weights: Path, out: Path, kimg: float, *more: object) -> int:
    options = ["--generator", weights, "--out", out, "--kimg", kimg, *FAST, *more]
    return run(["train-encoder", *map(str, options)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures of 32 px."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{number:02}.png")
    return folder


def test_it_comes_nearer_to_w_and_to_the_picture_than_the_mean(tiny_weights, tiny_teacher, tmp_path):
    assert train(tiny_weights, tmp_path / "run", 1.2, "--lr", 2e-3) == 0
    encoder = load_encoder(tmp_path / "run" / "encoder.safetensors")
    encoder.check_fits("encoder", tiny_teacher.sha256)
    z = torch.randn(16, tiny_teacher.z_dim, generator=torch.Generator().manual_seed(9))
    ws = tiny_teacher.map(z).clone()
    images = tiny_teacher.synthesize(ws).clone()
    found = encode(encoder.network, tiny_teacher, images, rounds=encoder.rounds)
    centre = measure_spread(tiny_teacher).centre
    mean = tiny_teacher.synthesize(centre.expand(1, tiny_teacher.num_ws, -1))
    assert (found.images - images).abs().mean() < 0.8 * (mean - images).abs().mean()
    assert (found.ws - ws).square().mean() < 0.9 * (centre - ws).square().mean()


def test_two_halves_are_the_whole(tiny_weights, photos, tmp_path):
    assert train(tiny_weights, tmp_path / "whole", 0.064, "--data", photos) == 0
    assert train(tiny_weights, tmp_path / "halves", 0.032, "--data", photos) == 0
    assert train(tiny_weights, tmp_path / "halves", 0.064, "--data", photos, "--resume") == 0
    whole, halves = (load_checkpoint(tmp_path / name) for name in ("whole", "halves"))
    assert whole
    assert halves
    assert differences(whole[0], halves[0]) == []


def test_photos_take_part_and_are_scored(tiny_weights, photos, tmp_path, capsys):
    assert train(tiny_weights, tmp_path / "with", 0.032, "--data", photos, "--json") == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert {"sample_latent", "sample_l1", "photo_l1"} <= scores.keys()
    assert train(tiny_weights, tmp_path / "without", 0.032, "--json") == 0
    assert "photo_l1" not in json.loads(capsys.readouterr().out)["scores"]
    learnt = [load_encoder(tmp_path / name / "encoder.safetensors").network for name in ("with", "without")]
    assert not torch.equal(learnt[0].shared.weight, learnt[1].shared.weight)
    assert (tmp_path / "with" / "index.html").is_file()


def test_a_file_in_float16_is_half_as_large_and_nearly_the_same(tiny_weights, tiny_teacher, tmp_path):
    assert train(tiny_weights, tmp_path / "run", 0.032) == 0
    path = tmp_path / "run" / "encoder.safetensors"
    encoder = load_encoder(path)
    save_encoder(tmp_path / "half.safetensors", encoder, half=True)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * path.stat().st_size
    half = load_encoder(tmp_path / "half.safetensors")
    images = tiny_teacher.synthesize(tiny_teacher.map(torch.randn(2, tiny_teacher.z_dim)))
    full, rounded = (encode(e.network, tiny_teacher, images, rounds=2).ws for e in (encoder, half))
    assert torch.allclose(full, rounded, atol=0.02)


def test_another_generator_and_another_file_are_refused(tiny_weights, tmp_path):
    assert train(tiny_weights, tmp_path / "run", 0.032) == 0
    encoder = load_encoder(tmp_path / "run" / "encoder.safetensors")
    with pytest.raises(DistillError, match="an encoder of another generator"):
        encoder.check_fits("encoder", "0" * 64)
    with pytest.raises(UnsupportedCheckpoint, match="no encoder of distill train-encoder"):
        load_encoder(tiny_weights)


def test_bad_input_is_one_line(tiny_weights, photos, tmp_path, capsys):
    for options, said in (
        (
            [tiny_weights, tmp_path / "a", 1, "--data", photos, "--set", "photos=0.01"],
            "photos 0.01 of a batch",
        ),
        ([tiny_weights, tmp_path / "a", 1, "--set", "rounds=9"], "rounds"),
        (["nobody", tmp_path / "a", 1], "nobody"),
        ([tiny_weights, tmp_path / "a", 1, "--precision", "bf16"], "encoder is trained in fp32 only"),
    ):
        assert train(*options) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not (tmp_path / "a").exists()


def test_other_models_need_data(tmp_path):
    with pytest.raises(DistillError, match="no data to train on"):
        distill.train("pix2pix", out=tmp_path / "run")


def test_an_encoder_is_a_space_to_project_into(tmp_path, capsys):
    photo = Path(__file__).parents[2] / "golden" / "alignment" / "astronaut.png"
    assert train("portraits", tmp_path / "run", 0.032, "--set", "rounds=1") == 0
    file = tmp_path / "run" / "encoder.safetensors"
    words = ["project", str(photo), "--space", "encoder", "--out", str(tmp_path / "out"), "--device", "cpu"]
    capsys.readouterr()
    assert run([*words, "--encoder", str(file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["results"][0]["spaces"]["encoder"]["procedure"] == "distill-encoder"
    teacher = distill.load_generator("portraits", device="cpu")
    (projection,) = distill.read_projections(tmp_path / "out", generator=teacher)
    assert projection.ws.shape == (teacher.num_ws, teacher.w_dim)

    both = [*words, "--space", "w,encoder", "--encoder", str(file), "--steps", "1"]  # as many as rounds
    assert run([*both, "--out", str(tmp_path / "both")]) == 0
    found = [
        distill.read_projections(tmp_path / "both" / space, generator=teacher)[0].ws
        for space in ("w", "encoder")
    ]
    assert torch.equal(found[1], projection.ws)
    assert not torch.equal(found[0], projection.ws)
    capsys.readouterr()

    for more, said in (
        (["--out", str(tmp_path / "no"), "--space", "w+", "--encoder", str(file)], "is not asked for"),
        (
            ["--out", str(tmp_path / "no"), "--encoder", str(file), "--generator", "people"],
            "an encoder of another generator",
        ),
    ):
        assert run([*words, *more]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not (tmp_path / "no").exists()
