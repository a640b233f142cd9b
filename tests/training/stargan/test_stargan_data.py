"""A labelled set as a StarGAN takes it: which pictures count, what labels they have, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from image_sets import write_image_set

from distill.errors import DistillError
from distill.networks.edits import EditAttribute
from distill.training.position import RunPosition
from distill.training.request import TrainRequest
from distill.training.stargan.data import LabelledPictures, changed_labels, names_of, open_pictures
from distill.training.stargan.settings import StarGANSettings, settle

PRESET = StarGANSettings(batch=4, val_fraction=0.25, mirror=False)
SIDE = 16
GENDERS = ["f", "m", "", "m"] * 5
AGES = [20.0, 60.0, 30.0, np.nan] * 5


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """20 pictures of one grey each: number n is 4 n bright. 10 of them have both labels, f at 20 and m at 60."""
    levels = 4 * np.arange(20, dtype=np.uint8)
    pixels = np.broadcast_to(levels[:, None, None, None], (20, SIDE, SIDE, 3)).copy()
    labels = {"gender": GENDERS, "age": np.array(AGES, np.float32)}
    return write_image_set(tmp_path / "faces", pixels, labels=labels)


def opened(data: Path, notes: list[str] | None = None, **changes: object) -> LabelledPictures:
    request = TrainRequest(data=data, out=data / "run", seed=0)
    heard = notes.append if notes is not None else lambda line: None
    return open_pictures(request, settle(PRESET, changes), "cpu", heard)


def test_labels_are_those_of_the_conditions_and_unknown_ones_are_left_out(data: Path) -> None:
    notes: list[str] = []
    found = opened(data, notes, attributes="gender=f,age>=50")
    assert notes == ["left out 10 of 20 pictures whose gender or age is not known"]
    assert (len(found.train_on), len(found.held_out), found.sides) == (8, 2, (SIDE, SIDE))
    assert {int(number) % 4 for number in (*found.train_on, *found.held_out)} == {0, 1}
    assert found.attributes == (
        EditAttribute(label="gender", value="f", values=("f", "m")),
        EditAttribute(label="age", sign=">=", value="50"),
    )
    for update in range(4):
        images, labels = found.draw(RunPosition(seed=0, updates=update, samples=4 * update))
        numbers = ((images[:, 0, 0, 0] + 1) * 127.5 / 4).round().int()
        wanted = [[1.0, 0.0] if number % 4 == 0 else [0.0, 1.0] for number in numbers.tolist()]
        assert labels.tolist() == wanted
    assert found.facts()["size"] == "16×16"


def test_half_of_the_pictures_are_mirrored(tmp_path: Path) -> None:
    pixels = np.zeros((8, SIDE, SIDE, 3), np.uint8)
    pixels[:, :, : SIDE // 2] = 255
    data = write_image_set(tmp_path / "halves", pixels, labels={"kind": ["a", "b"] * 4})
    found = opened(data, attributes="kind=a", mirror=True, val_fraction=0.0)
    places = [RunPosition(seed=0, updates=n, samples=4 * n) for n in range(20)]
    left = torch.cat([found.draw(place)[0][:, 0, 0, 0] for place in places]) > 0
    assert 20 < int(left.sum()) < 60


def test_processes_share_a_batch(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = RunPosition(seed=0, updates=7, samples=28)
    whole = opened(data, attributes="gender=f").draw(place)
    monkeypatch.setattr("distill.training.processes.world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr("distill.training.processes.rank", lambda rank=rank: rank)
        parts.append(opened(data, attributes="gender=f").draw(place))
    for wanted, halves in zip(whole, zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.cat(halves), wanted)


def test_one_value_of_a_label_comes_with_the_others_off() -> None:
    hair = [EditAttribute(label="hair", value=word, values=("black", "blond")) for word in ("black", "blond")]
    male = EditAttribute(label="gender", value="male", values=("female", "male"))
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    assert changed_labels([*hair, male], labels, 1).tolist() == [[0.0, 1.0, 1.0], [0.0, 1.0, 0.0]]
    assert changed_labels([*hair, male], labels, 2).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    ages = [EditAttribute(label="age", sign=">=", value=value) for value in ("30", "50")]
    assert changed_labels(ages, torch.tensor([[1.0, 0.0]]), 1).tolist() == [[1.0, 1.0]]


def test_changes_have_names() -> None:
    assert names_of(EditAttribute(label="gender", value="female", values=("female", "male"))) == (
        "female",
        "male",
    )
    assert names_of(EditAttribute(label="hair", value="red", values=("black", "blond", "red"))) == (
        "red",
        "not-red",
    )
    assert names_of(EditAttribute(label="age", sign=">=", value="50")) == ("age-from-50", "age-under-50")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("", "setting attributes is empty"),
        ("none", "no attributes to learn: name some, such as --attributes gender=female,age>=50"),
        ("female", "'female': LABEL=VALUE is needed"),
        ("gender=f,gender=f", "gender=f is named twice"),
        ("sex=f", "has no label 'sex'; its labels are age, gender"),
        ("gender=x", "has gender=x; gender is m (10), f (5), unknown (5)"),
        ("age>0", "every one of the 11 pictures of"),
        ("gender=m,age<30", None),
    ],
)
def test_attributes_that_cannot_be_learnt_are_one_line(
    data: Path, attributes: str, message: str | None
) -> None:
    if message is None:
        opened(data, attributes=attributes)
        return
    with pytest.raises(DistillError) as caught:
        opened(data, attributes=attributes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
