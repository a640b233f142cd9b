"""Photos into latent space: what is written, what a second run does, and what is read again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import distill
from distill.editing.pictures import GAP, LABEL, labelled, tiles_of
from distill.editing.project import ProjectRequest, chosen_spaces, open_projection, project_photos
from distill.editing.projections import read_projections
from distill.errors import DistillError
from distill.networks import lpips
from distill.pixels import to_numpy, to_uint8
from distill.stylegan2.delta import tuned_generator
from distill.stylegan2.load import load_generator

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"
SPACES = ("w", "w+", "pti")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Five photos of a face, each a little darker, and one of a wall among them."""
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(GOLDEN / "astronaut.png") as image:
        me = image.convert("RGB").resize((256, 256))
    for number in range(5):
        me.point(lambda level, number=number: level * (10 - number) // 10).save(folder / f"me-{number}.png")
    Image.new("RGB", (200, 200), "teal").save(folder / "me-1-wall.png")
    return folder


def request(photos, out, weights, **options):
    fields = {
        "generator": str(weights),
        "spaces": ("w+",),
        "steps": 4,
        "tuning_steps": 2,
        "batch": 2,
        "device": "cpu",
    }
    return ProjectRequest(photos=(photos,), out=out, **fields | options)


def run(*arguments, advance=lambda steps: None, **options):
    return project_photos(open_projection(request(*arguments, **options)), advance=advance)


@pytest.fixture(scope="module")
def whole(photos, tiny_weights, tmp_path_factory):
    """All photos in every space at one go: the folder, and the results."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, run(photos, out, tiny_weights, spaces=SPACES)


def contents(folder):
    """What the files of a folder hold; of facts all but the time that it took."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, data = str(path.relative_to(folder)), path.read_bytes()
        if path.suffix == ".json" and not path.name.startswith("."):
            facts = json.loads(data)
            del facts["seconds"]
            data = json.dumps(facts).encode()
        found[name] = data
    return found


def test_each_photo_has_its_files_and_facts_in_every_space(whole, photos, tiny_weights):
    out, results = whole
    assert [skip.reason for skip in results.skipped] == ["no face"]
    assert [photo.name for photo in results.done] == [f"me-{number}" for number in range(5)]
    for space in SPACES:
        names = {path.name for path in (out / space).iterdir()}
        kinds = ["png", "npz", "json", *(["delta.safetensors"] if space == "pti" else [])]
        assert names == {f"me-{number}.{kind}" for number in range(5) for kind in kinds}
    teacher = load_generator(tiny_weights, precision="fp32")
    with np.load(out / "w+" / "me-0.npz") as arrays:
        assert arrays.files == ["w"]
        assert (arrays["w"].dtype, arrays["w"].shape) == (np.float32, (1, teacher.num_ws, teacher.w_dim))
        drawn = to_numpy(to_uint8(teacher.synthesize(torch.from_numpy(arrays["w"]))))[0]
    with Image.open(out / "w+" / "me-0.png") as picture:
        assert (np.asarray(picture) == drawn).all()
    facts = json.loads((out / "w" / "me-0.json").read_text())
    assert facts["generator_sha256"] == teacher.sha256
    assert (facts["space"], facts["steps"], facts["distance"]) == ("w", [4], "perceptual_efficientnet_lite0")
    assert 0 < facts["l1"] < 1
    assert facts["perceptual_efficientnet_lite0"] > 0
    assert 0 < facts["identity"] < 2
    assert len(facts["from_mean"]) == teacher.num_ws
    assert np.array(facts["quad"]).shape == (4, 2)
    with Image.open(out / "compare" / "me-0.png") as row:
        assert row.size == (4 * 32 + 3 * GAP, 32 + LABEL)
    assert (out / "sheet.png").is_file()


def test_an_interrupted_run_goes_on_and_ends_the_same(whole, photos, tiny_weights, tmp_path):
    heard = 0

    def stop(steps):
        nonlocal heard
        heard += steps
        if heard > 2 * (3 * 4 + 2) + 2 * 3 * 4 + 2:  # in the second group, while its second face is tuned
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(photos, out, tiny_weights, spaces=SPACES, advance=stop)
    assert {path.name for path in (out / "w").glob("*.npz")} == {"me-0.npz", "me-1.npz", "me-2.npz"}
    (out / "pti" / "me-1.json").unlink()  # as if stopped while it was written
    again = run(photos, out, tiny_weights, spaces=SPACES)
    assert [photo.before for photo in again.done] == [True, False, True, False, False]
    assert contents(out) == contents(whole[0])


def test_what_is_done_is_not_done_again(whole, photos, tiny_weights, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(whole[0], out)
    steps = []
    again = run(photos, out, tiny_weights, spaces=SPACES, advance=steps.append)
    assert steps == []
    assert [photo.to_json()["spaces"] for photo in again.done] == [
        photo.to_json()["spaces"] for photo in whole[1].done
    ]
    assert contents(out) == contents(whole[0])


def test_a_photo_that_changed_is_done_again(photos, tiny_weights, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(photos / "me-0.png", mine / name)
    run(mine, tmp_path / "out", tiny_weights)
    shutil.copy(photos / "me-3.png", mine / "b.png")
    assert [photo.before for photo in run(mine, tmp_path / "out", tiny_weights).done] == [True, False]


@pytest.mark.parametrize("damage", ["array", "facts"])
def test_a_result_that_broke_is_done_again(photos, tiny_weights, tmp_path, damage):
    out = tmp_path / "out"
    run(photos / "me-0.png", out, tiny_weights)
    before = contents(out)
    if damage == "array":
        (out / "me-0.npz").write_bytes(b"PK")
    else:
        facts = json.loads((out / "me-0.json").read_text())
        del facts["l1"]
        (out / "me-0.json").write_text(json.dumps(facts))
    assert [photo.before for photo in run(photos / "me-0.png", out, tiny_weights).done] == [False]
    assert contents(out) == before


def test_arrays_of_others_are_not_replaced(photos, tiny_weights, tmp_path):
    run(photos / "me-0.png", tmp_path, tiny_weights)
    (tmp_path / "me-3.npz").write_bytes(b"mine")
    (done,) = run(photos / "me-3.png", tmp_path, tiny_weights).done
    assert done.name == "me-3-2"
    assert (tmp_path / "me-3.npz").read_bytes() == b"mine"


def test_a_single_space_lies_in_the_folder_itself(photos, tiny_weights, tmp_path):
    run(photos / "me-0.png", tmp_path, tiny_weights)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} >= {
        "me-0.npz",
        "me-0.json",
        "me-0.png",
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 5}, "with steps 4, now it is 5"),
        ({"spaces": ("w",)}, "with spaces w+, now it is w"),
        ({"batch": 1}, "with batch 2, now it is 1"),
        ({"mark": False}, "with mark in each PNG, now it is in no PNG (--no-mark): use the same"),
    ],
)
def test_a_folder_of_other_settings_is_refused(photos, tiny_weights, tmp_path, change, told):
    run(photos / "me-0.png", tmp_path, tiny_weights)
    before = contents(tmp_path)
    with pytest.raises(DistillError, match=re.escape(told)):
        run(photos / "me-1.png", tmp_path, tiny_weights, **change)
    assert contents(tmp_path) == before


