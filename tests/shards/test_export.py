"""Exports: the files another program expects, complete, resumable, and never over foreign files."""

from __future__ import annotations

import csv
import errno
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_sets import content_of, images_of, make_data_set, recipe_of
from image_sets import write_image_set
from PIL import Image

from distill.errors import DiskFull, DistillError
from distill.shards import export as export_module
from distill.shards.digest import digest_of
from distill.shards.export import ExportRequest
from distill.shards.folder import write_manifest
from distill.shards.read import open_shard
from distill.shards.write import commit_shard

ROLES = ("content", "style", "mixed")


@pytest.fixture
def data_set(tmp_path):
    make_data_set(tmp_path / "data")
    return tmp_path / "data"


def export_dataset(folder, out, *, progress=None, **given):
    return export_module.export_dataset(ExportRequest(folder=folder, out=out, **given), progress=progress)


def files_under(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def test_pix2pixhd_gets_its_three_folders(data_set, tmp_path):
    report = export_dataset(data_set, tmp_path / "out", to="pix2pixhd")
    assert (report.samples, report.written, report.kept) == (6, 19, 0)
    files = files_under(tmp_path / "out")
    names = {f"train_{letter}/{number:06d}.png" for letter in "ABC" for number in range(6)}
    assert set(files) == names | {"export.json", "metadata.csv"}
    for letter, role in (("A", 0), ("B", 2), ("C", 1)):  # content, mixed, style
        for number in range(6):
            expected = images_of(number // 3, role, 16)[number % 3]
            assert (pixels(files[f"train_{letter}/{number:06d}.png"]) == expected).all()
    named = f"--name out --dataroot {tmp_path / 'out'} "
    assert f"EvgenyKashin/stylegan2-distillation: python train.py {named}" in report.hint
    assert "--input_nc 6 " in report.hint
    assert "--label_nc 0 --no_instance" in report.hint


def test_a_pair_has_no_third_folder(tmp_path):
    make_data_set(tmp_path / "data", inputs=["source"], target="target")
    report = export_dataset(tmp_path / "data", tmp_path / "out", to="pix2pixhd", limit=2, phase="val")
    names = {f"val_{letter}/{number:06d}.png" for letter in "AB" for number in range(2)}
    assert set(files_under(tmp_path / "out")) == names | {"export.json", "metadata.csv"}
    assert "--input_nc 3 " in report.hint
    assert report.hint.endswith("--phase val")


def test_pix2pixhd_takes_no_third_input(tmp_path):
    make_data_set(tmp_path / "data", inputs=["a", "b", "c"])
    with pytest.raises(DistillError, match="has 3: a, b, c"):
        export_dataset(tmp_path / "data", tmp_path / "out", to="pix2pixhd")
    assert not (tmp_path / "out").exists()
    write_image_set(tmp_path / "plain", np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(DistillError, match="this data set has plain images: use --to folders"):
        export_dataset(tmp_path / "plain", tmp_path / "out", to="pix2pixhd")


def test_folders_come_with_a_table(data_set, tmp_path):
    export_dataset(data_set, tmp_path / "out", to="folders")
    files = files_under(tmp_path / "out")
    names = {f"{role}/{number:06d}.png" for role in ROLES for number in range(6)}
    assert set(files) == names | {"export.json", "metadata.csv"}
    with (tmp_path / "out" / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["sample"] for row in rows] == [f"{number:06d}" for number in range(6)]
    fourth = rows[3]
    assert (fourth["shard"], fourth["row"], fourth["candidate"]) == ("1", "0", "0")
    assert (fourth["params/crossover"], fourth["scores/ssim"]) == ("2", "0.5")
    assert {f"scores/face_confidence.{role}" for role in range(3)} <= set(fourth)


def test_webdataset_archives_are_deterministic(data_set, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "PER_TAR", 4)
    for name in ("one", "two"):
        export_dataset(data_set, tmp_path / name, to="webdataset")
    files = files_under(tmp_path / "one")
    assert set(files) == {"distill-000000.tar", "distill-000001.tar", "export.json"}
    assert files == files_under(tmp_path / "two")
    with tarfile.open(tmp_path / "one" / "distill-000001.tar") as tar:
        members = tar.getmembers()
        assert [member.name for member in members[:4]] == [
            "000004.content.png",
            "000004.style.png",
            "000004.mixed.png",
            "000004.json",
        ]
        assert len(members) == 8
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
        record = json.load(tar.extractfile(members[3]))
        image = pixels(tar.extractfile(members[2]).read())
    assert record["shard"] == 1
    assert record["candidate"] == 2
    assert record["params"] == {"crossover": 3}
    assert record["scores"]["ssim"] == 0.6
    assert (image == images_of(1, 2, 16)[1]).all()


def test_stored_jpegs_are_copied_byte_by_byte(tmp_path):
    make_data_set(tmp_path / "data", codec="jpeg")
    export_dataset(tmp_path / "data", tmp_path / "jpg", to="folders", image_format="jpg")
    export_dataset(tmp_path / "data", tmp_path / "png", to="folders", image_format="png")
    stored = (tmp_path / "data" / "shard-00001.h5").read_bytes()
    with open_shard(tmp_path / "data" / "shard-00001.h5") as reader:
        for role in ROLES:
            jpeg = (tmp_path / "jpg" / role / "000004.jpg").read_bytes()
            assert jpeg in stored
            png = (tmp_path / "png" / role / "000004.png").read_bytes()
            assert (pixels(png) == reader.image(role, 1)).all()


@pytest.mark.parametrize("codec", ["raw", "webp"])
def test_other_codecs_can_become_jpegs(tmp_path, codec):
    make_data_set(tmp_path / "data", codec=codec)
    export_dataset(tmp_path / "data", tmp_path / "out", to="pix2pixhd", image_format="jpg", limit=1)
    image = pixels((tmp_path / "out" / "train_A" / "000000.jpg").read_bytes())
    assert np.abs(image.astype(int) - images_of(0, 0, 16)[0]).max() < 12


@pytest.mark.parametrize("to", ["pix2pixhd", "folders", "webdataset"])
def test_an_interrupted_export_goes_on(data_set, tmp_path, to, monkeypatch):
    monkeypatch.setattr(export_module, "PER_TAR", 2)
    export_dataset(data_set, tmp_path / "whole", to=to)
    out = tmp_path / "out"

    def stop_after_three(done, counts=[0]):  # noqa: B006
        counts[0] += done
        if counts[0] >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_dataset(data_set, out, to=to, progress=stop_after_three)
    before = files_under(out)
    (out / f".000000.png.{2**22 + 1}-ab12.tmp").write_bytes(b"left by a process that died")
    report = export_dataset(data_set, out, to=to)
    assert report.kept > 0
    assert report.written > 0
    after = files_under(out)
    assert after == files_under(tmp_path / "whole")
    assert before.items() <= after.items()


def test_a_finished_export_is_left_alone(data_set, tmp_path):
    export_dataset(data_set, tmp_path / "out", to="pix2pixhd")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}
    report = export_dataset(data_set, tmp_path / "out", to="pix2pixhd")
    assert (report.written, report.kept) == (1, 18)
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.png")}


def test_foreign_files_are_not_touched(data_set, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(DistillError, match=r"holiday\.jpg"):
        export_dataset(data_set, out, to="folders")
    assert [path.name for path in out.iterdir()] == ["holiday.jpg"]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("to", {"to": "folders"}),
        ("format", {"image_format": "jpg"}),
        ("phase", {"phase": "test"}),
    ],
)
def test_another_export_in_the_same_folder_is_refused_by_key(data_set, tmp_path, key, change):
    export_dataset(data_set, tmp_path / "out", to="pix2pixhd", limit=2)
    before = files_under(tmp_path / "out")
    with pytest.raises(DistillError, match=f"another export: {key} is"):
        export_dataset(data_set, tmp_path / "out", **{"to": "pix2pixhd", "limit": 2, **change})
    assert files_under(tmp_path / "out") == before


@pytest.mark.parametrize("to", ["pix2pixhd", "folders", "webdataset"])
def test_an_export_grows_and_then_equals_one_made_at_once(data_set, tmp_path, to, monkeypatch):
    monkeypatch.setattr(export_module, "PER_TAR", 4)
    export_dataset(data_set, tmp_path / "grown", to=to, limit=3)
    export_dataset(data_set, tmp_path / "grown", to=to)
    make_data_set(data_set, shards=3)
    report = export_dataset(data_set, tmp_path / "grown", to=to)
    assert (report.samples, report.kept) == (9, {"pix2pixhd": 18, "folders": 18, "webdataset": 1}[to])
    export_dataset(data_set, tmp_path / "at-once", to=to)
    assert files_under(tmp_path / "grown") == files_under(tmp_path / "at-once")


def test_an_export_does_not_shrink(data_set, tmp_path):
    export_dataset(data_set, tmp_path / "out", to="pix2pixhd")
    before = files_under(tmp_path / "out")
    with pytest.raises(DistillError, match=r"of 6 samples, 2 are asked for: .* never shrinks"):
        export_dataset(data_set, tmp_path / "out", to="pix2pixhd", limit=2)
    assert files_under(tmp_path / "out") == before


def test_an_incomplete_data_set_is_refused(tmp_path):
    make_data_set(tmp_path / "data", complete=False)
    with pytest.raises(DistillError, match=r"manifest\.json"):
        export_dataset(tmp_path / "data", tmp_path / "out", to="folders")
    assert not (tmp_path / "out").exists()


def test_a_broken_shard_is_named(data_set, tmp_path):
    (data_set / "shard-00001.h5").write_bytes(b"not HDF5")
    with pytest.raises(DistillError, match=r"shard-00001\.h5"):
        export_dataset(data_set, tmp_path / "out", to="webdataset")
    assert set(files_under(tmp_path / "out")) == {"export.json"}


@pytest.mark.parametrize("name", ["../../elsewhere", "a/b", ".", "", "x" * 101])
def test_names_cannot_lead_out_of_the_folder(data_set, tmp_path, name):
    with pytest.raises(DistillError, match="cannot name a folder"):
        export_dataset(data_set, tmp_path / "out", to="pix2pixhd", phase=name)
    manifest = json.loads((data_set / "manifest.json").read_text())
    manifest["recipe"]["target"] = name
    manifest["digest"] = digest_of(manifest["recipe"])
    for shard in manifest["shards"]:
        shard["digest"] = manifest["digest"]
    (data_set / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DistillError, match="cannot name a folder"):
        export_dataset(data_set, tmp_path / "out", to="folders")
    assert not (tmp_path / "out").exists()


def test_a_role_that_no_shard_has_is_refused(data_set, tmp_path):
    recipe = recipe_of(target="portrait")
    content = replace(content_of(0, recipe), images=content_of(0, recipe_of()).images)
    reports = [commit_shard(data_set, content)]
    write_manifest(data_set, recipe=recipe, digest=digest_of(recipe), n=3, reports=reports)
    with pytest.raises(DistillError, match="portrait"):
        export_dataset(data_set, tmp_path / "out", to="folders")


@pytest.mark.parametrize("inside", [".", "exported"])
def test_the_data_set_itself_is_no_place_for_an_export(data_set, inside):
    before = files_under(data_set)
    with pytest.raises(DistillError, match="inside the data set"):
        export_dataset(data_set, data_set / inside, to="folders")
    assert files_under(data_set) == before


@pytest.mark.parametrize("to", ["pix2pixhd", "webdataset"])
def test_a_full_disk_is_told_apart_and_leaves_no_part_of_a_file(data_set, tmp_path, to, monkeypatch):
    replace, renamed = Path.replace, []

    def full_after_two(self, target):
        renamed.append(target)
        if len(renamed) > (3 if to == "pix2pixhd" else 1):
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full_after_two)
        with pytest.raises(DiskFull, match="same command"):
            export_dataset(data_set, tmp_path / "out", to=to)
    assert not list((tmp_path / "out").rglob("*.tmp"))
    export_dataset(data_set, tmp_path / "out", to=to)
    export_dataset(data_set, tmp_path / "whole", to=to)
    assert files_under(tmp_path / "out") == files_under(tmp_path / "whole")


