"""How many candidates a run draws at once: measured, kept, and never more than memory has room for."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from distill import devices as memory
from distill.errors import DistillError, Interrupted
from distill.generation.batch_size import Probe, Reading, Readings, choose, measure
from distill.stylegan2.facts import teacher_facts
from pipelines import RECIPES

MIB = 1 << 20


def readings(*sizes: tuple[int, float, int], room: int = 8000 * MIB) -> Readings:
    """(size, seconds, MiB) each."""
    found = tuple(Reading(size=size, seconds=seconds, bytes=mib * MIB) for size, seconds, mib in sizes)
    return Readings(sizes=found, room=room, kept=False)


@pytest.fixture
def probe(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    recipe = RECIPES["style-mix"].without_faces().bind(teacher_facts(str(tiny_weights)))
    return Probe(
        recipe_json=recipe.to_json(),
        source=str(tiny_weights),
        device="cpu",
        precision="fp32",
        direction="",
        threads=2,
        workers=1,
        rows=16,
    )


@pytest.mark.parametrize(
    ("seconds", "size"),
    [
        ((1.0, 0.6, 0.4, 0.39), 8),  # the last one is no better
        ((1.0, 1.0, 1.0, 1.0), 2),
        ((1.0, 1.02, 0.9, 0.8), 16),
        ((1.0, 0.99, 1.2, 1.3), 2),
    ],
)
def test_the_smallest_that_is_about_as_fast_as_any_is_chosen(seconds: tuple[float, ...], size: int) -> None:
    measured = readings(*((2 << i, each, 100) for i, each in enumerate(seconds)))
    assert choose(measured, rows=10_000).size == size


def test_what_the_memory_has_no_room_for_is_not_chosen() -> None:
    measured = readings((2, 1.0, 1000), (4, 0.6, 2000), (8, 0.3, 4000), room=3000 * MIB)
    assert choose(measured, rows=10_000).size == 4
    assert choose(replace(measured, room=10), rows=10_000).size == 2, "the smallest may still do"


def test_batches_are_not_large_beside_the_shards_that_they_fill() -> None:
    measured = readings((16, 1.0, 100), (128, 0.9, 200))
    assert choose(measured, rows=4096).size == 128
    assert choose(measured, rows=64).size == 16, "most of a batch of 128 would be drawn for nothing"


def test_sizes_are_measured_once_and_the_same_run_reads_them_again(probe: Probe) -> None:
    first = measure(probe, stop=threading.Event())
    assert [item.size for item in first.sizes] == sorted({item.size for item in first.sizes})
    assert first.sizes[0].size == 2
    assert first.sizes[-1].size <= probe.rows
    assert all(item.seconds > 0 and 50 * MIB < item.bytes < first.room for item in first.sizes)
    second = measure(probe, stop=threading.Event())
    assert (second.sizes, first.kept, second.kept) == (first.sizes, False, True)
    assert "measured before" in second.line(choose(second, probe.rows))


def test_workers_share_the_room(probe: Probe) -> None:
    alone = measure(probe, stop=threading.Event()).room
    assert measure(replace(probe, workers=4), stop=threading.Event()).room < alone / 3


def test_what_was_kept_and_cannot_be_read_is_measured_again(probe: Probe, tmp_path: Path) -> None:
    measure(probe, stop=threading.Event())
    (kept,) = (tmp_path / "cache" / "batch-sizes").iterdir()
    kept.write_text("[{")
    assert not measure(probe, stop=threading.Event()).kept
    assert measure(probe, stop=threading.Event()).kept


def test_a_probe_that_fails_says_why_in_one_line(probe: Probe) -> None:
    with pytest.raises(
        DistillError, match=r"no batch size could be measured: .*nobody.*--batch-size"
    ) as caught:
        measure(replace(probe, source="nobody"), stop=threading.Event())
    assert "\n" not in str(caught.value)


def test_measuring_can_be_interrupted(probe: Probe, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted, match="while the batch size was measured"):
        measure(probe, stop=stop)
    assert not (tmp_path / "cache" / "batch-sizes").exists()


def test_a_control_group_limits_the_memory(tmp_path: Path) -> None:
    groups, root = tmp_path / "groups", tmp_path / "fs"
    (root / "job" / "step").mkdir(parents=True)
    (root / "memory.max").write_text("max\n")
    (root / "job" / "memory.max").write_text("1000000\n")
    (root / "job" / "step" / "memory.max").write_text("max\n")
    groups.write_text("4:memory:/elsewhere\n0::/job/step\n")
    assert min(memory.group_limits(groups, root)) == 1_000_000
    assert memory.group_limits(tmp_path / "none", root) == [sys.maxsize]
    assert 0 < memory.usable_memory() < 1 << 50
