"""Where a run takes place when the user leaves it open, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill.devices import usable_cores
from distill.errors import DistillError
from distill.generation.placement import MAX_DEFAULT_WORKERS, place

CORES = min(usable_cores(), MAX_DEFAULT_WORKERS)


def test_one_shard_needs_no_workers() -> None:
    assert place(cluster=None, workers=None, device="cpu", visible=[], tasks=1).cluster == "none"


def test_a_cpu_machine_gets_a_process_per_core() -> None:
    placement = place(cluster=None, workers=None, device="auto", visible=[], tasks=1000)
    assert placement.workers == CORES
    assert placement.cluster == ("local" if CORES > 1 else "none")


def test_every_visible_gpu_gets_a_process_of_its_own() -> None:
    placement = place(cluster=None, workers=None, device="auto", visible=["3", "GPU-ab"], tasks=9)
    assert (placement.cluster, placement.workers, placement.devices) == ("local", 2, ("3", "GPU-ab"))
    assert placement.device == "cuda"
    assert "2 GPU worker processes" in placement.describe()


def test_fewer_tasks_than_gpus_use_fewer() -> None:
    assert place(cluster="local", workers=None, device="auto", visible=["0", "1"], tasks=1).devices == ("0",)


def test_a_gpu_that_is_named_is_used_from_this_process() -> None:
    placement = place(cluster=None, workers=None, device="cuda:1", visible=[], tasks=9)
    assert (placement.cluster, placement.device) == ("none", "cuda:1")


def test_asking_for_one_worker_starts_one() -> None:
    assert place(cluster=None, workers=1, device="cpu", visible=[], tasks=5).cluster == "local"


def test_an_address_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text('{"address": "tcp://10.0.0.1:8786"}')
    for address in ("tcp://10.0.0.1:8786", "tls://host:1", str(file)):
        assert place(cluster=address, workers=None, device="auto", visible=[], tasks=5).cluster == address


@pytest.mark.parametrize(
    ("cluster", "workers", "visible", "words"),
    [
        ("none", 2, [], "--cluster none"),
        ("local", 3, ["0", "1"], "2 visible GPUs"),
        ("slurms", None, [], "not one of local, none, tcp://HOST:PORT, tls://HOST:PORT"),
        ("slurm", None, [], "--workers N for a fixed number"),
        ("tcp://host", None, [], "not one of local, none"),
        ("not-there.json", None, [], "no such file"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    cluster: str, workers: int | None, visible: list[str], words: str
) -> None:
    with pytest.raises(DistillError, match=words):
        place(cluster=cluster, workers=workers, device="auto", visible=visible, tasks=9)


def test_the_workers_of_a_cluster_get_no_device_of_another_kind() -> None:
    with pytest.raises(DistillError, match="device 'mps' is not one of auto, cpu, cuda"):
        place(cluster="tcp://host:1", workers=None, device="mps", visible=[], tasks=9)
