"""Rings of faces: which triplets share one, what a dropped face takes with it, what is held out together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from region_swaps import painted_left, swap_request

from distill.errors import DistillError
from distill.generation.batch import Batch
from distill.generation.edits.region_swap import RegionSwap
from distill.generation.edits.rings import LentPicture
from distill.generation.filters.face import FaceFilter
from distill.generation.job import prepare, run_job
from distill.generation.move_region import open_mover
from distill.generation.pipeline import generate_shard
from distill.generation.recipe import Recipe
from distill.generation.request import GenerateRequest, TaskChoices, folder_of, recipe_of
from distill.shards.dataset import TripletDataset
from distill.shards.layout import ShardContent
from distill.shards.split import split_rows
from distill.shards.verify import verify_folder
from distill.stylegan2.generator import Generator
from pipelines import RECIPES

PARENTS = {"style-mix": ("content", "style"), "morph": ("first", "second")}


def request(generator: Path, task: str = "style-mix", n: int = 40, **choices: Any) -> GenerateRequest:
    chosen = TaskChoices(**{"align": "none", "shard_size": 24, **choices})
    return GenerateRequest(
        task=RECIPES[task], n=n, generator=str(generator), choices=chosen, cluster="none", device="cpu"
    )


def recipe_for(generator: Path, task: str = "style-mix", **choices: Any) -> Recipe:
    recipe, _ = recipe_of(request(generator, task, **choices))
    return recipe.model_copy(update={"filters": ()})


def shard(
    recipe: Recipe, teacher: Generator, rows: int = 24, batch_size: int = 16, **more: Any
) -> ShardContent:
    return generate_shard(recipe, 0, rows, teacher=teacher, batch_size=batch_size, **more)


def assert_rings(content: ShardContent, first: str, second: str) -> None:
    """Every second parent of a full ring is the first of the next candidate, the last one's that of the first."""
    following = [*range(1, 16), 0]
    for kind in (content.images, content.columns):
        prefix = "" if kind is content.images else "latents/"
        mine, lent = (np.asarray(kind[f"{prefix}{role}"])[:16] for role in (first, second))
        np.testing.assert_array_equal(lent, mine[following])
    assert len(np.unique(content.columns[f"latents/{first}"][:16], axis=0)) == 16


@pytest.mark.parametrize("task", ["style-mix", "morph"])
def test_a_ring_shares_its_faces(task: str, tiny_weights: Path, tiny_teacher: Generator) -> None:
    ring = shard(recipe_for(tiny_weights, task, pairing="ring"), tiny_teacher)
    assert_rings(ring, *PARENTS[task])
    fresh = shard(recipe_for(tiny_weights, task), tiny_teacher)
    first, second = (f"latents/{role}" for role in PARENTS[task])
    np.testing.assert_array_equal(
        ring.columns[first], fresh.columns[first]
    )  # the same faces, paired otherwise
    assert not np.array_equal(ring.columns[second], fresh.columns[second])
    assert ring.columns["ring"].tolist() == [0] * 16 + [1] * 8
    assert "ring" not in fresh.columns


def test_a_part_moves_between_faces_of_a_ring(
    tiny_weights: Path, tiny_teacher: Generator, tmp_path: Path
) -> None:
    mask = str(painted_left(tmp_path / "left.png"))
    recipe, _ = recipe_of(swap_request(tiny_weights, regions=mask, pairing="ring", steps=1, shard_size=16))
    assert isinstance(recipe.edit, RegionSwap)
    mover = open_mover(tiny_teacher, recipe.edit, mask, "")
    content = shard(recipe, tiny_teacher, 16, batch_size=8, mover=mover)
    assert_rings(content, "person", "reference")
    result, person = (np.asarray(content.images[role]) for role in ("result", "person"))
    assert (result != person).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("batch_size", [4, 24])
def test_rings_do_not_depend_on_how_many_are_drawn_at_once(
    batch_size: int, tiny_weights: Path, tiny_teacher: Generator
) -> None:
    recipe = recipe_for(tiny_weights, pairing="ring")
    one, other = (shard(recipe, tiny_teacher, batch_size=size) for size in (16, batch_size))
    assert_rings(other, "content", "style")
    np.testing.assert_array_equal(one.columns["ring"], other.columns["ring"])
    for role in ("content", "style"):
        np.testing.assert_allclose(
            one.columns[f"latents/{role}"], other.columns[f"latents/{role}"], atol=1e-4
        )
    for role in recipe.roles:
        apart = np.abs(np.asarray(one.images[role]).astype(int) - np.asarray(other.images[role]))
        assert apart.max() <= 1


