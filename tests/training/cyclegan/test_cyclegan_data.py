"""Two domains: of a labelled set, of two folders, or the public layout; what is drawn when, and what is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image_sets import write_image_set
from PIL import Image

from distill.errors import DistillError
from distill.training.cyclegan.data import Domains, open_domains
from distill.training.cyclegan.settings import CycleGANSettings, settle
from distill.training.position import RunPosition
from distill.training.request import TrainRequest

PRESET = CycleGANSettings(batch=4, val_fraction=0.2)
SIDE = 16


def plain(count: int, first: int = 0, side: int = SIDE) -> np.ndarray:
    """Pictures of one grey each, by which they are known: number n is 4 n bright."""
    levels = 4 * np.arange(first, first + count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, side, side, 3)).copy()


def labelled(folder: Path, genders: list[str], ages: list[float]) -> Path:
    labels = {"gender": genders, "age": np.array(ages, np.float32)}
    return write_image_set(folder, plain(len(genders)), labels=labels)


def pictures(folder: Path, count: int, first: int = 0, side: int = SIDE) -> Path:
    folder.mkdir(parents=True)
    for number, pixels in enumerate(plain(count, first, side)):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def opened(data: Path, seed: int = 0, **changes: object) -> Domains:
    request = TrainRequest(data=data, out=data / "run", seed=seed)
    return open_domains(request, settle(PRESET, changes), "cpu", lambda line: None)


def refusal(data: Path, **changes: object) -> str:
    with pytest.raises(DistillError) as caught:
        opened(data, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def drawn(domains: Domains, updates: int) -> tuple[list[int], list[int]]:
    """The numbers of the pictures of the first updates, by their brightness."""
    found: tuple[list[int], list[int]] = ([], [])
    for update in range(updates):
        batches = domains.draw(RunPosition(seed=0, updates=update, samples=4 * update))
        for numbers, images in zip(found, batches, strict=True):
            assert images.shape == (4, 3, SIDE, SIDE)
            numbers.extend(((images[:, 0, 0, 0] + 1) * 127.5 / 4).round().int().tolist())
    return found


def test_domains_of_a_labelled_set(tmp_path: Path) -> None:
    data = labelled(tmp_path / "faces", ["f", "m", "", "m", "f"] * 4, [20, 30, 40, 50, 60] * 4)
    domains = opened(data, domains="gender=m,gender=f", val_fraction=0.25)
    assert (domains.a.name, domains.b.name, domains.rows, domains.sides) == ("m", "f", 6, (SIDE, SIDE))
    for domain, places in ((domains.a, {1, 3}), (domains.b, {0, 4})):
        assert {int(number) % 5 for number in (*domain.train_on, *domain.held_out)} == places
        assert (len(domain.train_on), len(domain.held_out)) == (6, 2)
        assert not {*domain.train_on} & {*domain.held_out}
    by_age = opened(data, domains="age<30,age>=50")
    assert (by_age.a.name, by_age.b.name) == ("age-under-30", "age-from-50")
    assert by_age.facts()["domain_b"] == "age-from-50: 6 and 2 held out"


def test_both_domains_come_in_their_own_order_each_epoch_whole(tmp_path: Path) -> None:
    a, b = pictures(tmp_path / "horses", 12), pictures(tmp_path / "zebras", 8, 30)
    domains = opened(a, data_b=b, val_fraction=0.0)
    assert (domains.a.name, domains.b.name, domains.rows) == ("horses", "zebras", 12)
    of_a, of_b = drawn(domains, 6)
    assert sorted(of_a[:12]) == sorted(of_a[12:]) == list(range(12))
    assert of_a[:12] != of_a[12:]
    for epoch in range(3):
        assert sorted(of_b[8 * epoch : 8 * epoch + 8]) == list(range(30, 38))
    same = opened(a, data_b=pictures(tmp_path / "more", 12, 30), val_fraction=0.0)
    of_a, of_b = drawn(same, 3)
    assert of_a != [number - 30 for number in of_b]  # no pairs come together by accident


def test_what_is_drawn_hangs_on_the_position_alone_and_processes_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pictures(tmp_path / "a", 12), pictures(tmp_path / "b", 8, 30)
    whole = opened(a, data_b=b).draw(RunPosition(seed=0, updates=7, samples=28))
    monkeypatch.setattr("distill.training.processes.world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr("distill.training.processes.rank", lambda rank=rank: rank)
        parts.append(opened(a, data_b=b).draw(RunPosition(seed=0, updates=7, samples=28)))
    for domain in range(2):
        both = np.concatenate([part[domain].numpy() for part in parts])
        assert np.array_equal(both, whole[domain].numpy())


def test_the_public_layout_is_two_domains(tmp_path: Path) -> None:
    for name in ("trainA", "trainB", "testA"):
        pictures(tmp_path / "set" / name, 5, side=24)
    domains = opened(tmp_path / "set", resolution=16)
    assert (domains.a.name, domains.b.name, domains.rows, domains.sides) == ("trainA", "trainB", 4, (16, 16))


def test_folders_of_one_name_are_called_a_and_b(tmp_path: Path) -> None:
    a, b = pictures(tmp_path / "old" / "faces", 3), pictures(tmp_path / "new" / "faces", 3)
    domains = opened(a, data_b=b)
    assert (domains.a.name, domains.b.name) == ("a", "b")


def test_bad_domains_are_one_line(tmp_path: Path) -> None:
    data = labelled(tmp_path / "faces", ["f", "m"] * 4, [20, 60] * 4)
    folder, large = pictures(tmp_path / "plain", 4), pictures(tmp_path / "large", 4, side=32)
    (tmp_path / "empty").mkdir()
    assert "is one domain; name the other: --data-b FOLDER" in refusal(data)
    assert "domains gender=m: two are needed" in refusal(data, domains="gender=m")
    assert "gender=w; gender is f (4), m (4)" in refusal(data, domains="gender=m,gender=w")
    assert "has no label 'sex'; its labels are age, gender" in refusal(data, domains="sex=m,sex=f")
    assert "4 of 8 pictures of" in refusal(data, domains="gender=m,age>30")
    assert "have both gender=m and age>30" in refusal(data, domains="gender=m,age>30")
    assert "has no labels for gender=m" in refusal(folder, domains="gender=m,gender=f")
    assert "give only one of the two" in refusal(data, domains="gender=m,gender=f", data_b=folder)
    assert "no files in " + str(tmp_path / "empty") in refusal(folder, data_b=tmp_path / "empty")
    assert "nowhere: no such file or folder" in refusal(folder, data_b=tmp_path / "nowhere")
    wrong = refusal(folder, data_b=large)
    assert (
        wrong
        == "plain has pictures of 16×16 px and large of 32×32 px: bring both to one size, such as --resolution 16"
    )
    assert "none would be left to train on" in refusal(folder, data_b=folder, val_fraction=0.99)
