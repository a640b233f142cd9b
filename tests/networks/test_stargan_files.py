"""StarGANs in files, and as students that take an edit: what a user may name, and what mistakes are answered."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.edits import EditAttribute
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.pix2pixhd_files import save_pth
from distill.networks.stargan import (
    CriticArchitecture,
    StarGANArchitecture,
    StarGANCritic,
    StarGANGenerator,
    create_critic,
    create_generator,
)
from distill.networks.stargan_files import save_critic
from distill.networks.student import StudentFacts, load_student, save_student

ATTRIBUTES = (
    EditAttribute(label="gender", value="female", values=("female", "male")),
    EditAttribute(label="age", sign=">=", value="50"),
)
FACTS = StudentFacts(
    task="gender, age", inputs=("image",), target="image", resolution=16, attributes=ATTRIBUTES
)
SIZES = CriticArchitecture(attributes=2, height=16, width_px=16, width=4, layers=2)


@pytest.fixture
def generator() -> StarGANGenerator:
    return create_generator(StarGANArchitecture(attributes=2, width=4, blocks=1), seed=0)


@pytest.fixture
def critic() -> StarGANCritic:
    return create_critic(SIZES, seed=1)


@pytest.fixture
def run(tmp_path: Path, generator: StarGANGenerator, critic: StarGANCritic) -> Path:
    """A run's folder."""
    save_student(tmp_path / "stargan.safetensors", generator, FACTS)
    save_critic(tmp_path / "stargan-critic.safetensors", critic)
    return tmp_path


IMAGES = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_an_edit_sets_the_labels(run: Path, generator: StarGANGenerator) -> None:
    student = load_student(run, edit="gender=male,age=70")
    with torch.no_grad():
        expected = generator(IMAGES, torch.tensor([[0.0, 1.0]]).expand(4, -1))
    assert torch.equal(student(IMAGES), expected)
    assert (student.edit, student.notes(), student.input_count) == ("gender=male,age=70", [], 1)
    assert asdict(student.facts) == asdict(FACTS)


def test_what_is_not_named_is_told_by_the_critic(
    run: Path, generator: StarGANGenerator, critic: StarGANCritic
) -> None:
    student = load_student(run, edit="gender=female")
    with torch.no_grad():
        labels = torch.stack([torch.ones(4), (critic(IMAGES)[1][:, 1] > 0).float()], dim=1)
        expected = generator(IMAGES, labels)
    assert 0 < labels[:, 1].sum() < 4, "the example must have both"
    torch.testing.assert_close(student(IMAGES), expected, rtol=0, atol=1e-6)
    assert student.notes() == [
        "not named in --edit, so read off each picture: age>=50 (stargan-critic.safetensors)"
    ]


def refusal(source: Path, edit: str | None) -> str:
    with pytest.raises(DistillError) as caught:
        load_student(source, edit=edit)
    text = str(caught.value)
    assert text.startswith(str(source))
    assert "\n" not in text
    return text


def test_each_mistake_is_one_line_that_names_what_is_known(run: Path, tmp_path: Path) -> None:
    known = "gender=female, gender=male, age>=50, age<50"
    assert f"must be told what to change: add --edit NAME=VALUE; it knows {known}" in refusal(run, None)
    assert f"--edit smile=1: this student does not know it; it knows {known}" in refusal(run, "smile=1")
    (run / "stargan-critic.safetensors").unlink()
    text = refusal(run, "gender=male")
    assert "--edit leaves age>=50 open, and " in text
    assert text.endswith(f"is not there: name all in --edit, of {known}")
    plain = tmp_path / "latest_net_G.pth"
    save_pth(plain, create(Architecture(inputs=3, ngf=2, downsamplings=1, blocks=1), seed=0))
    assert "makes one change alone: leave out --edit gender=male" in refusal(plain, "gender=male")


