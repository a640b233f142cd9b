"""Runs of the task region-swap: interrupted, over workers, estimated, and refused in one line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from children import make_child
from region_swaps import STEPS, painted_left, swap_request, written_shares

from distill.errors import DistillError, Interrupted
from distill.generation.edits.region_swap import RegionSwap
from distill.generation.estimate import estimate
from distill.generation.job import GenerationRun, RunCallbacks, prepare, run_job
from distill.generation.move_region import open_mover
from distill.generation.request import TaskChoices, folder_of, recipe_of
from distill.shards.dataset import TripletDataset
from distill.shards.verify import verify_folder
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(painted_left(tmp_path_factory.mktemp("mask") / "left.png"))


@pytest.fixture
def asked(tiny_weights: Path, mask: str, tmp_path: Path) -> Callable[..., GenerationRun]:
    return lambda name="a", **choices: prepare(
        swap_request(tiny_weights, tmp_path / name, **{"regions": mask, **choices})
    )


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("shard-*.h5")}


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(
    asked: Callable[..., GenerationRun], tmp_path: Path
) -> None:
    run_job(asked("whole"))
    stop, steps = threading.Event(), []

    def step(done: int, most: int) -> None:
        assert most == STEPS
        steps.append(done)
        if len(steps) == 2 * STEPS + 2:
            stop.set()

    with pytest.raises(Interrupted):
        run_job(asked("parts"), stop=stop, callbacks=RunCallbacks(step=step))
    assert steps == [*range(1, STEPS + 1)] * 2 + [1, 2]
    run_job(asked("parts"))
    assert shards(tmp_path / "parts") == shards(tmp_path / "whole")
    assert not verify_folder(tmp_path / "whole", full=True).problems
    assert set(TripletDataset(tmp_path / "whole").roles) == {"person", "reference", "result"}


def test_two_workers_make_the_same_bytes(
    tiny_weights: Path, tiny_teacher: Generator, mask: str, tmp_path: Path
) -> None:
    request = swap_request(tiny_weights, tmp_path / "here", regions=mask, n=8)
    run_job(prepare(request))
    run_job(prepare(replace(request, out=tmp_path / "there", cluster="local", workers=2)))
    assert len(shards(tmp_path / "here")) == 2
    assert shards(tmp_path / "there") == shards(tmp_path / "here")


def test_workers_get_the_files_from_the_root(
    tiny_weights: Path, tiny_teacher: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted_left(tmp_path / "left.png")
    written_shares(tmp_path / "q.safetensors", tiny_teacher)
    monkeypatch.chdir(tmp_path)
    request = swap_request(tiny_weights, regions="left.png", shares="q.safetensors", shard_size=None)
    recipe, files = recipe_of(request)
    assert (files.regions, files.shares) == (str(tmp_path / "left.png"), str(tmp_path / "q.safetensors"))
    assert recipe.shard_size == 256


def test_the_time_of_a_search_is_told_by_a_few_steps(asked: Callable[..., GenerationRun]) -> None:
    told = estimate(asked(steps=500))
    assert told.seconds is not None
    assert "s a candidate, by 10 steps tried now" in told.how


def test_a_part_that_nobody_has_is_told_before_the_run(
    tiny_weights: Path, tmp_path: Path, asked: Callable[..., GenerationRun]
) -> None:
    empty = painted_left(tmp_path / "empty.png")
    from PIL import Image

    Image.new("L", (32, 32)).save(empty)
    assert "could be used" in estimate(asked(regions=str(empty))).how
    with pytest.raises(DistillError, match=r"part\.missing: \d+\): take another --part"):
        run_job(asked(regions=str(empty)))


def test_a_folder_is_named_by_the_part(tiny_weights: Path, mask: str) -> None:
    request = swap_request(tiny_weights, regions=mask)
    recipe = recipe_of(request)[0]
    assert folder_of(request, recipe).name.startswith("region-swap-hair-tiny-")


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"part": None}, "needs --part: eyes, nose, mouth, face, hair, background, clothes"),
        ({"part": "ears"}, "part 'ears' is not one of eyes, nose, mouth, face, hair, background, clothes"),
        ({"regions": "gone.png"}, "gone.png"),
        ({"regions": None}, "make them with `distill regions GENERATOR --out FILE.safetensors`"),
        ({"shares": "gone.safetensors"}, "gone.safetensors"),
        ({"crossover": "half"}, "--crossover half has no meaning for the task region-swap"),
        ({"min_ssim": 0.5}, "--min-ssim 0.5 has no meaning for the task region-swap"),
        ({"pairing": "embed"}, "--pairing embed: the pairings of the task region-swap are fresh and ring"),
        ({"strength": 2.0}, "--strength 2.0 has no meaning for the task region-swap"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    choices: dict[str, Any], words: str, asked: Callable[..., GenerationRun], tmp_path: Path
) -> None:
    with pytest.raises(DistillError) as caught:
        asked(**choices)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("choice", ["part", "regions", "shares", "min_inside_change", "steps"])
def test_other_tasks_have_no_use_for_the_choices(choice: str, tiny_weights: Path) -> None:
    from pipelines import RECIPES

    value = {"steps": 5, "min_inside_change": 0.2}.get(choice, "hair")
    request = replace(
        swap_request(tiny_weights), task=RECIPES["style-mix"], choices=TaskChoices(**{choice: value})
    )
    with pytest.raises(DistillError, match=f"--{choice.replace('_', '-')} .* has no meaning for the task"):
        recipe_of(request)


def test_shares_of_another_part_or_generator_are_refused(
    asked: Callable[..., GenerationRun], tiny_weights: Path, tiny_teacher: Generator, tmp_path: Path
) -> None:
    eyes = written_shares(tmp_path / "eyes.safetensors", tiny_teacher, part="eyes")
    other = load_generator(make_child(tiny_weights, tmp_path / "other.safetensors"), precision="fp32")
    foreign = written_shares(tmp_path / "foreign.safetensors", other)
    for file, words in ((eyes, "shares of the part 'eyes', and --part is 'hair'"), (foreign, "shares of")):
        with pytest.raises(DistillError, match=words):
            asked(shares=str(file))
    hair = written_shares(tmp_path / "hair.safetensors", tiny_teacher)
    with pytest.raises(DistillError, match="--steps 5 has no meaning with --shares"):
        asked(shares=str(hair), steps=5)


def test_workers_refuse_other_files_than_the_recipe_names(
    asked: Callable[..., GenerationRun], tiny_teacher: Generator, mask: str, tmp_path: Path
) -> None:
    file = written_shares(tmp_path / "q.safetensors", tiny_teacher)
    edit = asked(shares=str(file)).plan.recipe.edit
    assert isinstance(edit, RegionSwap)
    other = written_shares(tmp_path / "r.safetensors", tiny_teacher, part="eyes")
    with pytest.raises(DistillError, match="the file of shares here has sha256"):
        open_mover(tiny_teacher, edit, mask, str(other))
    painted = tmp_path / "other.png"
    painted.write_bytes(Path(mask).read_bytes() + b"\0")
    with pytest.raises(DistillError, match="the file of regions here has sha256"):
        open_mover(tiny_teacher, edit, str(painted), str(file))
