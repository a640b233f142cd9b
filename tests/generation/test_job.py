"""The main job on disk: complete, resumable, and the same bytes whatever happened on the way."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from distill.cli.main import run
from distill.errors import DiskFull, DistillError, Incomplete, Interrupted
from distill.generation import worker as module
from distill.generation.advice import Tally
from distill.generation.conditions import ChosenConditions, choose_conditions, read_conditions
from distill.generation.job import GenerationRun, RunCallbacks, prepare, run_job
from distill.generation.placement import Placement
from distill.generation.plan import claim_folder, plan_job
from distill.generation.recipe import Recipe
from distill.generation.request import GenerateRequest, RecipeFiles, TaskChoices, located, located_scorer
from distill.generation.worker import ShardTask, make_shard
from distill.shards import write
from distill.shards.folder import ShardReport
from distill.shards.read import open_shard
from distill.shards.status import folder_status
from distill.shards.verify import verify_folder
from distill.stylegan2.facts import teacher_facts
from pipelines import RECIPES


@pytest.fixture
def recipe(tiny_weights: Path) -> Recipe:
    base = RECIPES["style-mix"].without_faces().revised(shard_size=4)
    window = ({"name": "ssim", "min_ssim": -1.0, "max_ssim": 1.0},)
    return base.revised(filters=window).bind(teacher_facts(str(tiny_weights)))


class Job:
    """Runs the job in one folder and remembers what was counted and noted."""

    def __init__(self, recipe: Recipe, weights: Path, folder: Path) -> None:
        self.recipe, self.weights, self.folder = recipe, weights, folder
        self.accepted, self.batch_size = 0, 4
        self.notes: list[str] = []
        self.stop = threading.Event()

    def __call__(self, n: int, **run: Any) -> list[ShardReport]:
        def count(tally: Tally) -> None:
            self.accepted += tally.accepted

        plan = plan_job(self.recipe, n, self.folder)
        there = read_conditions(self.folder) if plan.begun else None
        chosen = ChosenConditions(precision="fp32", batch_size=None if there else self.batch_size)
        place = {"cluster": "none", "workers": 1, "devices": (), "device": "cpu", "threads": 1}
        settings = GenerationRun(
            plan=plan,
            files=RecipeFiles(generator=str(self.weights)),
            placement=Placement(**{key: run.pop(key, value) for key, value in place.items()}),
            conditions=choose_conditions(chosen, there, device="cpu", resolution=32),
            **run,
        )
        callbacks = RunCallbacks(count=count, note=self.notes.append)
        return run_job(settings, stop=self.stop, callbacks=callbacks)

    def tree(self) -> dict[str, bytes]:
        return {
            str(p.relative_to(self.folder)): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()
        }


@pytest.fixture
def new_job(recipe: Recipe, tiny_weights: Path, tmp_path: Path) -> Callable[[str], Job]:
    return lambda name: Job(recipe, tiny_weights, tmp_path / name)


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_run_leaves_a_verified_data_set_and_nothing_else(new_job: Callable[[str], Job]) -> None:
    job = new_job("a")
    reports = job(10)
    assert [report.rows for report in reports] == [4, 4, 2]
    assert job.accepted == 10
    shards = {f"shard-0000{i}.{end}" for i in range(3) for end in ("h5", "json")}
    assert job.tree().keys() == shards | {"recipe.json", "conditions.json", "manifest.json", "README.md"}
    assert not verify_folder(job.folder, full=True).problems


def test_a_request_from_python_needs_nothing_else(tiny_weights: Path, tmp_path: Path) -> None:
    request = GenerateRequest(
        task=RECIPES["style-mix"],
        n=6,
        generator=str(tiny_weights),
        out=tmp_path / "a",
        choices=TaskChoices(align="none", shard_size=4),
        cluster="none",
        device="cpu",
    )
    assert [report.rows for report in run_job(prepare(request))] == [4, 2]
    assert not verify_folder(tmp_path / "a", full=True).problems


def test_a_shard_says_how_it_was_drawn(new_job: Callable[[str], Job]) -> None:
    job = new_job("a")
    job(4)
    with open_shard(job.folder / "shard-00000.h5") as shard:
        assert shard.conditions == json.loads((job.folder / "conditions.json").read_text())
        assert (shard.conditions["precision"], shard.conditions["batch_size"]) == ("fp32", 4)


def test_another_run_that_has_begun_the_folder_meanwhile_is_not_drawn_into(
    new_job: Callable[[str], Job], recipe: Recipe
) -> None:
    job = new_job("a")
    job(4)
    plan = replace(plan_job(recipe, 8, job.folder), begun=False)  # as it was seen before
    conditions = choose_conditions(ChosenConditions(batch_size=5), None, device="cpu", resolution=32)
    with pytest.raises(DistillError, match="begun by another run just now"):
        claim_folder(plan, conditions)


def test_running_again_makes_nothing_anew(new_job: Callable[[str], Job]) -> None:
    job = new_job("a")
    job(10)
    before = {path: path.stat().st_mtime_ns for path in job.folder.glob("shard-*")}
    job.accepted = 0
    job(10)
    assert job.accepted == 0
    assert {path: path.stat().st_mtime_ns for path in job.folder.glob("shard-*")} == before


def test_growing_keeps_full_shards_and_equals_one_long_run(new_job: Callable[[str], Job]) -> None:
    grown, straight = new_job("grown"), new_job("straight")
    grown(6)
    kept = (grown.folder / "shard-00000.h5").stat().st_mtime_ns
    grown(11)
    straight(11)
    assert (grown.folder / "shard-00000.h5").stat().st_mtime_ns == kept
    assert grown.tree() == straight.tree()


def test_growing_draws_page_and_contact_sheet_anew(new_job: Callable[[str], Job]) -> None:
    job = new_job("a")
    job(4)
    assert run(["inspect", str(job.folder)]) == 0
    before = job.tree()
    job(4)
    assert job.tree() == before, "nothing was made"
    job(10)
    page, sheet = (job.tree()[name] for name in ("inspect.html", "contact_sheet.png"))
    assert b"10 triplets" in page
    assert sheet != before["contact_sheet.png"]
    (job.folder / "contact_sheet.png").unlink()
    job(12)
    assert "contact_sheet.png" not in job.tree(), "nobody asked for it"


def test_a_data_set_keeps_the_name_and_licence_of_its_generator(new_job: Callable[[str], Job]) -> None:
    job = new_job("a")
    job(4)
    other = job.recipe.generator.model_copy(update={"name": "copy.pkl", "licence": "another"})
    job.recipe = job.recipe.model_copy(update={"generator": other})
    job(10)
    assert not verify_folder(job.folder, full=True).problems
    assert "another" not in (job.folder / "manifest.json").read_text()


def test_shrinking_is_refused_and_loses_nothing(new_job: Callable[[str], Job]) -> None:
    job = new_job("a")
    job(10)
    before = job.tree()
    for n in (3, 9):
        with pytest.raises(DistillError, match=f"more than the {n} triplets"):
            job(n)
    assert job.tree() == before


def test_stopping_between_batches_resumes_to_the_same_bytes(new_job: Callable[[str], Job]) -> None:
    job, straight = new_job("a"), new_job("b")
    original = job.stop.is_set
    checks = iter([False] * 3)
    job.stop.is_set = lambda: next(checks, True) or original()  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="of 3 shards are done"):
        job(10)
    assert not (job.folder / "manifest.json").exists()
    assert not (job.folder / ".lock").exists()
    assert folder_status(job.folder).n == 10, "what was asked for is remembered"
    job.stop = threading.Event()
    job(10)
    straight(10)
    assert job.tree() == straight.tree()


def test_damage_is_repaired_by_the_same_command(new_job: Callable[[str], Job]) -> None:
    job = new_job("a")
    job(10)
    whole = job.tree()
    (job.folder / "shard-00001.h5").write_bytes(whole["shard-00001.h5"][:-1])
    (job.folder / "shard-00002.json").write_text("{")
    (job.folder / f".shard-00000.h5.{dead_pid()}-00000000.tmp").write_bytes(b"left behind")
    job(10)
    assert job.tree() == whole


def test_one_bad_shard_is_named_and_the_others_finish(
    new_job: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job("a")
    original = module.generate_shard

    def poisoned(recipe: Recipe, index: int, rows: int, **options: Any) -> Any:
        if index == 1:
            raise RuntimeError("a bad kernel")
        return original(recipe, index, rows, **options)

    monkeypatch.setattr(module, "generate_shard", poisoned)
    with pytest.raises(Incomplete, match=r"1 of 3 shards failed.*shard-00001.*a bad kernel") as failed:
        job(10)
    assert failed.value.exit_code == 3
    assert {path.name for path in job.folder.glob("*.h5")} == {"shard-00000.h5", "shard-00002.h5"}
    assert any("shard-00001 failed" in note for note in job.notes)
    monkeypatch.undo()
    assert len(job(10)) == 3


def test_a_full_disk_ends_the_run_with_its_own_code(
    new_job: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job("a")
    original = os.fsync
    calls = iter(range(100))

    def full(descriptor: int) -> None:
        if next(calls) >= 6:
            raise OSError(28, "No space left on device")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DistillError, match="no space left on the disk") as ended:
        job(30)
    assert ended.value.exit_code == DiskFull.exit_code
    monkeypatch.undo()
    assert not list(job.folder.glob(".*.tmp"))
    assert {p.stem for p in job.folder.glob("*.h5")} <= {p.stem for p in job.folder.glob("*.json")}
    assert next(calls) < 12, "what was not begun stays so"
    straight = new_job("b")
    straight(10)
    job(10)
    assert job.tree() == straight.tree()


def test_a_folder_that_is_removed_ends_the_run_at_its_next_shard(
    new_job: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = new_job("a")
    original, drawn = module.generate_shard, []

    def removing(recipe: Recipe, index: int, rows: int, **options: Any) -> Any:
        drawn.append(index)
        if index == 1:
            shutil.rmtree(job.folder)
        return original(recipe, index, rows, **options)

    monkeypatch.setattr(module, "generate_shard", removing)
    with pytest.raises(DistillError, match="a: no such folder") as ended:
        job(12)
    assert (ended.value.exit_code, drawn, job.folder.exists()) == (2, [0, 1], False)


def test_a_shard_that_cannot_be_placed_is_drawn_once_and_ends_the_run(
    new_job: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, drawn, tried = new_job("a"), [], []
    original = module.generate_shard

    def counted(recipe: Recipe, index: int, rows: int, **options: Any) -> Any:
        drawn.append(index)
        return original(recipe, index, rows, **options)

    def read_only(path: Path, data: bytes) -> None:
        tried.append(path.name)
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(module, "generate_shard", counted)
    monkeypatch.setattr(write, "atomic_write", read_only)
    monkeypatch.setattr(write, "PAUSE_S", 0)
    with pytest.raises(DistillError, match=r"shard-00000\.h5: Read-only file system") as ended:
        job(12)
    assert (ended.value.exit_code, drawn, len(tried)) == (2, [0], 3)


def test_a_hopeless_filter_ends_the_run_at_once(recipe: Recipe, tiny_weights: Path, tmp_path: Path) -> None:
    fields = json.loads(recipe.to_json())
    fields["filters"][0]["min_ssim"] = 0.999
    job = Job(Recipe.from_json(json.dumps(fields)), tiny_weights, tmp_path / "a")
    with pytest.raises(DistillError, match="'ssim' dropped most") as ended:
        job(10, max_candidates=8)
    assert ended.value.exit_code == 2
    assert len(job.notes) == 0, "one shard was enough to know"
    assert not job.folder.exists(), "nothing came of it, so nothing is left"


def test_a_second_driver_is_refused_by_name(new_job: Callable[[str], Job]) -> None:
    from distill.lock import FolderLock

    job = new_job("a")
    job.folder.mkdir()
    with FolderLock(job.folder, info={}), pytest.raises(DistillError, match=str(os.getpid())):
        job(10)


def test_weights_that_are_not_the_recipe_s_are_refused_by_the_worker(
    recipe: Recipe, tiny_weights: Path, tmp_path: Path
) -> None:
    fields = json.loads(recipe.to_json())
    fields["generator"]["sha256"] = "f" * 64
    task = ShardTask(
        recipe_json=json.dumps(fields),
        index=0,
        rows=2,
        folder=str(tmp_path),
        source=str(tiny_weights),
        device="cpu",
    )
    with pytest.raises(DistillError, match="give every worker the same weights"):
        make_shard(task)


@pytest.mark.cluster
def test_worker_processes_make_the_same_bytes(new_job: Callable[[str], Job]) -> None:
    here, there = new_job("here"), new_job("there")
    here(10)
    there(10, cluster="local", workers=2)
    assert there.accepted == 10
    assert there.tree() == here.tree()


@pytest.mark.cluster
def test_a_dask_worker_that_was_started_elsewhere_finds_files_given_relative_to_here(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tiny_weights.parent)
    request = GenerateRequest(
        task=RECIPES["style-mix"],
        n=2,
        generator=tiny_weights.name,
        out=tmp_path / "a",
        choices=TaskChoices(align="none", shard_size=4),
        device="cpu",
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    with LocalCluster(n_workers=0, dashboard_address=None) as scheduler:
        words = (
            "dask",
            "worker",
            scheduler.scheduler_address,
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
        )
        worker = subprocess.Popen([sys.executable, "-m", *words], cwd=elsewhere, stderr=subprocess.DEVNULL)
        try:
            run_job(prepare(replace(request, cluster=scheduler.scheduler_address)))
        finally:
            worker.terminate()
            worker.wait()
    assert not verify_folder(tmp_path / "a", full=True).problems


def test_every_file_of_a_request_goes_to_workers_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("smile.toml", "age.onnx", "gender"):
        Path(name).touch()
    assert located("smile.toml") == str(tmp_path / "smile.toml")
    assert located_scorer("face-api=age.onnx") == f"face-api={tmp_path / 'age.onnx'}"
    assert located("gender") == str(tmp_path / "gender"), "a file of that name wins over a shipped direction"
    for name in ("portraits", "portraits-gender", "https://example.org/g.pkl"):
        assert located(name) == name
    assert located_scorer("builtin") == "builtin"
