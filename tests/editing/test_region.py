"""A part of one face onto another, as the command does it, on a small generator and a painted mask."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from distill.editing.region import RegionRequest, RegionResult, move_region
from distill.editing.region_people import PSI, TwoPeople, is_seed, sampled
from distill.errors import DistillError
from distill.progress import Progress
from distill.stylegan2.interpolation.channels import interpolated
from distill.stylegan2.interpolation.shares_file import read_shares
from distill.stylegan2.sampling import CONTENT, sample_z


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The left half of 32 px, with a soft border."""
    pixels = np.zeros((32, 32), np.uint8)
    pixels[:, :15], pixels[:, 15] = 255, 128
    path = tmp_path_factory.mktemp("mask") / "left.png"
    Image.fromarray(pixels).save(path)
    return path


def request(out: Path, tiny_weights: Path, mask: Path, *changes: str, **people) -> RegionRequest:
    two = {
        "person": "3",
        "reference": "7",
        "out": out,
        "generator": str(tiny_weights),
        "regions": mask,
    } | people
    return RegionRequest(people=TwoPeople(**two, device="cpu"), part="hair", changes=changes)


@pytest.fixture(scope="module")
def moved(tmp_path_factory, tiny_weights, mask) -> RegionResult:
    return move_region(request(tmp_path_factory.mktemp("out"), tiny_weights, mask, "steps=12"))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path), dtype=int)


def test_q_draws_the_result_again(moved, tiny_teacher):
    shares, how = read_shares(moved.files["q"], tiny_teacher)
    assert (how.part, how.made_by, how.person, how.reference) == ("hair", "optimised", "3", "7")
    person, reference = (tiny_teacher.styles(sampled(tiny_teacher, seed)) for seed in (3, 7))
    drawn = tiny_teacher.synthesize_styles(interpolated(person, reference, shares))[0]
    wanted = ((drawn.permute(1, 2, 0) * 127.5 + 127.5).round().clamp(0, 255)).numpy()
    assert np.abs(pixels(moved.files["result"]) - wanted).max() <= 1


def test_what_changed_is_told_as_it_is(moved, tiny_teacher):
    person = tiny_teacher.synthesize(sampled(tiny_teacher, 3))[0].clamp(-1, 1).permute(1, 2, 0).numpy()
    weight = pixels(moved.files["mask"])[..., None] / 255
    apart = np.abs(pixels(moved.files["result"]) / 127.5 - 1 - person) / 2
    inside, outside = ((apart * w).sum() / (3 * w.sum()) for w in (weight, 1 - weight))
    assert moved.change["inside"] == pytest.approx(inside, abs=2e-3)
    assert moved.change["outside"] == pytest.approx(outside, abs=2e-3)
    assert moved.change["outside"] < moved.change["inside"]
    assert moved.change["to_reference"] < moved.change["before"]


def test_the_json_tells_all_of_it(moved, tiny_teacher):
    facts = json.loads(moved.files["facts"].read_text())
    assert facts["generator_sha256"] == tiny_teacher.sha256
    assert facts["settings"]["steps"] == 12
    assert facts["change"] == moved.change
    assert set(facts["losses"]) == {
        "localisation",
        "garment",
        "garment_pixels",
        "identity",
        "identity_pixels",
    }
    assert {path.name for path in moved.files.values()} == {
        f"3+7_hair{ending}" for ending in (".png", "_mask.png", "_sheet.png", ".json", ".safetensors")
    }


def test_the_same_again_gives_the_same_bytes_and_another_pair_stands_beside_it(
    moved, tiny_weights, mask, tmp_path
):
    steps: list[int] = []

    def shown(count: int) -> Progress:
        steps.append(count)
        return Progress(count, quiet=True)

    again = move_region(request(tmp_path, tiny_weights, mask, "steps=12"), shown)
    assert steps == [12]
    for kind, path in again.files.items():
        assert path.read_bytes() == moved.files[kind].read_bytes(), kind
    move_region(request(tmp_path, tiny_weights, mask, "steps=1", person="4"))
    assert {path.name for path in tmp_path.glob("*_hair.png")} == {"3+7_hair.png", "4+7_hair.png"}


def test_a_seed_is_the_first_content_of_its_data_set(tiny_teacher):
    z = torch.from_numpy(sample_z(5, 0, [0], [CONTENT], tiny_teacher.z_dim)[:, 0])
    assert torch.equal(sampled(tiny_teacher, 5), tiny_teacher.map(z, truncation_psi=PSI))
    assert [is_seed(text) for text in ("3", "007", "-3", "3.png", "", "٣", "²")] == [True, True, *[False] * 5]


@pytest.mark.parametrize(
    ("people", "changes", "said"),
    [
        ({"reference": "3"}, (), "person and reference are both '3': name two"),
        ({"person": "9" * 5000}, (), "seeds are numbers of 0 to"),
        ({"projections": Path("none")}, (), "--from names photos, but person and reference are both seeds"),
        ({}, ("garment",), "--set garment: NAME=NUMBER is needed, such as garment=4"),
        ({}, ("speed=3",), "unknown setting speed for moving a part; the settings are rho"),
        ({}, ("steps=0",), "setting steps=0: a whole number from 1 to 100,000 is needed"),
        ({}, ("garment=nan",), "setting garment=nan: a number from 0 to"),
        ({}, ("steps=2.5",), "setting steps=2.5: a whole number"),
    ],
)
def test_bad_requests_are_told_in_a_line_and_leave_nothing(
    people, changes, said, tiny_weights, mask, tmp_path
):
    out = tmp_path / "out"
    with pytest.raises(DistillError) as caught:
        move_region(request(out, tiny_weights, mask, *changes, **people))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert not out.exists()


def test_masks_that_do_not_fit_are_refused(tiny_weights, tmp_path):
    for size, value, said in ((64, 255, "64×64 px"), (32, 0, "the region 'hair' has no pixels")):
        path = tmp_path / f"{size}.png"
        Image.fromarray(np.full((size, size), value, np.uint8)).save(path)
        with pytest.raises(DistillError, match=said):
            move_region(request(tmp_path / "out", tiny_weights, path))
    assert not (tmp_path / "out").exists()
