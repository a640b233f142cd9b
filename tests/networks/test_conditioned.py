"""Students that are told how much to change: planes beside the picture, edits in units, files that say so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.conditioned import ConditionedGenerator, with_planes
from distill.networks.conditioned_files import save_conditioned
from distill.networks.edits import EditCondition, change_text, condition_of
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.pix2pixhd_files import save_safetensors
from distill.networks.student import Student, StudentFacts, load_student, save_student

CONDITIONS = (
    condition_of("gender", "probability", 1.0),
    condition_of("age", "value", 30.0),
    condition_of("smile", "probability", 1.0),
)
FACTS = StudentFacts(task="attributes", inputs=("source",), target="target", conditions=CONDITIONS)
SHAPE = Architecture(inputs=6, ngf=4, downsamplings=1, blocks=1, norm="batch")


def conditioned(shape: Architecture = SHAPE, count: int = 3) -> ConditionedGenerator:
    return ConditionedGenerator(create(shape, seed=0), torch.zeros(count))


@pytest.fixture
def student(tmp_path: Path) -> Student:
    save_student(tmp_path / "student.safetensors", conditioned(), FACTS)
    return load_student(tmp_path)


def pictures(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(
    ("edit", "condition"),
    [
        ("age=+20", [0, 20 / 30, 0]),
        ("age=-30,smile=1", [0, -1, 1]),
        ("gender=female,smile=no", [1, 0, -1]),
        ("gender=male,smile=0.5,age=0", [-1, 0, 0.5]),
        ("smile=yes", [0, 0, 1]),
    ],
)
def test_an_edit_is_planes_of_changes_by_their_ranges(
    student: Student, edit: str, condition: list[float]
) -> None:
    edited = student.edited(edit)
    x = pictures()
    planes = torch.tensor(condition)[None, :, None, None].expand(2, -1, 16, 24)
    with torch.no_grad():
        wanted = create(SHAPE, seed=0).eval()(torch.cat([x, planes], dim=1))
    assert torch.allclose(edited(x), wanted, atol=1e-5)
    assert (edited.edit, edited.change) == (edit, edit)
    again = load_student(student.path, edit=edit)
    assert torch.equal(again(x), edited(x))


def test_without_an_edit_nothing_is_to_change_and_edits_do_not_add_up(student: Student) -> None:
    x = pictures()
    still = student(x)
    older, happier = student.edited("age=+20"), student.edited("age=+20").edited("smile=1")
    assert torch.equal(student(x), still)  # it keeps its own
    assert torch.equal(student.edited("age=0")(x), still)
    assert not torch.allclose(older(x), still)
    assert torch.equal(happier(x), student.edited("smile=1")(x))
    assert older.network.generator is student.network.generator


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            "beard=1",
            "does not know beard; it knows gender=female, male or -1 to +1; age=-30 to +30 years; smile=",
        ),
        ("age=+31", "--edit age=+31: age was taught from -30 to +30 years"),
        ("smile=-1.01", "smile was taught from -1 to +1 (probability)"),
        ("age>=20", "say how much with ="),
        ("age=old", "a change is needed: age=-30 to +30 years"),
        ("age=+-5", "a change is needed"),
        ("age=yes", "a change is needed"),
        ("gender=yes", "a change is needed: gender=female, male or -1 to +1"),
        ("age", "NAME=VALUE is needed"),
        ("age=1,age=2", "age is named twice"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_one_line(student: Student, edit: str, message: str) -> None:
    for ask in (lambda: student.edited(edit), lambda: load_student(student.path, edit=edit)):
        with pytest.raises(DistillError) as caught:
            ask()
        text = str(caught.value)
        assert text.startswith(f"{student.path}: ")
        assert message in text
        assert "\n" not in text


def test_changes_in_words() -> None:
    assert change_text(CONDITIONS, (0, 20, 0.5)) == "age +20 years, smile +0.5"
    assert change_text(CONDITIONS, (-0.126, -4.56, 0.001)) == "gender -0.13, age -4.6 years"
    assert change_text(CONDITIONS, (0, 0, 0)) == "no change"
    assert condition_of("yaw", "value", 25).unit == "degrees"


def test_a_file_comes_back_in_float16_too(student: Student, tmp_path: Path) -> None:
    assert student.facts == FACTS
    assert (student.input_channels, student.architecture.side_multiple) == (3, 2)
    half = tmp_path / "half.safetensors"
    save_student(half, student.edited("age=+20").network, replace(FACTS, edit="age=+20"), half=True)
    read = load_student(half)
    assert read.edit == "age=+20"  # what it does where it is told nothing else
    assert (read(pictures()) - student.edited("age=+20")(pictures())).abs().max() < 0.01
    assert (read.edited("smile=1")(pictures()) - student.edited("smile=1")(pictures())).abs().max() < 0.01


@pytest.mark.parametrize(
    ("facts", "planes", "message"),
    [
        (FACTS, "2", "not a network from RGB"),
        (FACTS, "x", "of x conditions: 1 to 100 are needed"),
        (FACTS, "0", "conditions: 1 to 100 are needed"),
        (replace(FACTS, conditions=CONDITIONS[:2]), "3", "2 conditions (gender, age), the network takes 3"),
        (replace(FACTS, conditions=()), "3", "0 conditions, the network takes 3"),
        (replace(FACTS, inputs=("source", "style")), "3", "make 6 channels, the network takes 3"),
    ],
)
def test_facts_and_channels_that_do_not_agree_are_refused(
    facts: StudentFacts, planes: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "student.safetensors"
    texts = {"student": json.dumps({"inputs": facts.inputs, "target": "target", "conditions": [
        vars(condition) for condition in facts.conditions
    ]})}  # fmt: skip
    save_conditioned(path, conditioned(), texts, False)
    path.write_bytes(path.read_bytes().replace(b'"conditions":"3"', f'"conditions":"{planes}"'.encode()))
    with pytest.raises(UnsupportedCheckpoint) as caught:
        load_student(path)
    assert message in str(caught.value)


def test_conditions_of_a_plain_student_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    plain = create(replace(SHAPE, inputs=3), seed=0)
    with pytest.raises(DistillError, match=r"3 conditions \(gender, age, smile\), the network takes 0"):
        save_student(path, plain, FACTS)
    condition = {"name": "age", "kind": "value", "unit": "years", "low": -1.0, "high": 1.0}
    save_safetensors(path, plain, {"student": json.dumps({"conditions": [condition]})})
    with pytest.raises(UnsupportedCheckpoint, match="the network takes 0"):
        load_student(path)


@pytest.mark.parametrize("change", [{"low": 1.0}, {"high": -1.0}, {"high": 0.0, "low": 0.0}, {"low": -5.0}])
def test_ranges_that_are_none_are_refused(change: dict[str, float], tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    condition = {"name": "age", "kind": "value", "unit": "years", "low": -30.0, "high": 30.0} | change
    save_conditioned(
        path,
        conditioned(replace(SHAPE, inputs=4), 1),
        {"student": json.dumps({"conditions": [condition]})},
        False,
    )
    with pytest.raises(UnsupportedCheckpoint, match="conditions"):
        load_student(path)


def test_instance_normalisation_takes_constant_planes_away(student: Student, tmp_path: Path) -> None:
    """Why a conditioned student has batch normalisation, and does not go by each image's own statistics."""
    network = create(replace(SHAPE, norm="instance"), seed=0)
    outputs = [network(with_planes(pictures(), torch.full((3,), value))) for value in (-1.0, 1.0)]
    assert torch.allclose(*outputs, atol=1e-4)
    with pytest.raises(DistillError, match="leave it out"):
        load_student(student.path, norm_statistics="batch")


def test_conditions_of_a_batch_may_differ() -> None:
    network, x = conditioned().eval(), pictures()
    conditions = torch.tensor([[1.0, 0.0, 0.0], [0.0, -1.0, 0.5]])
    with torch.no_grad():
        both = network(x, conditions)
        alone = [network(x[k : k + 1], conditions[k]) for k in range(2)]
    assert torch.allclose(both, torch.cat(alone), atol=1e-5)


def test_a_range_is_as_wide_both_ways() -> None:
    condition = EditCondition(name="age", kind="value", unit="years", low=-30, high=30)
    assert str(condition) == "age=-30 to +30 years"
    assert str(CONDITIONS[0]) == "gender=female, male or -1 to +1"
