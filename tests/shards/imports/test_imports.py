"""People's own pairs and triplets become data sets: matched by name, nothing lost silently, the same bytes always."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import content_of, make_data_set, recipe_of
from picture_sets import make_folders, make_side_by_side, pixels_of, save
from PIL import Image

from distill.errors import DistillError, Interrupted
from distill.shards.dataset import TripletDataset
from distill.shards.digest import digest_of
from distill.shards.export import ExportRequest, export_dataset
from distill.shards.folder import read_manifest, write_manifest
from distill.shards.imports.plan import ImportPairsRequest, ImportPlan, find_source, plan_import
from distill.shards.imports.run import ImportResult, run_import, sample
from distill.shards.read import open_shard
from distill.shards.split import split_rows
from distill.shards.verify import verify_folder
from distill.shards.write import commit_shard

PAIR: dict[str, Any] = {"layout": "folders", "inputs": ("photo",), "target": "drawing"}


def planned(folder: Path, out: Path, **choices: Any) -> ImportPlan:
    request = ImportPairsRequest(folder=folder, out=out, **choices)
    return plan_import(request, find_source(request))


def imported(folder: Path, out: Path, **choices: Any) -> ImportResult:
    return run_import(planned(folder, out, **choices), stop=threading.Event())


def refusal(folder: Path, out: Path, **choices: Any) -> str:
    with pytest.raises(DistillError) as caught:
        imported(folder, out, **choices)
    assert not out.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def stored(out: Path) -> dict[str, list[np.ndarray]]:
    """All images of a data set by role, as [H, W, 3]."""
    assert verify_folder(out, full=True).ok
    data = TripletDataset(out)
    return {
        role: [data[row][role].permute(1, 2, 0).numpy() for row in range(len(data))] for role in data.roles
    }


def names_of(out: Path) -> list[str]:
    with open_shard(out / "shard-00000.h5") as shard:
        return [name.decode() for name in shard.column("name").tolist()]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return make_folders(tmp_path / "pairs", ["photo", "drawing"])


def test_folders_are_roles_and_keep_every_pixel(pairs: Path, tmp_path: Path) -> None:
    (pairs / "photo" / "notes.txt").write_text("not a picture")
    result = imported(pairs, tmp_path / "out", **PAIR)
    assert (result.rows, result.skips) == (6, {})
    images = stored(tmp_path / "out")
    assert list(images) == ["photo", "drawing"]
    for role, found in enumerate(images.values()):
        assert all((found[row] == pixels_of(row, role)).all() for row in range(6))
    assert names_of(tmp_path / "out") == [f"a{row}" for row in range(6)]
    assert planned(pairs, tmp_path / "out", **PAIR).other_files == 1
    card = (tmp_path / "out" / "README.md").read_text()
    assert "6 pairs" in card
    assert "no latents, no parameters, no scores" in card


@pytest.mark.parametrize(
    ("roles", "to"), [(2, "pix2pixhd"), (3, "pix2pixhd"), (2, "folders"), (3, "folders")]
)
def test_an_export_comes_back_with_its_roles_and_pixels(roles: int, to: str, tmp_path: Path) -> None:
    names: dict[str, Any] = {} if roles == 3 else {"inputs": ["before"], "target": "after"}
    make_data_set(tmp_path / "data", **names)
    request = ExportRequest(folder=tmp_path / "data", out=tmp_path / "files", to=to, phase="val")
    export_dataset(request)
    imported(tmp_path / "files", tmp_path / "back", layout=to)
    first, second = stored(tmp_path / "data"), stored(tmp_path / "back")
    assert list(first) == list(second)
    assert len(first) == roles
    assert all(np.array_equal(first[role], second[role]) for role in first)
    recipe = json.loads((tmp_path / "back" / "recipe.json").read_text())
    assert recipe["source"]["export_of"] == read_manifest(tmp_path / "data")["digest"]
    with open_shard(tmp_path / "back" / "shard-00000.h5") as shard:
        assert set(shard.columns()) == {"candidate", "name"}


def test_an_export_says_which_layout_it_is_and_that_some_of_it_is_gone(tmp_path: Path) -> None:
    make_data_set(tmp_path / "data")
    export_dataset(ExportRequest(folder=tmp_path / "data", out=tmp_path / "files", to="folders"))
    assert "give --from folders" in refusal(tmp_path / "files", tmp_path / "out", layout="pix2pixhd")
    for role in ("content", "style", "mixed"):
        (tmp_path / "files" / role / "000001.png").unlink()
    plan = planned(tmp_path / "files", tmp_path / "out", layout="folders")
    assert "was of 6 samples, 5 are there" in plan.notes[0]


@pytest.mark.parametrize(
    ("letters", "choices", "roles"),
    [
        ("AB", {}, ["source", "target"]),
        ("ABC", {}, ["source", "reference", "target"]),
        ("ABC", {"inputs": ("content", "style"), "target": "mixed"}, ["content", "style", "mixed"]),
    ],
)
def test_pix2pixhd_has_input_target_and_second_input(
    letters: str, choices: dict[str, Any], roles: list[str], tmp_path: Path
) -> None:
    make_folders(tmp_path / "hd", [f"train_{letter}" for letter in letters])
    imported(tmp_path / "hd", tmp_path / "out", layout="pix2pixhd", **choices)
    images = stored(tmp_path / "out")
    assert list(images) == roles
    places = {"target": 1, "mixed": 1, "reference": 2, "style": 2}
    assert all((images[role][3] == pixels_of(3, places.get(role, 0))).all() for role in roles)


@pytest.mark.parametrize("place", ["train", "."])
@pytest.mark.parametrize(("choices", "first"), [({}, 0), ({"input_side": "right"}, 1)])
def test_pix2pix_has_both_in_one_picture(
    place: str, choices: dict[str, Any], first: int, tmp_path: Path
) -> None:
    make_side_by_side(tmp_path / "maps" / place)
    imported(tmp_path / "maps", tmp_path / "out", layout="pix2pix", **choices)
    images = stored(tmp_path / "out")
    assert all((images["source"][row] == pixels_of(row, first)).all() for row in range(6))
    assert all((images["target"][row] == pixels_of(row, 1 - first)).all() for row in range(6))


def test_partners_may_lie_in_sub_folders_and_have_other_suffixes(pairs: Path, tmp_path: Path) -> None:
    for name, suffix in (("photo", ".png"), ("drawing", ".webp")):
        (pairs / name / "cats").mkdir()
        Image.fromarray(pixels_of(9, 0)).save(pairs / name / "cats" / f"a0{suffix}", lossless=True)
    imported(pairs, tmp_path / "out", **PAIR)
    assert names_of(tmp_path / "out") == [*(f"a{row}" for row in range(6)), "cats/a0"]
    images = stored(tmp_path / "out")
    assert (images["photo"][6] == images["drawing"][6]).all()


def test_a_lone_picture_is_named_and_left_out_only_when_asked(pairs: Path, tmp_path: Path) -> None:
    (pairs / "drawing" / "a2.png").unlink()
    (pairs / "photo" / "a4.png").unlink()
    line = refusal(pairs, tmp_path / "out", **PAIR)
    assert (
        "2 of 6 rows cannot be taken: no partner 2; the first is a2 (drawing: no picture of that name)"
        in line
    )
    assert "--max-skips 2" in line
    result = imported(pairs, tmp_path / "out", **PAIR, max_skips="34%")
    assert (result.rows, result.reports[0].tried, result.reports[0].dropped) == (4, 6, {"no partner": 2})
    assert list(result.skips) == ["a2", "a4"]
    assert names_of(tmp_path / "out") == ["a0", "a1", "a3", "a5"]


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((16, 20, 3), np.uint8), ["not square 1", "20×16", "--resolution"]),
        (np.zeros((8, 8, 3), np.uint8), ["another size 1", "8×8 where most are 16×16", "--resolution"]),
    ],
)
def test_rows_of_another_size_are_refused(
    pixels: np.ndarray, words: list[str], pairs: Path, tmp_path: Path
) -> None:
    for role in ("photo", "drawing"):
        save(pairs / role / "a0.png", pixels)
    line = refusal(pairs, tmp_path / "out", **PAIR)
    assert all(word in line for word in words)
    assert imported(pairs, tmp_path / "out", **PAIR, max_skips="1").rows == 5


def test_pictures_of_a_row_must_share_their_size(pairs: Path, tmp_path: Path) -> None:
    save(pairs / "photo" / "a3.png", np.zeros((20, 20, 3), np.uint8))
    line = refusal(pairs, tmp_path / "out", **PAIR, resolution=8)
    assert "sizes differ 1; the first is a3 (photo 20×20, drawing 16×16)" in line


def test_a_resolution_cuts_the_middle_of_every_role(tmp_path: Path) -> None:
    for name, colour in (("photo", 200), ("drawing", 90)):
        (tmp_path / "wide" / name).mkdir(parents=True)
        picture = np.zeros((16, 48, 3), np.uint8)
        picture[:, 16:32] = colour
        save(tmp_path / "wide" / name / "a.png", picture)
    imported(tmp_path / "wide", tmp_path / "out", **PAIR, resolution=8)
    images = stored(tmp_path / "out")
    assert (images["photo"][0] == 200).all()
    assert (images["drawing"][0] == 90).all()
    assert images["photo"][0].shape == (8, 8, 3)


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("photo", "drawing"):
        (tmp_path / "turned" / name).mkdir(parents=True)
    Image.fromarray(pixels_of(0, 0)[:, :12]).save(tmp_path / "turned" / "photo" / "a.png", exif=exif)
    save(tmp_path / "turned" / "drawing" / "a.png", np.rot90(pixels_of(0, 0)[:, :12], -1))
    imported(tmp_path / "turned", tmp_path / "out", **PAIR, resolution=12)
    images = stored(tmp_path / "out")
    assert (images["photo"][0] == images["drawing"][0]).all()


def test_damage_that_shows_late_leaves_nothing_unless_allowed(pairs: Path, tmp_path: Path) -> None:
    whole = (pairs / "drawing" / "a5.png").read_bytes()
    (pairs / "drawing" / "a5.png").write_bytes(whole[: len(whole) // 2])
    assert "damaged 1; the first is a5 (a5.png: " in refusal(pairs, tmp_path / "out", **PAIR)
    (pairs / "drawing" / "a1.png").write_bytes(b"")
    result = imported(pairs, tmp_path / "out", **PAIR, max_skips="2")
    assert result.reports[0].dropped == {"damaged": 1, "not an image": 1}


def test_the_same_bytes_for_any_workers_and_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folders(tmp_path / "pairs", ["photo", "drawing"], rows=11)
    monkeypatch.setattr("distill.shards.collect.SHARD_BYTES", 4 * 2 * 3 * 16 * 16)  # 4 rows a shard
    whole = (folder / "drawing" / "a10.png").read_bytes()
    (folder / "drawing" / "a10.png").write_bytes(whole[: len(whole) // 2])
    choices = {**PAIR, "max_skips": "1"}
    imported(folder, tmp_path / "one", **choices)
    imported(folder, tmp_path / "two", **choices, workers=2)
    stop, done = threading.Event(), []

    def advance(count: int) -> None:
        done.append(count)
        if sum(done) == 7:
            stop.set()

    plan = planned(folder, tmp_path / "three", **choices)
    with pytest.raises(Interrupted, match="1 shard done; the same command goes on"):
        run_import(plan, stop=stop, advance=advance)
    assert run_import(plan, stop=threading.Event()).rows == 10
    assert run_import(plan, stop=threading.Event()).rows == 10  # complete: the same again
    one = files_of(tmp_path / "one")
    assert len([name for name in one if name.endswith(".h5")]) == 3
    assert one == files_of(tmp_path / "two") == files_of(tmp_path / "three")


def test_another_data_set_in_the_folder_is_refused(pairs: Path, tmp_path: Path) -> None:
    imported(pairs, tmp_path / "out", **PAIR)
    before = files_of(tmp_path / "out")
    for choices, words in (
        ({"codec": "webp"}, "its codec is 'raw', now it is 'webp'"),
        ({}, "other pictures or labels"),
    ):
        if not choices:
            save(pairs / "photo" / "a0.png", pixels_of(7, 7))
        with pytest.raises(DistillError, match=words):
            imported(pairs, tmp_path / "out", **PAIR, **choices)
        with pytest.raises(DistillError, match=words):
            sample(planned(pairs, tmp_path / "out", **PAIR, **choices))
    assert files_of(tmp_path / "out") == before


def test_rows_of_one_input_picture_stay_on_one_side_of_the_split(tmp_path: Path) -> None:
    folder = make_folders(tmp_path / "pairs", ["photo", "drawing"], rows=60)
    for number in range(60):
        save(folder / "photo" / f"a{number}.png", pixels_of(number % 20, 0))  # each picture three times
    for codec in ("raw", "jpeg"):
        imported(folder, tmp_path / codec, **PAIR, codec=codec)
        kept, held = split_rows(TripletDataset(tmp_path / codec), fraction=0.3, seed=0)
        numbers = [int(name[1:]) % 20 for name in names_of(tmp_path / codec)]
        sides = [{numbers[row] for row in rows} for rows in (kept, held)]
        assert all(sides)
        assert not sides[0] & sides[1]
        assert len(kept) + len(held) == 60


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"layout": "folders"}, "Name the inputs and the target"),
        ({**PAIR, "target": "sketch"}, "no folder sketch; the folders are drawing, photo"),
        ({**PAIR, "target": "photo"}, "each role must be named once"),
        ({**PAIR, "inputs": ("../photo",)}, "cannot name a role"),
        ({**PAIR, "phase": "train"}, "--phase is for --from pix2pixhd and pix2pix"),
        ({**PAIR, "input_side": "left"}, "--input-side is for --from pix2pix, not for folders"),
        ({**PAIR, "max_skips": "some"}, "--max-skips some"),
        ({"layout": "pix2pixhd"}, "no folder train_A; pix2pixHD has PHASE_A and PHASE_B"),
        ({"layout": "pix2pix", "phase": "val"}, "no folder val"),
        ({"layout": "pix2pix"}, "no pictures"),
    ],
)
def test_what_does_not_fit_is_one_line(
    choices: dict[str, Any], words: str, pairs: Path, tmp_path: Path
) -> None:
    assert words in refusal(pairs, tmp_path / "out", **choices)


def test_single_pictures_are_not_cut_in_two(pairs: Path, tmp_path: Path) -> None:
    line = refusal(pairs / "photo", tmp_path / "out", layout="pix2pix", resolution=8, max_skips="100%")
    assert "not side by side 6; the first is a0 (a0.png: 16×16 is not twice as wide as high)" in line
    assert "nothing is left" in line


def test_two_pictures_of_one_name_are_refused(pairs: Path, tmp_path: Path) -> None:
    save(pairs / "photo" / "a1.bmp", pixels_of(0, 0))
    assert "two pictures of one name, a1.bmp and a1.png" in refusal(pairs, tmp_path / "out", **PAIR)


def test_linked_folders_are_followed_but_not_in_circles(pairs: Path, tmp_path: Path) -> None:
    for name in ("photo", "drawing"):
        (pairs / name).rename(tmp_path / name)
        (pairs / name).mkdir()
        (pairs / name / "more").symlink_to(tmp_path / name)
    imported(pairs, tmp_path / "out", **PAIR)
    assert names_of(tmp_path / "out") == [f"more/a{row}" for row in range(6)]
    (tmp_path / "photo" / "again").symlink_to(tmp_path / "photo")
    assert "again: a link to a folder that it lies in" in refusal(pairs, tmp_path / "out2", **PAIR)


def test_the_data_set_does_not_go_among_the_pictures(pairs: Path) -> None:
    assert "lies among the pictures" in refusal(pairs, pairs / "photo" / "out", **PAIR)


def in_rings(folder: Path) -> Path:
    """A data set of two shards of three rows; the first two and the last of each share faces."""
    recipe = recipe_of()
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(recipe))
    reports = []
    for shard in range(2):
        content = content_of(shard, recipe)
        columns = {**content.columns, "ring": np.array([0, 0, 1]) + 2 * shard}
        reports.append(commit_shard(folder, replace(content, columns=columns)))
    write_manifest(folder, recipe=recipe, digest=digest_of(recipe), n=6, reports=reports)
    return folder


@pytest.mark.parametrize("layout", ["pix2pixhd", "folders"])
def test_an_export_of_faces_in_rings_keeps_them(tmp_path, layout):
    export_dataset(ExportRequest(folder=in_rings(tmp_path / "data"), out=tmp_path / "out", to=layout))
    imported(tmp_path / "out", tmp_path / "back", layout=layout)
    with open_shard(tmp_path / "back" / "shard-00000.h5") as shard:
        assert shard.column("ring").tolist() == [0, 0, 1, 2, 2, 3]
    assert verify_folder(tmp_path / "back", full=True).ok
    for seed in range(8):
        _, held = split_rows(TripletDataset(tmp_path / "back"), fraction=0.4, seed=seed)
        assert (0 in held, 3 in held) == (1 in held, 4 in held)


def test_pictures_beside_an_export_in_rings_are_one_line(tmp_path):
    export_dataset(ExportRequest(folder=in_rings(tmp_path / "data"), out=tmp_path / "out", to="folders"))
    for role in ("content", "style", "mixed"):
        shutil.copy(tmp_path / "out" / role / "000000.png", tmp_path / "out" / role / "mine.png")
    assert "mine is not of the export" in refusal(tmp_path / "out", tmp_path / "back", layout="folders")
    (tmp_path / "out" / "metadata.csv").write_text("sample,ring\n000000,none\n")
    assert "export again" in refusal(tmp_path / "out", tmp_path / "back", layout="folders")
