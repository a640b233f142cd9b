"""The way of a run on a GPU, on one that is not there: the CPU's data, and nothing on the wrong side."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attribute_edits import Redness, bound, generate_small, planted, task_of, write_planted
from pretend_gpu import OnGpu, pretend_gpu
from pretend_streams import faults

from distill.devices import be_reproducible
from distill.faces.detection import FaceDetector
from distill.generation import worker as shard_task
from distill.generation.background import Lane, stream_beside
from distill.generation.batch_probe import held_on, readings, room_on
from distill.generation.batch_size import Probe
from distill.generation.job import Run, Watch, run_job
from distill.generation.plan import plan_job
from distill.generation.recipe import Recipe
from distill.networks.perceptual import NoFeatures
from distill.pixels import HostCopy, to_device
from distill.shards.codec import decode_image
from distill.shards.layout import ShardContent
from distill.shards.write import build_shard
from distill.stylegan2.facts import teacher_facts
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.training.pix2pix.presets import Preset
from distill.training.pix2pix.schedule import Schedule
from distill.training.pix2pix.step import Pix2PixHDStep
from distill.training.place import Place
from distill.training.stylegan2.presets import PRESETS as TEACHERS
from distill.training.stylegan2.step import StyleGAN2Step
from pipelines import RECIPES

CUDA = torch.device("cuda")
START = Place(seed=0, updates=0, samples=0)
LEVELS = {"fp32": 1, "fp16": 1, "bf16": 3}  # grey levels from float32


@pytest.fixture
def gpu() -> Iterator[None]:
    with pretend_gpu():
        yield
        shard_task.teacher_of.cache_clear()
        stream_beside.cache_clear()


def mixes(teacher: Generator, **choices: Any) -> Recipe:
    window = ({"name": "change", "min_ssim": 0.2, "max_ssim": 1.0},)
    base = RECIPES["style-mix"].without_faces().revised(shard_size=4, filters=window)
    return bound(base.revised(crossover="2-6", **choices), teacher)


def pair(
    wanted: Recipe, weights: str | Path, rows: int = 9, **options: Any
) -> tuple[ShardContent, ShardContent]:
    """The same shard from the CPU, and from the GPU by two threads."""
    teachers = [load_generator(weights, device=device, precision="fp32") for device in ("cpu", "cuda")]
    return tuple(
        generate_small(wanted, 1, rows, teacher=teacher, threads=threads, max_candidates=500, **options)
        for teacher, threads in zip(teachers, (1, 2), strict=True)
    )


def assert_near(one: ShardContent, other: ShardContent, *, levels: int = 1) -> None:
    """The same candidates for the same reasons, in the same pictures up to rounding."""
    for name in ("candidate", "reason"):
        np.testing.assert_array_equal(one.tried[name], other.tried[name])
    for role, images in one.images.items():
        pictures = [
            [decode_image(x, one.codec) if isinstance(x, bytes) else x for x in images]
            for images in (images, other.images[role])
        ]
        off = np.stack(pictures[0]).astype(int) - np.stack(pictures[1])
        assert np.abs(off).max() <= levels, role
    for name, values in one.columns.items():
        if name.startswith(("latents/", "params/")):
            np.testing.assert_allclose(values, other.columns[name], atol=1e-5)


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("choices", [{}, {"resolution": 16, "codec": "jpeg", "noise": "none"}])
def test_mixes_are_those_of_the_cpu(tiny_teacher: Generator, tiny_weights: Path, choices: Any) -> None:
    assert_near(*pair(mixes(tiny_teacher, **choices), tiny_weights))


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("task", ["gender-swap", "morph"])
def test_other_tasks_are_those_of_the_cpu(
    tiny_teacher: Generator, tiny_weights: Path, tmp_path: Path, task: str
) -> None:
    if task == "morph":
        assert_near(*pair(bound(task_of(task), tiny_teacher), tiny_weights))
        return
    scorer = Redness(middle=planted(tiny_teacher)[1], width=1.0)
    direction = write_planted(tmp_path / "d.safetensors", tiny_teacher, "gender")
    wanted = bound(task_of(task), tiny_teacher, direction)
    assert_near(*pair(wanted, tiny_weights, 6, direction=direction, scorer=scorer))


@pytest.mark.usefixtures("gpu")
def test_faces_are_found_in_what_the_gpu_drew() -> None:
    base = RECIPES["style-mix"]
    wanted = base.bind(teacher_facts("portraits"), landmarks_sha256=FaceDetector().landmarks_sha256)
    assert_near(*pair(wanted, "portraits"))


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_is_near(tiny_teacher: Generator, tiny_weights: Path, precision: Any) -> None:
    wanted = mixes(tiny_teacher)
    reference = generate_small(wanted, 0, 9, teacher=tiny_teacher)
    teacher = load_generator(tiny_weights, device="cuda", precision=precision)
    one, two = (generate_small(wanted, 0, 9, teacher=teacher, threads=threads) for threads in (1, 2))
    assert build_shard(one) == build_shard(two)
    assert_near(one, reference, levels=LEVELS[precision])


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_what_is_compiled_for_a_gpu_is_near(
    tiny_teacher: Generator, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, precision: Any
) -> None:
    monkeypatch.setattr(
        torch, "compile", lambda function, **_: function
    )  # what it computes, without a compiler
    wanted = mixes(tiny_teacher)
    reference = generate_small(wanted, 0, 9, teacher=tiny_teacher)
    teacher = load_generator(tiny_weights, device="cuda", precision=precision, compiled=True)
    assert_near(generate_small(wanted, 0, 9, teacher=teacher, threads=2), reference, levels=LEVELS[precision])


@pytest.mark.usefixtures("gpu")
def test_a_job_leaves_the_same_files_by_one_thread_and_by_two(
    tiny_teacher: Generator, tiny_weights: Path, tmp_path: Path
) -> None:
    wanted = mixes(tiny_teacher)

    def files(device: str, threads: int) -> dict[str, bytes]:
        folder = tmp_path / f"{device}-{threads}"
        run = Run(source=str(tiny_weights), device=device, threads=threads, batch_size=4)
        run_job(plan_job(wanted, 10, folder), run, stop=threading.Event(), watch=Watch())
        return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    by_one = files("cuda", 1)
    assert by_one == files("cuda", 2)
    assert by_one.keys() == files("cpu", 1).keys()


@pytest.mark.usefixtures("gpu")
def test_shards_share_one_stream_so_that_one_has_the_memory_of_the_last() -> None:
    seen = []
    for _ in range(2):
        with Lane(beside=True, device=CUDA) as lane:
            lane.do(lambda: seen.append(torch.cuda.current_stream()))
    assert seen[0] is seen[1] is not torch.cuda.current_stream()


@pytest.mark.usefixtures("gpu")
def test_workers_have_deterministic_kernels_and_fill_no_buffer_in_vain() -> None:
    be_reproducible()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.usefixtures("gpu")
def test_batch_sizes_are_measured(tiny_teacher: Generator, tiny_weights: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("distill.generation.batch_probe.ENOUGH_S", 0.01)
    wanted = mixes(tiny_teacher)
    facts = {"source": str(tiny_weights), "device": "cuda", "precision": "fp16", "direction": ""}
    probe = Probe(recipe_json=wanted.to_json(), rows=8, threads=2, workers=1, **facts)
    teacher = load_generator(tiny_weights, device="cuda", precision="fp16")
    found = list(readings(probe, wanted, teacher, room=room_on(CUDA, workers=1)))
    assert [reading.size for reading in found] == [2, 4, 8]
    assert all(reading.seconds > 0 and reading.bytes == held_on(CUDA) for reading in found)


def losses(step: Any, batch: torch.Tensor, updates: int) -> list[dict[str, float]]:
    places = [START]
    while len(places) < updates:
        places.append(places[-1].next(len(batch)))
    return [{name: float(x) for name, x in step.update(batch, place).items()} for place in places]


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("half", [torch.float32, torch.bfloat16, torch.float16])
def test_a_student_learns_there(half: torch.dtype) -> None:
    preset = Preset(
        resolution=16, batch=4, ngf=4, downsamplings=1, blocks=1, ndf=4, constant_epochs=1, decay_epochs=1
    )
    preset = replace(preset, augment=("flip", "crop", "colour"), average_kimg=1.0)
    triplets = torch.randint(0, 256, (4, 3, 3, 16, 16), dtype=torch.uint8).pin_memory()

    def step(device: str) -> Pix2PixHDStep:
        schedule = Schedule(lr=1e-3, constant=40, decay=40)
        architecture = preset.architecture(2)
        return Pix2PixHDStep(preset, architecture, NoFeatures(), schedule, seed=3, device=device, half=half)

    there = step("cuda")
    assert_equal_losses(losses(there, triplets, 2), losses(step("cpu"), triplets, 2), half)
    assert all(isinstance(x, OnGpu) for x in there.student.parameters())
    assert there.translate(torch.zeros(1, 6, 16, 16)).device.type == "cuda"


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("half", [torch.float32, torch.bfloat16])
def test_a_teacher_learns_there(half: torch.dtype) -> None:
    eager = {"batch": 4, "r1_every": 2, "path_every": 2, "path_weight": 2.0, "noise": True}
    preset = replace(TEACHERS["tiny"], ada_target=0.1, ada_p=0.5, ada_kimg=0.4, **eager)
    images = torch.rand(4, 3, 8, 8) * 2 - 1
    there, here = (StyleGAN2Step(preset, 8, seed=3, device=device, half=half) for device in ("cuda", "cpu"))
    assert_equal_losses(losses(there, images, 3), losses(here, images, 3), half)
    assert all(isinstance(x, OnGpu) for x in there.average.parameters())
    there.load_state(here.state())
    assert_equal_losses(losses(there, images, 1), losses(here, images, 1), half)


def assert_equal_losses(
    one: list[dict[str, float]], other: list[dict[str, float]], half: torch.dtype
) -> None:
    tolerance = 1e-3 if half is torch.float32 else 0.1
    for there, here in zip(one, other, strict=True):
        assert there == pytest.approx(here, rel=tolerance, abs=tolerance), json.dumps([there, here])


def meets_the_host() -> None:
    torch.ones(3, device="cuda") + torch.ones(3)


def becomes_an_array() -> None:
    torch.ones(3, device="cuda").numpy()


def times_without_waiting() -> None:
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    for event in events:
        event.record()
    events[0].elapsed_time(events[1])


def reads_another_stream() -> None:
    with torch.cuda.stream(torch.cuda.Stream()):
        x = torch.ones(3, device="cuda") * 2
    x + 1


def frees_what_is_used() -> None:
    x = torch.ones(3, device="cuda")
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        y = x + 1
    del x
    torch.cuda.synchronize()
    assert y.tolist() == [2, 2, 2]


def overwrites_what_is_read() -> None:
    source = torch.ones(3).pin_memory()
    source.to("cuda", non_blocking=True)
    source.zero_()


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (meets_the_host, "found cuda:0 and cpu"),
        (becomes_an_array, r"Use Tensor.cpu\(\)"),
        (times_without_waiting, "to be waited for"),
        (reads_another_stream, "has not been waited for"),
        (frees_what_is_used, "another was still using it"),
        (overwrites_what_is_read, "overwritten before"),
    ],
)
def test_the_pretended_gpu_sees_what_a_real_one_would_not_do(act: Callable[[], None], said: str) -> None:
    with pytest.raises((RuntimeError, TypeError), match=said), pretend_gpu():
        act()


@pytest.mark.usefixtures("gpu")
def test_a_copy_to_the_host_is_noise_until_it_is_waited_for() -> None:
    drawn = torch.arange(100, device="cuda", dtype=torch.uint8)
    early = torch.empty(100, dtype=torch.uint8, pin_memory=True).copy_(drawn, non_blocking=True)
    assert not torch.equal(early, torch.arange(100, dtype=torch.uint8))
    copy = HostCopy(drawn)
    assert copy.array().tolist() == list(range(100))
    assert early.tolist() == list(range(100)), "it came before"


@pytest.mark.usefixtures("gpu")
def test_an_upload_may_be_under_way_while_its_source_is_given_back() -> None:
    there = to_device(torch.arange(5), CUDA)
    assert there.device.type == "cuda"
    assert (there * 2).tolist() == [0, 2, 4, 6, 8]
    assert not faults


def test_afterwards_there_is_no_gpu() -> None:
    was = torch.cuda.is_available()
    with pretend_gpu():
        assert torch.cuda.is_available()
    assert torch.cuda.is_available() == was
