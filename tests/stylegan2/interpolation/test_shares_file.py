"""The file of shares."""

from __future__ import annotations

import pytest
import torch

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.stylegan2.delta import tuned_generator
from distill.stylegan2.interpolation.pairs import crossover_shares
from distill.stylegan2.interpolation.settings import settings_for
from distill.stylegan2.interpolation.shares_file import SharesFacts, read_shares, shares_bytes
from distill.weights.safetensors_file import write_tensors

HOW = SharesFacts(
    part="mouth", made_by="optimised", person="3", reference="7", settings=settings_for("mouth")
)


@pytest.fixture
def shares(tiny_teacher):
    return crossover_shares(tiny_teacher, 2)[0] * 0.25


def test_shares_come_back_with_how_they_were_made(tiny_teacher, shares, tmp_path):
    path = tmp_path / "mouth.shares.safetensors"
    path.write_bytes(shares_bytes(shares, HOW, tiny_teacher))
    again, how = read_shares(path, tiny_teacher)
    assert torch.equal(again, shares)
    assert how == HOW
    assert path.read_bytes() == shares_bytes(shares, HOW, tiny_teacher)


def test_another_generator_is_refused_in_a_line(tiny_teacher, shares, tmp_path):
    path = tmp_path / "mouth.shares.safetensors"
    path.write_bytes(shares_bytes(shares, HOW, tuned_generator(tiny_teacher, {}, sha256="cd" * 32)))
    with pytest.raises(
        DistillError, match="shares of the generator with sha256 cdcdcdcdcdcd…, this one"
    ) as caught:
        read_shares(path, tiny_teacher)
    assert "\n" not in str(caught.value)


def test_files_that_hold_no_shares_are_refused(tiny_teacher, shares, tmp_path):
    texts = {"format": "distill-channel-shares", "generator_sha256": tiny_teacher.sha256, "how": "{}"}
    good = {**texts, "how": HOW.model_dump_json()}
    write_tensors(tmp_path / "a", {"q": shares}, {"format": "else"})
    write_tensors(tmp_path / "b", {"q": shares}, texts)
    write_tensors(tmp_path / "c", {"q": shares[:5]}, good)
    write_tensors(tmp_path / "d", {"q": shares + 0.9}, good)
    write_tensors(tmp_path / "e", {"q": shares * float("nan")}, good)
    write_tensors(tmp_path / "f", {"q": shares}, {**good, "how": "["})
    (tmp_path / "g").write_text("notes")
    for name, said in (
        ("a", "no shares of style channels; distill region writes them"),
        ("b", "facts are broken: part"),
        ("c", r"shares have shape \[5\], this generator takes"),
        ("d", "must be numbers from 0 to 1"),
        ("e", "must be numbers from 0 to 1"),
        ("f", "facts are broken"),
        ("g", "not a weight file"),
    ):
        with pytest.raises(UnsupportedCheckpoint, match=said) as caught:
            read_shares(tmp_path / name, tiny_teacher)
        assert "\n" not in str(caught.value)


def test_shares_that_no_generator_can_use_are_not_written(tiny_teacher, shares, tmp_path):
    with pytest.raises(DistillError, match="must be numbers from 0 to 1"):
        shares_bytes(shares - 1, HOW, tiny_teacher)
    assert not list(tmp_path.iterdir())
