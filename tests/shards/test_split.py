"""No face on both sides, and no row that moves when the data set grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from triplet_sets import make_triplets

from distill.errors import DistillError, ShardCorrupt
from distill.shards.dataset import TripletDataset
from distill.shards.split import split_rows


def latents_of(dataset: TripletDataset, rows: np.ndarray) -> set[bytes]:
    data = TripletDataset(dataset.folder, columns=("latents/content",))
    return {data[int(row)]["latents/content"].numpy().tobytes() for row in rows}


def test_rows_of_one_face_fall_on_one_side(tmp_path: Path) -> None:
    dataset = TripletDataset(make_triplets(tmp_path, rows=96, faces=20))
    train, held = split_rows(dataset, fraction=0.3, seed=1)
    assert sorted([*train, *held]) == list(range(96))
    assert (train.dtype, held.dtype) == (np.int64, np.int64)
    assert 0 < len(held) < 96
    assert len(latents_of(dataset, train)) + len(latents_of(dataset, held)) == 20


def test_a_data_set_that_grows_moves_no_row(tmp_path: Path) -> None:
    small = TripletDataset(make_triplets(tmp_path / "small", rows=48))
    large = TripletDataset(make_triplets(tmp_path / "large", rows=96))
    _, before = split_rows(small, fraction=0.25, seed=0)
    _, after = split_rows(large, fraction=0.25, seed=0)
    assert list(before) == [row for row in after if row < 48]
    _, more = split_rows(large, fraction=0.5, seed=0)
    assert set(after) < set(more)


def test_the_seed_alone_decides_and_about_the_fraction_is_held_out(tmp_path: Path) -> None:
    dataset = TripletDataset(make_triplets(tmp_path, rows=400, per_shard=200))
    sides = [split_rows(dataset, fraction=0.25, seed=seed)[1] for seed in (0, 0, 1)]
    assert np.array_equal(sides[0], sides[1])
    assert not np.array_equal(sides[0], sides[2])
    assert all(70 < len(side) < 130 for side in sides)  # 100 ± 3.5 standard deviations


def test_without_latents_the_pixels_of_the_source_tell_faces_apart(tmp_path: Path) -> None:
    dataset = TripletDataset(make_triplets(tmp_path, rows=96, faces=20, latents=False))
    train, held = split_rows(dataset, fraction=0.3, seed=1)
    sides = [{dataset[int(row)]["content"].numpy().tobytes() for row in rows} for rows in (train, held)]
    assert len(held)
    assert not sides[0] & sides[1]


def test_the_source_counts_whatever_roles_are_read(tmp_path: Path) -> None:
    folder = make_triplets(tmp_path, rows=48)
    both = [TripletDataset(folder), TripletDataset(folder, roles=("mixed", "content"))]
    assert len({tuple(split_rows(dataset, fraction=0.3, seed=0)[1]) for dataset in both}) == 1


def test_nothing_held_out_and_everything_held_out(tmp_path: Path) -> None:
    dataset = TripletDataset(make_triplets(tmp_path, rows=4, faces=1))
    train, held = split_rows(dataset, fraction=0, seed=0)
    assert (list(train), list(held)) == ([0, 1, 2, 3], [])
    with pytest.raises(DistillError, match="all 4 rows fall into the held-out 99%; hold out less"):
        split_rows(dataset, fraction=0.99, seed=0)
    with pytest.raises(DistillError, match=r"fraction of 1\.0 is not in"):
        split_rows(dataset, fraction=1.0, seed=0)


def test_a_shard_that_went_away_is_named(tmp_path: Path) -> None:
    dataset = TripletDataset(make_triplets(tmp_path, rows=48))
    (tmp_path / "shard-00001.h5").unlink()
    with pytest.raises(ShardCorrupt, match=r"shard-00001\.h5: missing"):
        split_rows(dataset, fraction=0.1, seed=0)
