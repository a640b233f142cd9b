"""Learning labelled pictures by heart: latents that spell labels, the mapping, the update, the script."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_sets import write_image_set
from PIL import Image
from state_differences import differences
from torch.nn.functional import one_hot

from distill.errors import DistillError
from distill.stylegan2.networks import MappingNetwork
from distill.training.checkpoint import load_checkpoint
from distill.training.position import RunPosition
from distill.training.settings import changed
from distill.training.stats import read_stats
from distill.training.stylegan2.settings import PRESETS
from distill.weights.checkpoint import read_checkpoint
from stylegan_weights.making.label_codes import LabelCodes, codes_of
from stylegan_weights.making.label_step import LabelStep
from stylegan_weights.making.learn_by_labels import LearnByLabelsRequest, learn, main
from stylegan_weights.making.written_mapping import write_mapping

TINY = changed(PRESETS["tiny"], {"batch": 8})
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (20, 40, 230)}


def columns(count: int = 600) -> dict[str, np.ndarray]:
    """Half of the pictures red, a third green, the rest blue; a bar on one in four; a measure beside."""
    random = np.random.default_rng(0)
    colours = np.repeat(["red", "green", "blue"], [count // 2, count // 3, count - count // 2 - count // 3])
    return {
        "colour": random.permutation(colours),
        "bar": (np.arange(count) % 4 == 0).astype(np.int16),
        "age": random.random(count).astype(np.float32),
    }


def pictures(labels: dict[str, np.ndarray]) -> np.ndarray:
    """Pictures [N, 8, 8, 3] that the labels decide: a ground in the colour, a white bar or none."""
    images = np.stack([np.full((8, 8, 3), COLOURS[str(colour)], np.uint8) for colour in labels["colour"]])
    images[labels["bar"] == 1, 3:5, 1:7] = 255
    return images


def some_codes() -> LabelCodes:
    return codes_of(columns(), 32, "a")


def test_latents_of_a_picture_spell_its_labels() -> None:
    codes = some_codes()
    assert (codes.names, codes.sizes) == (["colour", "bar"], [3, 2])  # the measure is left out
    numbers = np.arange(600)
    z = codes.latents(numbers, 32, torch.Generator().manual_seed(1))
    assert torch.equal(codes.read(z), torch.from_numpy(codes.values[numbers]))


def test_normal_latents_spell_values_as_often_as_the_pictures_have_them() -> None:
    read = some_codes().read(torch.randn(50_000, 32, generator=torch.Generator().manual_seed(2)))
    shares = [np.bincount(read[:, place]) / 50_000 for place in (0, 1)]
    assert shares[0] == pytest.approx([1 / 6, 1 / 3, 1 / 2], abs=0.01)  # blue, green, red
    assert shares[1] == pytest.approx([3 / 4, 1 / 4], abs=0.01)


def test_latents_of_all_pictures_together_are_normal() -> None:
    codes = some_codes()
    numbers = np.random.default_rng(3).integers(0, 600, 20_000)
    z = codes.latents(numbers, 32, torch.Generator().manual_seed(3))
    assert z.mean(dim=0).abs().max() < 0.04
    assert (z.std(dim=0) - 1).abs().max() < 0.04


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({}, "no labels to draw by"),
        ({"age": np.zeros(9, np.float32), "all": np.array(["same"] * 9)}, "no labels to draw by"),
        ({"kind": np.array(["a"] * 2999 + ["b"])}, "kind is 'b' on 1 of 3000 pictures, too rare"),
        (
            {"kind": np.arange(3000) % 40},
            "1 labels with 40 values need latents 78 wide, this preset's are 32",
        ),
    ],
)
def test_labels_that_cannot_be_drawn_by_are_refused(labels: dict[str, Any], words: str) -> None:
    with pytest.raises(DistillError, match=words) as caught:
        codes_of(labels, 32, "a")
    assert str(caught.value).startswith("a")


@pytest.mark.parametrize("layers", [2, 3, 4, 8])
def test_a_written_mapping_lights_the_numbers_of_the_values_that_are_spelled(layers: int) -> None:
    codes = some_codes()
    mapping = MappingNetwork(replace(TINY.shape(8), mapping_layers=layers))
    write_mapping(mapping, codes)
    z = torch.randn(4096, 32, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        w = mapping(z)
    values = codes.read(z)
    lit = torch.cat([one_hot(values[:, 0], 3), one_hot(values[:, 1], 2)], dim=1) * (5 / 2) ** 0.5
    between = (w[:, :5] - lit).abs().amax(dim=1) > 0.01  # on the ramp from one value to the next
    assert between.float().mean() < 0.05
    assert torch.equal(w[:, 5:10], w[:, :5])
    assert w.square().mean().sqrt() == pytest.approx(1.0, abs=0.05)


def test_the_generator_learns_the_pictures_of_the_labels() -> None:
    labels = columns()
    images = torch.from_numpy(pictures(labels)).permute(0, 3, 1, 2).float() / 127.5 - 1
    step = LabelStep(changed(TINY, {"average_kimg": 0.2}), 8, codes_of(labels, 32, "a"), seed=0)
    random = np.random.default_rng(6)
    for update in range(250):
        numbers = random.integers(0, 600, 8)
        step.update((images[numbers], numbers), RunPosition(seed=0, updates=update, samples=8 * update))
    numbers = np.arange(64)
    z = step.codes.latents(numbers, 32, torch.Generator().manual_seed(7))
    of_the_mean = (images[numbers] - images.mean(dim=0)).abs().mean()
    for psi in (1.0, 0.7):
        with torch.no_grad():
            w = step.average.mapping.w_avg.lerp(step.average.mapping(z), psi)
            drawn = step.average.synthesis(w[:, None].expand(-1, step.average.shape.num_ws, -1))
        assert (drawn - images[numbers]).abs().mean() < 0.4 * of_the_mean


def an_image_set(path: Path) -> Path:
    labels = columns(64)
    kept = {"colour": labels["colour"].tolist(), "bar": labels["bar"]}
    return write_image_set(path, pictures(labels), labels=kept, shard_size=20)


def request(data: Path, out: Path, kimg: float) -> LearnByLabelsRequest:
    return LearnByLabelsRequest(
        data=data, out=out, preset="tiny", kimg=kimg, device="cpu", precision="fp32", tick_kimg=0.08
    )


def test_two_halves_give_the_weights_of_the_whole(tmp_path: Path) -> None:
    data, whole, halves = an_image_set(tmp_path / "a"), tmp_path / "whole", tmp_path / "halves"
    for folder, kimg in ((whole, 0.16), (halves, 0.08), (halves, 0.16)):
        learn(request(data, folder, kimg), stop=threading.Event())
    states = [load_checkpoint(folder) for folder in (whole, halves)]
    assert states[0] is not None
    assert states[1] is not None
    assert differences(states[0][0], states[1][0]) == []
    files = [(folder / "generator.safetensors").read_bytes() for folder in (whole, halves)]
    assert files[0] == files[1]


def test_the_script_learns_and_sharpens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--data", an_image_set(tmp_path / "a"), "--out", out, "--preset", "tiny", "--device", "cpu"]
    words += ["--precision", "fp32", "--kimg", 0.8, "--sharpen-kimg", 0.032, "--tick-kimg", 0.08]
    monkeypatch.setattr(sys, "argv", ["learn_by_labels", *map(str, words)])
    main()
    losses = [line["l1"] for line in read_stats(out)]
    assert losses[-1] < 0.7 * losses[0]
    assert capsys.readouterr().out.strip() == str(out / "sharper" / "generator.safetensors")
    heart, sharper = (read_checkpoint(folder / "generator.safetensors") for folder in (out, out / "sharper"))
    assert sharper.facts["init_sha256"] == heart.sha256


def test_a_folder_has_no_labels_to_draw_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    for i in range(4):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "images" / f"{i}.png")
    words = ["--data", tmp_path / "images", "--out", tmp_path / "out", "--preset", "tiny"]
    monkeypatch.setattr(sys, "argv", ["learn_by_labels", *map(str, words)])
    with pytest.raises(SystemExit, match="images has no labels to draw by"):
        main()
