"""Faces embedded into a second generator: what a row holds, and that no kill costs more than the batch in hand."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from children import make_child

from distill.errors import DistillError, Interrupted
from distill.generation.conditions import ChosenConditions, default_batch_size
from distill.generation.edits.second_generator import Embedded
from distill.generation.embed import KeptBatches, fitted, open_space, search_key
from distill.generation.estimate import estimate
from distill.generation.job import GenerationRun, RunCallbacks, prepare, run_job
from distill.generation.recipe import Recipe
from distill.generation.request import GenerateRequest, TaskChoices
from distill.metrics.ssim import ssim
from distill.pixels import to_uint8
from distill.progress import Progress
from distill.shards.dataset import TripletDataset
from distill.shards.verify import verify_folder
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from pipelines import RECIPES

STEPS = 6


@pytest.fixture(scope="module")
def other(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator that maps z elsewhere."""
    path = tmp_path_factory.mktemp("weights") / "other.safetensors"
    return make_child(tiny_weights, path, mapping=1.0)


@pytest.fixture
def asked(tiny_weights: Path, other: Path, tmp_path: Path) -> Callable[..., GenerationRun]:
    """Makes runs of few rows, in the folder `name`, by two faces at once."""

    def ask(
        name: str = "a", *, n: int = 6, cap: int | None = None, second: Path = other, **choices: Any
    ) -> GenerationRun:
        settings = {"align": "none", "shard_size": 4, "steps": STEPS, "min_ssim": -1.0, **choices}
        request = GenerateRequest(
            task=RECIPES["face-to-drawing"],
            n=n,
            generator=str(tiny_weights),
            out=tmp_path / name,
            choices=TaskChoices(second_generator=str(second), **settings),
            conditions=ChosenConditions(precision="fp32", batch_size=2),
            max_candidates=cap,
            cluster="none",
            device="cpu",
        )
        return prepare(request)

    return ask


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Stopped:
    """Counts the steps of a run, and stops it after some of them."""

    def __init__(self, after: int) -> None:
        self.after, self.steps, self.stop = after, 0, threading.Event()

    def __call__(self, run: GenerationRun) -> None:
        run_job(run, stop=self.stop, callbacks=RunCallbacks(step=self.count))

    def count(self, step: int, most: int) -> None:
        assert (1 <= step <= most, most in (STEPS, STEPS + 1)) == (True, True)
        self.steps += 1
        if self.steps == self.after:
            self.stop.set()


def test_the_target_is_what_the_second_generator_draws_from_the_w_that_was_found(
    asked: Callable[..., GenerationRun], other: Path, tiny_teacher: Generator
) -> None:
    run = asked()
    run_job(run)
    assert not verify_folder(run.plan.folder, full=True).problems
    columns = ["latents/source", "latents/target", "params/steps", "scores/ssim"]
    rows = [TripletDataset(run.plan.folder, columns=columns)[k] for k in range(6)]
    second = load_generator(other, precision="fp32")
    for role, generator in {"source": tiny_teacher, "target": second}.items():
        drawn = to_uint8(generator.synthesize(torch.stack([row[f"latents/{role}"] for row in rows])))
        stored = torch.stack([row[role] for row in rows]).permute(0, 2, 3, 1)
        assert (drawn.int() - stored.int()).abs().max() <= 1
    assert [int(row["params/steps"]) for row in rows] == [STEPS] * 6
    pair = (torch.stack([row[role] for row in rows]).float() for role in ("source", "target"))
    expected = ssim(*pair, data_range=255.0, window="uniform")
    torch.testing.assert_close(torch.stack([row["scores/ssim"] for row in rows]), expected.float())


def test_more_steps_come_nearer(asked: Callable[..., GenerationRun]) -> None:
    near = []
    for steps in (2, 40):
        run = asked(str(steps), n=4, steps=steps)
        run_job(run)
        near.append(
            [float(row["scores/ssim"]) for row in TripletDataset(run.plan.folder, columns=["scores/ssim"])]
        )
    assert np.median(near[1]) > np.median(near[0]) + 0.02