def test_another_edit_of_a_loaded_student(run: Path) -> None:
    first = load_student(run, edit="gender=male,age=70")
    other = first.edited("gender=female,age<50")
    assert torch.equal(other(IMAGES), load_student(run, edit="gender=female,age<50")(IMAGES))
    assert (first.edit, other.edit) == ("gender=male,age=70", "gender=female,age<50")
    with pytest.raises(
        DistillError, match=r"stargan\.safetensors: --edit hair=blond: this student does not know"
    ):
        first.edited("hair=blond")


def test_a_file_may_bring_its_edit(tmp_path: Path, generator: StarGANGenerator) -> None:
    path = tmp_path / "younger.safetensors"
    save_student(path, generator, StudentFacts(attributes=ATTRIBUTES, edit="gender=male,age<50"))
    assert load_student(path).edit == "gender=male,age<50"
    assert load_student(path, edit="age>=50,gender=female").edit == "age>=50,gender=female"


@pytest.mark.parametrize("legacy", [True, False])
def test_a_public_file_is_a_student_whose_attributes_are_numbered(
    tmp_path: Path, generator: StarGANGenerator, critic: StarGANCritic, legacy: bool
) -> None:
    save = {"_use_new_zipfile_serialization": not legacy}
    torch.save(OrderedDict(generator.state_dict()), tmp_path / "200000-G.ckpt", **save)
    torch.save(OrderedDict(critic.state_dict()), tmp_path / "200000-D.ckpt", **save)
    student = load_student(tmp_path / "200000-G.ckpt", edit="attribute-1=no")
    assert student(IMAGES).shape == IMAGES.shape
    assert student.notes() == [
        "the file does not name its 2 attributes; they are taken for attribute-1, attribute-2",
        "not named in --edit, so read off each picture: attribute-2=yes (200000-D.ckpt)",
    ]
    with pytest.raises(UnsupportedCheckpoint, match="a StarGAN critic; the generator is the file"):
        load_student(tmp_path / "200000-D.ckpt", edit="attribute-1=no")


def test_a_public_file_of_five_attributes_is_that_of_celeba(tmp_path: Path) -> None:
    network = create_generator(StarGANArchitecture(attributes=5, width=2, blocks=1), seed=0)
    torch.save(network.state_dict(), tmp_path / "200000-G.ckpt")
    edit = "Black_Hair=no,Blond_Hair=yes,Brown_Hair=no,Male=yes,Young=yes"
    with torch.no_grad():
        expected = network(IMAGES, torch.tensor([[0.0, 1.0, 0.0, 1.0, 1.0]]).expand(4, -1))
    assert torch.equal(load_student(tmp_path / "200000-G.ckpt", edit=edit)(IMAGES), expected)


def test_files_of_other_networks_are_refused(run: Path, generator: StarGANGenerator) -> None:
    state = dict(generator.state_dict())
    for change, message in (
        ({"main.3.weight": None}, "not a complete StarGAN generator: 1 tensors missing: main.3.weight"),
        ({"main.3.weight": torch.zeros(8, 4, 3, 3)}, "main.3.weight has shape"),
        ({"other": torch.zeros(1)}, "not a plain StarGAN generator: 1 unknown tensors: other"),
        ({"main.0.weight": torch.zeros(4, 3, 7, 7)}, "not a StarGAN generator: "),
    ):
        changed = {name: tensor for name, tensor in (state | change).items() if tensor is not None}
        torch.save(changed, run / "1-G.ckpt")
        with pytest.raises(UnsupportedCheckpoint, match=message):
            load_student(run / "1-G.ckpt", edit="attribute-1=no")
    three = create_critic(CriticArchitecture(attributes=3, height=16, width_px=16, width=4, layers=2), seed=0)
    save_critic(run / "stargan-critic.safetensors", three)
    with pytest.raises(UnsupportedCheckpoint, match="tells 3 attributes, the generator has 2"):
        load_student(run, edit="gender=male")