def test_a_face_that_is_dropped_takes_both_of_its_triplets() -> None:
    drawn = {role: torch.zeros(8, 3, 16, 16) for role in ("content", "style", "mixed")}
    for i in range(8):
        drawn["content"][i] = i / 16
        drawn["style"][i] = (i // 4 * 4 + (i + 1) % 4) / 16
    lent = LentPicture(first="content", second="style", length=4)
    batch = Batch.of(range(8), drawn, lent=lent)
    looked = Counter[int]()

    def no_face_in_the_third(image: np.ndarray[Any, Any]) -> list[Any]:
        grey = int(image[0, 0, 0])
        looked[grey] += 1
        return [] if grey == int(batch.host("content")[2, 0, 0, 0]) else ["a face"]

    batch.find_faces(("content", "style"), no_face_in_the_third)  # type: ignore[arg-type]
    for i in batch.kept():
        if not all(batch.faces_in(role, i) for role in ("content", "style")):
            batch.drop(i, "face.none")
    assert [i for i, reason in enumerate(batch.reasons) if reason] == [1, 2]
    assert set(looked.values()) == {1}
    assert len(looked) == 8  # each face is looked for once, although two triplets show it


def test_the_filter_drops_them_for_the_same_reason(tiny_weights: Path) -> None:
    drawn = {role: torch.zeros(4, 3, 16, 16) for role in ("content", "style", "mixed")}
    batch = Batch.of(range(4), drawn, lent=LentPicture(first="content", second="style", length=4))
    batch.find_faces(("content", "style", "mixed"), lambda image: [])
    recipe = recipe_for(tiny_weights, pairing="ring")
    FaceFilter().judge(batch, recipe)
    assert batch.reasons == ["face.none"] * 4


def test_a_ring_is_held_out_whole(tiny_weights: Path, tmp_path: Path) -> None:
    asked = request(tiny_weights, n=120, pairing="ring")
    recipe, _ = recipe_of(asked)
    folder = tmp_path / "rings"
    run_job(prepare(GenerateRequest(**{**asked.__dict__, "out": folder})))
    assert recipe.edit.ring == 16
    assert not verify_folder(folder, full=True).problems
    dataset = TripletDataset(folder, columns=("latents/content", "latents/style"))
    train, held = split_rows(dataset, fraction=0.3, seed=0)
    assert len(train)
    assert len(held)
    faces = [
        {
            dataset[int(row)][f"latents/{role}"].numpy().tobytes()
            for row in rows
            for role in PARENTS["style-mix"]
        }
        for rows in (train, held)
    ]
    assert not faces[0] & faces[1]


def test_a_recipe_of_fresh_faces_says_nothing_about_pairing(tiny_weights: Path) -> None:
    silent, fresh, ring = (recipe_for(tiny_weights, pairing=name) for name in (None, "fresh", "ring"))
    assert silent.digest == fresh.digest != ring.digest
    assert "pairing" not in silent.to_json()
    assert '"pairing":{"length":16,"name":"ring"}' in ring.to_json()
    assert Recipe.from_json(ring.to_json()) == ring
    assert silent.difference(ring) == "--pairing is 'ring' there and 'fresh' here"
    assert folder_of(request(tiny_weights, pairing="ring"), ring) != folder_of(request(tiny_weights), fresh)


@pytest.mark.parametrize(
    ("task", "pairing", "message"),
    [
        ("style-mix", "embed", "--pairing embed: the pairings of the task style-mix are fresh and ring"),
        (
            "face-to-drawing",
            "ring",
            "--pairing ring: the pairings of the task face-to-drawing are shared and embed",
        ),
        ("gender-swap", "ring", "--pairing ring has no meaning for the task gender-swap: leave it out"),
    ],
)
def test_another_tasks_pairing_is_refused(task: str, pairing: str, message: str, tiny_weights: Path) -> None:
    with pytest.raises(DistillError, match=message):
        recipe_of(request(tiny_weights, task, pairing=pairing))