def test_a_folder_of_something_else_is_refused(photos, tiny_weights, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DistillError, match="something other than projections: choose another --out"):
        run(photos, tmp_path, tiny_weights)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_photos_without_a_face_leave_nothing(photos, tiny_weights, tmp_path):
    results = run(photos / "me-1-wall.png", tmp_path / "out", tiny_weights)
    with pytest.raises(DistillError, match="none of 1 photo gave a face") as caught:
        results.check()
    assert caught.value.exit_code == 1
    assert not (tmp_path / "out").exists()


def test_what_was_made_is_no_photo_of_a_later_run(whole, tiny_weights, tmp_path):
    shutil.copytree(whole[0], tmp_path / "a" / "out")
    with pytest.raises(DistillError, match="no photos"):
        run(tmp_path / "a", tmp_path / "b", tiny_weights)


def test_projections_are_read_again_with_what_draws_them(whole, tiny_weights):
    out, teacher = whole[0], load_generator(tiny_weights, precision="fp32")
    for space in SPACES:
        found = read_projections(out / space, teacher)
        assert [one.name for one in found] == [f"me-{number}" for number in range(5)]
        one = found[2]
        drawn = one.generator(teacher).synthesize(one.ws[None])
        with Image.open(out / space / "me-2.png") as picture:
            # drawn beside others the last bits may differ, on some processors by a grey level
            assert np.abs(np.asarray(picture).astype(int) - to_numpy(to_uint8(drawn))[0]).max() <= 1
    assert read_projections(out / "pti", teacher)[0].delta is not None


