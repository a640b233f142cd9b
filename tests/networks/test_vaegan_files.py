"""VAE/GANs in files, and as students: what an edit adds to z, and what mistakes are answered."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.edits import EditAttribute
from distill.networks.student import StudentFacts, load_student, save_student
from distill.networks.vaegan import VAEGANAutoencoder, VAEGANShape, create_vaegan
from distill.weights.safetensors_file import read_tensors

ATTRIBUTES = (
    EditAttribute(label="gender", value="female", values=("female", "male")),
    EditAttribute(label="age", sign=">=", value="50"),
    EditAttribute(label="kind", value="jeans", values=("jeans", "shorts", "skirt")),
    EditAttribute(label="kind", value="shorts", values=("jeans", "shorts", "skirt")),
)
FACTS = StudentFacts(inputs=("photo",), target="photo", resolution=16, width=24, attributes=ATTRIBUTES)
SHAPE = VAEGANShape(height=16, width=24, latent=5, channels=8, hidden=12, slope=0.2)
IMAGES = torch.rand(3, 3, 16, 24, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.fixture
def network() -> VAEGANAutoencoder:
    random = torch.Generator().manual_seed(1)
    on, off = (torch.randn(4, 5, generator=random) for _ in range(2))
    return create_vaegan(SHAPE, seed=0)[0].with_means(on, off)


@pytest.fixture
def file(tmp_path: Path, network: VAEGANAutoencoder) -> Path:
    save_student(tmp_path / "vaegan.safetensors", network, FACTS)
    return tmp_path / "vaegan.safetensors"


def test_without_an_edit_it_reconstructs(file: Path, network: VAEGANAutoencoder) -> None:
    for source in (file, file.parent):
        student = load_student(source)
        assert student.facts == FACTS
        assert (student.architecture, student.edit) == (SHAPE, "")
        with torch.no_grad():
            torch.testing.assert_close(student(IMAGES), network(IMAGES), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("edit", "added"),
    [
        ("gender=female", {0: 1}),
        ("gender=male", {0: -1}),  # known as what is not female
        ("gender=female,age<50", {0: 1, 1: -1}),
        ("age=70", {1: 1}),
        ("kind=jeans", {2: 1}),  # the target alone
        ("kind=jeans:shorts", {2: -1, 3: 1}),  # the target's difference less the given one's
        ("gender=male:female", {0: 2}),
        ("kind=skirt", {2: -1, 3: -1}),  # neither of those that were learnt
    ],
)
def test_an_edit_adds_differences_of_means(
    file: Path, network: VAEGANAutoencoder, edit: str, added: dict[int, float]
) -> None:
    student = load_student(file, edit=edit)
    with torch.no_grad():
        z = network.encoder(IMAGES)[0]
        z = z + sum(times * (network.on[place] - network.off[place]) for place, times in added.items())
        torch.testing.assert_close(student(IMAGES), network.decoder(z), atol=1e-5, rtol=1e-4)
    assert student.edit == edit


def test_another_edit_of_a_loaded_student_leaves_the_first_as_it_was(file: Path) -> None:
    first = load_student(file, edit="gender=female")
    made = first(IMAGES)
    other = first.edited("age=70")
    assert torch.equal(other(IMAGES), load_student(file, edit="age=70")(IMAGES))
    assert torch.equal(first(IMAGES), made)
    assert not torch.equal(other(IMAGES), made)


def test_a_file_may_bring_its_edit(tmp_path: Path, network: VAEGANAutoencoder) -> None:
    save_student(
        tmp_path / "f.safetensors", network, StudentFacts(attributes=ATTRIBUTES, edit="gender=female")
    )
    assert load_student(tmp_path / "f.safetensors").edit == "gender=female"


def refusal(source: Path, edit: str | None) -> str:
    with pytest.raises(DistillError) as caught:
        load_student(source, edit=edit)
    text = str(caught.value)
    assert text.startswith(str(source))
    assert "\n" not in text
    return text


def test_edits_that_are_not_known_are_one_line(tmp_path: Path, file: Path) -> None:
    known = "it knows gender=female, gender=male, age>=50, age<50, kind=jeans, kind=shorts, kind=skirt"
    for edit in ("smile=1", "gender=other", "kind=jeans:hats", "age>=40"):
        assert known in refusal(file, edit)
    plain = tmp_path / "plain.safetensors"
    save_student(plain, create_vaegan(SHAPE, seed=0)[0], StudentFacts())
    assert "trained without --attributes, so it can only reconstruct: leave out --edit" in refusal(
        plain, "a=1"
    )
    assert load_student(plain)(IMAGES).shape == IMAGES.shape


def test_images_of_another_size_are_refused(file: Path) -> None:
    with pytest.raises(
        DistillError, match="images of 32x16 px do not fit the network: it takes 24x16 px alone"
    ):
        load_student(file)(torch.zeros(1, 3, 16, 32))
    with pytest.raises(DistillError, match="--norm-statistics batch is for"):
        load_student(file, norm_statistics="batch")


@pytest.mark.parametrize(
    ("texts", "tensors", "message"),
    [
        ({"height": "wide"}, {}, "whose height is wide, not a number"),
        ({"latent": "0"}, {}, "a layer of width 0"),
        ({"channels": "9" * 9}, {}, "whose channels is"),
        ({"height": "20"}, {}, "multiples of 8 px"),
        ({"height": "32"}, {}, "has shape .* this VAE/GAN needs"),
        ({}, {"on": None}, "not a complete VAE/GAN: 1 tensors missing: on"),
        ({}, {"on": torch.zeros(3)}, "has shape"),
        ({}, {"other": torch.zeros(1)}, "1 unknown tensors: other"),
        (
            {},
            {"on": torch.zeros(2, 5), "off": torch.zeros(2, 5)},
            "4 attributes are named, the network has means of 2",
        ),
    ],
)
def test_files_of_other_networks_are_refused(
    file: Path, texts: dict[str, str], tensors: dict[str, torch.Tensor | None], message: str
) -> None:
    state: dict[str, torch.Tensor | None] = {**load_file(file), **tensors}
    _, known = read_tensors(file)
    save_file({n: t for n, t in state.items() if t is not None}, file, metadata={**known, **texts})
    with pytest.raises(UnsupportedCheckpoint, match=message):
        load_student(file, edit="gender=female")