def test_the_stamp_names_the_roles(data_set, tmp_path):
    export_dataset(data_set, tmp_path / "out", to="pix2pixhd")
    stamp = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (stamp["inputs"], stamp["target"]) == (["content", "style"], "mixed")


def test_plain_images_come_with_names_weights_and_labels(tmp_path):
    labels = {"age": np.array([31, np.nan], np.float32), "who": ["ä, b", ""]}
    images = np.zeros((2, 8, 8, 3), np.uint8)
    write_image_set(tmp_path / "data", images, labels=labels, weights=np.array([2, 0.5], np.float32))
    export_dataset(tmp_path / "data", tmp_path / "out", to="folders")
    with (tmp_path / "out" / "metadata.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    found = {key: first[key] for key in ("name", "weight", "labels/age", "labels/who")}
    assert found == {"name": "0.png", "weight": "2.0", "labels/age": "31.0", "labels/who": "ä, b"}
    assert (second["labels/age"], second["labels/who"]) == ("nan", "")
    export_dataset(tmp_path / "data", tmp_path / "tars", to="webdataset")
    with tarfile.open(tmp_path / "tars" / "distill-000000.tar") as tar:
        record = json.loads(tar.extractfile("000001.json").read())
    assert (record["name"], record["labels"]) == ("1.png", {"age": None, "who": ""})
    with pytest.raises(DistillError, match="--to folders"):
        export_dataset(tmp_path / "data", tmp_path / "hd", to="pix2pixhd")