def test_projections_of_another_generator_and_broken_ones_are_refused(whole, tiny_weights, tmp_path):
    teacher = load_generator(tiny_weights, precision="fp32")
    with pytest.raises(DistillError, match=r"several spaces: name .*/w or "):
        read_projections(whole[0], teacher)
    with pytest.raises(DistillError, match="no projections in it"):
        read_projections(tmp_path, teacher)
    stranger = tuned_generator(teacher, {}, sha256="ef" * 32)
    with pytest.raises(DistillError, match="this one has efefefefefef…") as caught:
        read_projections(whole[0] / "w", stranger)
    assert "\n" not in str(caught.value)
    shutil.copytree(whole[0] / "w", tmp_path / "w")
    (tmp_path / "w" / "me-3.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DistillError, match=r"me-3\.npz"):
        read_projections(tmp_path / "w", teacher)
    np.savez(tmp_path / "w" / "me-3.npz", w=np.full((1, teacher.num_ws, teacher.w_dim), 1e39))
    with pytest.raises(DistillError, match=r"me-3\.npz.*not finite"):
        read_projections(tmp_path / "w", teacher)
    (tmp_path / "w" / "me-3.json").write_text("{")
    with pytest.raises(DistillError, match=r"me-3\.npz: the JSON beside it is missing or broken"):
        read_projections(tmp_path / "w", teacher)


def test_with_lpips_w_is_looked_for_as_published(photos, tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setattr(lpips, "WIDTHS", (2, 3, 4, 5, 5))
    random, state = torch.Generator().manual_seed(0), {}
    for number, (outputs, inputs) in enumerate(lpips._shapes()):
        state[f"conv{number}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=random)
        state[f"conv{number}.bias"] = torch.zeros(outputs)
    state |= {f"lin{level}": torch.ones(width) for level, width in enumerate(lpips.WIDTHS)}
    torch.save(state, tmp_path / "vgg.pth")
    results = run(
        photos / "me-0.png", tmp_path / "out", tiny_weights, spaces=SPACES, lpips=tmp_path / "vgg.pth"
    )
    facts = results.done[0].spaces
    assert [facts[space]["procedure"] for space in SPACES] == [
        *("stylegan2-projector", "distill-projection", "stylegan2-projector, pivotal-tuning")
    ]
    assert all(
        facts[space]["distance"] == "lpips_vgg16" and facts[space]["lpips_vgg16"] > 0 for space in SPACES
    )
    with pytest.raises(DistillError, match="with procedures stylegan2-projector,"):
        run(photos / "me-0.png", tmp_path / "out", tiny_weights, spaces=SPACES)


def test_spaces_are_named_in_any_order():
    assert chosen_spaces("pti, W") == ("w", "pti")
    with pytest.raises(DistillError, match=r"unknown space 'z': choose of w, w\+, pti"):
        chosen_spaces("w,z")


def test_a_labelled_row_comes_apart_again():
    tiles = [np.full((32, 32, 3), level, np.uint8) for level in (10, 90, 170)]
    assert (np.stack(tiles_of(labelled(tiles, ["a", "b", "c"]), 3)) == np.stack(tiles)).all()


def test_the_api_does_what_the_command_does(photos, tiny_weights, tmp_path):
    results = distill.project(
        [photos / "me-0.png"], out=tmp_path / "out", generator=tiny_weights, space="w", steps=2, device="cpu"
    )
    assert [photo.name for photo in results.done] == ["me-0"]
    (stored,) = distill.read_projections(tmp_path / "out", generator=distill.load_generator(tiny_weights))
    assert torch.equal(stored.ws, stored.ws[:1].expand_as(stored.ws))