@pytest.mark.parametrize("after", [1, STEPS, STEPS + 2, 2 * STEPS + 1])
def test_a_stop_costs_the_batch_in_hand_and_no_byte(asked: Callable[..., GenerationRun], after: int) -> None:
    """Three batches in shards of two and of one: what was found before the one in hand is not looked for again."""
    straight = asked("straight")
    run_job(straight)
    first, rest = Stopped(after), Stopped(10**6)
    with pytest.raises(Interrupted):
        first(asked("stopped"))
    rest(asked("stopped"))
    assert first.steps == after, "it leaves between two steps"
    assert rest.steps == STEPS * (3 - (after - 1) // STEPS)
    assert tree(straight.plan.folder) == tree(asked("stopped").plan.folder)


def test_what_was_found_is_kept_for_another_bound_and_for_no_other_search(
    asked: Callable[..., GenerationRun],
) -> None:
    with pytest.raises(DistillError, match=r"kept for another try in the same folder"):
        run_job(asked(min_ssim=0.999, cap=4))
    folder = asked().plan.folder
    assert {name.split("-")[0] for name in tree(folder)} == {".embedded"}, "no recipe without a shard"
    looser, longer = Stopped(10**6), Stopped(10**6)
    looser(asked(n=4))
    assert looser.steps == 0
    assert not [name for name in tree(folder) if name.startswith(".embedded")]
    with pytest.raises(DistillError):
        run_job(asked("b", min_ssim=0.999, cap=4))
    longer(asked("b", n=4, steps=STEPS + 1))
    assert longer.steps == 2 * (STEPS + 1)


def test_while_nothing_is_accepted_it_tells_how_many_were_dropped_and_what_to_change(
    asked: Callable[..., GenerationRun],
) -> None:
    told, stop = io.StringIO(), threading.Event()
    progress = Progress(2, stream=told)
    shown = RunCallbacks.shown(progress)
    beside: list[str] = []

    def step(done: int, most: int) -> None:
        shown.step(done, most)
        beside.append(progress.facts)
        if len(beside) == 2 * STEPS + 1:
            stop.set()

    with pytest.raises(Interrupted):
        run_job(asked(n=2, min_ssim=0.999), stop=stop, callbacks=replace(shown, step=step))
    assert beside[0] == f"step 1 of at most {STEPS}"
    judged = "0 of 4 candidates accepted (likeness.too-low: 4), "
    assert beside[-1] == f"{judged}step 1 of at most {STEPS}"
    (line,) = told.getvalue().splitlines()
    assert line.startswith("shard 0: 0 of 4 candidates accepted so far; the filter 'likeness' dropped most")
    assert "take a smaller --min-ssim" in line


def test_a_kept_file_that_is_damaged_is_made_anew(asked: Callable[..., GenerationRun]) -> None:
    straight = asked("straight", n=4)
    run_job(straight)
    with pytest.raises(Interrupted):
        Stopped(STEPS + 2)(asked("stopped", n=4))
    (kept,) = asked("stopped", n=4).plan.folder.glob(".embedded-*")
    kept.write_bytes(kept.read_bytes()[:-40])
    run_job(asked("stopped", n=4))
    assert tree(straight.plan.folder) == tree(asked("stopped", n=4).plan.folder)


def test_what_a_killed_run_left_of_shards_that_are_done_is_swept(asked: Callable[..., GenerationRun]) -> None:
    run = asked(n=4)
    run_job(run)
    before = tree(run.plan.folder)
    (run.plan.folder / ".embedded-00000-000000000-0123456789abcdef.npz").write_bytes(b"left behind")
    run_job(asked(n=4))
    assert tree(run.plan.folder) == before


@pytest.mark.cluster
def test_worker_processes_make_the_same_bytes(asked: Callable[..., GenerationRun]) -> None:
    here, there = asked("here"), asked("there")
    run_job(here)
    run_job(replace(there, placement=replace(there.placement, cluster="local", workers=2)))
    assert tree(here.plan.folder) == tree(there.plan.folder)


def test_a_second_generator_of_another_size(asked: Callable[..., GenerationRun]) -> None:
    run = asked(n=2, second=Path("avatars"), steps=2)
    run_job(run)
    dataset = TripletDataset(run.plan.folder, columns=["latents/source", "latents/target"])
    assert dataset.resolution == 32
    assert dataset[0]["latents/source"].shape == (8, 64)
    assert dataset[0]["latents/target"].shape == (10, 128)


def test_faces_are_brought_to_the_size_of_the_second_generator() -> None:
    images = torch.linspace(-2, 2, 3 * 64).reshape(1, 3, 8, 8)
    assert torch.equal(fitted(images, 8), images.clamp(-1, 1))
    assert torch.equal(fitted(images, 4), torch.nn.functional.avg_pool2d(images.clamp(-1, 1), 2))
    assert fitted(images, 32).shape == (1, 3, 32, 32)


def test_the_time_is_told_by_a_few_steps_and_nothing_is_written(
    asked: Callable[..., GenerationRun], tmp_path: Path
) -> None:
    found = estimate(asked(n=100))
    assert found.seconds is not None
    assert found.seconds > 0
    assert "s a candidate, by 10 steps tried now; 50% of them are taken to be accepted" in found.how
    assert list(tmp_path.iterdir()) == []
    run_job(asked(n=4))
    assert "100% of them were accepted so far" in estimate(asked(n=100)).how


def test_few_faces_are_embedded_at_once_by_default() -> None:
    assert default_batch_size("cpu", 64, searches=True) == 4
    assert default_batch_size("cpu", 64) == 16


def test_other_features_than_the_recipe_s_are_refused(tiny_teacher: Generator) -> None:
    with pytest.raises(DistillError, match="give every worker the same file"):
        open_space(tiny_teacher, Embedded(features_sha256="0" * 64))


def test_what_is_kept_is_named_by_all_that_it_depends_on(
    asked: Callable[..., GenerationRun], tmp_path: Path
) -> None:
    recipe = asked().plan.recipe
    keys = {
        search_key(other, "fp32", 2)
        for other in (
            recipe,
            *(asked(**change).plan.recipe for change in ({"steps": 7}, {"space": "w"}, {"seed": 1})),
        )
    }
    assert len(keys | {search_key(recipe, "bf16", 2), search_key(recipe, "fp32", 4)}) == 6
    same = Recipe.model_validate(recipe.model_dump() | {"shard_size": 8, "resolution": 16})
    assert search_key(same, "fp32", 2) == search_key(recipe, "fp32", 2)
    assert KeptBatches(folder=tmp_path, index=0, key="k").find(0, torch.device("cpu")) is None
