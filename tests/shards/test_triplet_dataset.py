"""The torch data set gives the right bytes in every process, and refuses what it cannot trust."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from triplet_sets import make_triplets

from distill.errors import DistillError, ShardCorrupt
from distill.shards import dataset as dataset_module
from distill.shards.dataset import TripletDataset


def test_items_come_shard_by_shard_and_row_by_row(make_data_set: Any, make_content: Any) -> None:
    data = TripletDataset(make_data_set())
    assert len(data) == 8
    place = 0
    for shard, rows in enumerate((3, 3, 2)):
        images = make_content(shard, rows=rows).images
        for row in range(rows):
            item = data[place]
            assert list(item) == ["content", "style", "mixed", "index"]
            assert int(item["index"]) == place
            for role in ("content", "style", "mixed"):
                assert item[role].dtype == torch.uint8
                assert item[role].is_contiguous()
                np.testing.assert_array_equal(item[role].permute(1, 2, 0).numpy(), images[role][row])
            place += 1


def test_roles_float_and_columns_can_be_chosen(make_data_set: Any, make_content: Any) -> None:
    columns = ("latents/content", "candidate", "scores/ssim")
    data = TripletDataset(make_data_set(), roles=["mixed"], dtype="float32", columns=columns)
    item, content = data[1], make_content(0)
    assert list(item) == ["mixed", *columns, "index"]
    assert item["mixed"].dtype == torch.float32
    expected = torch.from_numpy(content.images["mixed"][1]).permute(2, 0, 1) / 127.5 - 1
    torch.testing.assert_close(item["mixed"], expected)
    assert item["latents/content"].dtype == torch.float16
    np.testing.assert_array_equal(item["latents/content"], content.columns["latents/content"][1])
    assert (item["candidate"].dtype, int(item["candidate"])) == (torch.int64, 2)
    assert item["scores/ssim"].shape == ()


def test_a_smaller_resolution_averages_cells(make_data_set: Any, make_content: Any) -> None:
    data = TripletDataset(make_data_set(), resolution=4)
    stored = make_content(0).images["style"][0].astype(float)
    means = stored.reshape(4, 4, 4, 4, 3).mean(axis=(1, 3))
    expected = torch.from_numpy(np.floor(means + 0.5)).permute(2, 0, 1)
    torch.testing.assert_close(data[0]["style"].double(), expected, rtol=0, atol=0)
    assert data[0]["style"].shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"resolution": 32}, "resolution 32: the shards hold 16 px"),
        ({"resolution": 5}, "choose a divisor of 16"),
        ({"resolution": 0}, "choose a divisor of 16"),
        ({"roles": ["target"]}, "no role 'target'; it has content, style, mixed"),
        ({"columns": ["latents/none"]}, "no column 'latents/none'"),
        ({"dtype": "float64"}, "choose uint8 or float32"),
    ],
)
def test_an_impossible_option_is_refused(options: dict[str, Any], complaint: str, make_data_set: Any) -> None:
    with pytest.raises(DistillError, match=complaint):
        TripletDataset(make_data_set(), **options)


def test_indices_count_from_the_end_and_stop_at_the_ends(make_data_set: Any) -> None:
    data = TripletDataset(make_data_set())
    assert int(data[-1]["index"]) == 7
    assert int(data[np.int64(-8)]["index"]) == 0
    for index in (8, -9, 10**9):
        with pytest.raises(IndexError, match="outside the 8 triplets"):
            data[index]
    assert len(list(data)) == 8


def break_by_truncation(folder: Path) -> None:
    path = folder / "shard-00001.h5"
    path.write_bytes(path.read_bytes()[:-1])


def break_by_removal(folder: Path) -> None:
    (folder / "shard-00001.h5").unlink()


def break_by_header(folder: Path) -> None:
    path = folder / "shard-00001.h5"
    path.write_bytes(bytes(512) + path.read_bytes()[512:])


def break_by_swap(folder: Path) -> None:
    shutil.copy(folder / "shard-00000.h5", folder / "shard-00001.h5")


@pytest.mark.parametrize("harm", [break_by_truncation, break_by_removal, break_by_header, break_by_swap])
def test_a_broken_or_missing_shard_is_refused_by_name_at_the_start(harm: Any, make_data_set: Any) -> None:
    folder = make_data_set()
    harm(folder)
    with pytest.raises(ShardCorrupt, match=r"shard-00001\.h5"):
        TripletDataset(folder)


def test_a_shard_broken_later_raises_instead_of_giving_zeros(make_data_set: Any) -> None:
    folder = make_data_set()
    data = TripletDataset(folder)
    path = folder / "shard-00000.h5"
    pixels = data[0]["content"].permute(1, 2, 0).numpy().tobytes()
    broken = path.read_bytes()
    assert broken.count(pixels) == 1
    data.close()
    path.write_bytes(broken.replace(pixels, bytes(len(pixels))))
    with pytest.raises(ShardCorrupt, match=r"shard-00000\.h5: image 0 of 'content'"):
        data[0]


def test_an_incomplete_data_set_is_refused_with_advice(make_data_set: Any, tmp_path: Path) -> None:
    folder = make_data_set()
    (folder / "manifest.json").unlink()
    with pytest.raises(DistillError, match="run the same command again"):
        TripletDataset(folder)
    with pytest.raises(DistillError, match="no such folder"):
        TripletDataset(tmp_path / "nowhere")


def test_no_path_is_taken_from_the_manifest(make_data_set: Any) -> None:
    folder = make_data_set()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][0]["path"] = "/etc/passwd"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DistillError, match="entry of its shards is broken"):
        TripletDataset(folder)


def test_it_can_be_pickled_after_reading(make_data_set: Any) -> None:
    data = TripletDataset(make_data_set(), columns=["candidate"])
    before = [data[i]["mixed"] for i in range(8)]
    again = pickle.loads(pickle.dumps(data))
    assert all(torch.equal(again[i]["mixed"], before[i]) for i in range(8))


def test_only_so_many_shards_are_open_at_once(make_data_set: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "OPEN_SHARDS", 2)
    data = TripletDataset(make_data_set(shards=5))
    for index in (*range(len(data)), *reversed(range(len(data)))):
        assert int(data[index]["index"]) == index
        assert open_files() <= 2
    data.close()
    assert open_files() == 0


def open_files() -> int:
    """Count the shards that this process has open."""
    links = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return sum(target.endswith(".h5") for target in links)


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # on a single core
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_loader_processes_give_the_same_bytes(method: str, codec: str, make_data_set: Any) -> None:
    data = TripletDataset(make_data_set(codec=codec), columns=["latents/style"])
    expected = [data[i] for i in range(len(data))]  # the handles are open when the workers start
    loader = DataLoader(data, batch_size=2, num_workers=2, multiprocessing_context=method)
    batches = list(loader)
    assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(8))
    for name in ("content", "style", "mixed", "latents/style"):
        together = torch.cat([batch[name] for batch in batches])
        assert torch.equal(together, torch.stack([item[name] for item in expected]))


def test_of_very_many_shards_some_are_opened_at_first_and_the_others_when_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_triplets(tmp_path / "data", rows=12, per_shard=4)
    path = folder / "shard-00001.h5"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(ShardCorrupt, match="shard-00001"):
        TripletDataset(folder)
    monkeypatch.setattr(dataset_module, "CHECKED_SHARDS", 2)
    some = TripletDataset(folder)
    assert some[0]["index"] == 0
    with pytest.raises(ShardCorrupt, match=r"shard-00001\.h5: not readable as HDF5"):
        some[5]
    path.write_bytes(b"")
    with pytest.raises(ShardCorrupt, match="0 bytes long, its sidecar says"):
        TripletDataset(folder)
