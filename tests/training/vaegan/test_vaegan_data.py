"""Pictures and attributes of a VAE/GAN: what is drawn, who has an attribute, and what cannot be one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from image_sets import write_image_set
from PIL import Image

from distill.errors import DistillError
from distill.training.position import RunPosition
from distill.training.request import TrainRequest
from distill.training.vaegan.data import VAEGANData, open_data
from distill.training.vaegan.settings import VAEGANSettings, settle
from distill.training.vaegan.trainer import default_preset

PRESET = VAEGANSettings(batch=4, height=16, width=16, val_fraction=0.2)


def plain(count: int, height: int = 16, width: int = 16) -> np.ndarray:
    levels = 4 * np.arange(count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def labelled(folder: Path) -> Path:
    """20 pictures, of four each known and not: f 20, m 30, not known 40, m 50, f of no known age."""
    labels = {
        "gender": ["f", "m", "", "m", "f"] * 4,
        "age": np.array([20, 30, 40, 50, np.nan] * 4, np.float32),
    }
    return write_image_set(folder, plain(20), labels=labels)


def pictures(folder: Path, height: int, width: int, count: int = 5) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(plain(count, height, width)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def opened(data: Path, **changes: object) -> VAEGANData:
    request = TrainRequest(data=data, out=data / "run")
    return open_data(request, settle(PRESET, changes), "cpu", lambda line: None)


def refusal(data: Path, **changes: object) -> str:
    with pytest.raises(DistillError) as caught:
        opened(data, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_attributes_are_conditions_and_unknown_labels_are_neither(tmp_path: Path) -> None:
    data = opened(labelled(tmp_path / "faces"), attributes="gender=f,age>=40")
    female, old = data.attributes
    assert (female.name, old.name) == ("gender=f", "age>=40")
    for attribute, on, off in ((female, {0, 4}, {1, 3}), (old, {2, 3}, {0, 1})):
        assert {int(row) % 5 for row in np.flatnonzero(attribute.on)} == on
        assert {int(row) % 5 for row in np.flatnonzero(attribute.off)} == off
    assert not set(data.train_on) & set(data.held_out)
    assert (len(data.train_on), len(data.held_out)) == (16, 4)
    counts = data.facts()["with_gender=f"]
    known = sum(int(row) % 5 != 2 for row in data.train_on)
    assert counts == f"{sum(int(row) % 5 in (0, 4) for row in data.train_on)} of {known}"


def test_an_epoch_is_every_picture_once_and_processes_share_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = labelled(tmp_path / "faces")
    data = opened(folder)
    batches = [data.draw(RunPosition(seed=0, updates=n, samples=4 * n)) for n in range(4)]
    levels = ((np.concatenate(batches)[:, 0, 0, 0] + 1) * 127.5 / 4).round().astype(int)
    assert sorted(levels) == sorted(data.train_on)
    monkeypatch.setattr("distill.training.processes.world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr("distill.training.processes.rank", lambda rank=rank: rank)
        parts.append(opened(folder).draw(RunPosition(seed=0, updates=1, samples=4)))
    assert np.array_equal(np.concatenate(parts), batches[1])


def test_the_size_of_the_pictures_chooses_the_table(tmp_path: Path) -> None:
    for name, height, width, preset in (
        ("faces", 64, 64, "demo"),
        ("clothes", 256, 128, "clothes"),
        ("other", 48, 32, "demo"),
    ):
        folder = pictures(tmp_path / name, height, width, 1)
        request = TrainRequest(data=folder, out=tmp_path / "run")
        assert default_preset(request) == preset
        assert default_preset(replace(request, changes={"resolution": 64})) == "demo"
    assert opened(pictures(tmp_path / "wide", 24, 16), height=24).images.sides == (24, 16)


def test_bad_pictures_and_attributes_are_one_line(tmp_path: Path) -> None:
    folder, clothes = pictures(tmp_path / "plain", 16, 16), pictures(tmp_path / "clothes", 32, 16)
    data = labelled(tmp_path / "faces")
    wrong = refusal(clothes)
    assert "clothes has pictures of 16×32 px, but this network takes 16×16: choose --resolution" in wrong
    assert "(paper 64×64, clothes 128×256, demo 64×64)" in wrong
    assert "has no labels for gender=f" in refusal(folder, attributes="gender=f")
    assert "has no label 'sex'; its labels are age, gender" in refusal(data, attributes="sex=f")
    assert "has gender=x; gender is f (8), m (8), unknown (4)" in refusal(data, attributes="gender=x")
    everybody = refusal(data, attributes="age>=10")
    assert "age>=10: of " in everybody
    assert "have the label 'age', all have it: an attribute needs some with it" in everybody
    assert "gender=f is named twice" in refusal(data, attributes="gender=f,gender=f")
    assert "LABEL=VALUE is needed" in refusal(data, attributes="female")
    assert "both sides must be multiples of 8 px" in refusal(data, height=20)
    assert "a batch of 1 picture cannot be normalised" in refusal(data, batch=1)
    assert "none would be left to train on" in refusal(folder, val_fraction=0.99)
