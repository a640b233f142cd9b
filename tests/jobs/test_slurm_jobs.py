"""The job scripts on a real SLURM of two nodes, which runs on this machine for as long as these tests."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cluster_tasks
import pytest
from distributed.comm.core import connect
from intruder import careless_context
from slurm_host import PATIENCE_S, ROOT, SlurmHost, cancel_all, missing, slurm_host, wait_for
from triplet_sets import make_triplets

from distill.cli.main import run
from distill.generation.batch_queue import JobSettings, settle_jobs
from distill.generation.cluster import run_on_cluster
from distill.generation.cluster_settings import Patience, scheduler_address
from distill.generation.cluster_tls import security_of

JOBS = ROOT / "pipelines" / "jobs"
WHY_NOT = missing()

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

SMALL = ("--cpus-per-task=1", "--time=10")
TRAIN = ["--set", "ngf=4", "--set", "downsamplings=1", "--set", "blocks=1", "--set", "ndf=4", "--batch", "8"]
TRAIN += ["--perceptual", "none", "--features", "none", "--precision", "fp32", "--device", "cpu"]
TRAIN += ["--norm", "instance", "--decay-epochs", "0", "--warm-up-epochs", "0", "--tick-kimg", "0.016"]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmHost]:
    with slurm_host(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_runs_on(host: SlurmHost) -> Iterator[None]:
    """A job that a failed test leaves behind would keep its nodes from the tests after it."""
    yield
    cancel_all(host)


@pytest.fixture(scope="module")
def choices(tiny_weights: Path) -> list[str]:
    """What to generate, but for where."""
    options = {"task": "style-mix", "generator": tiny_weights, "align": "none", "device": "cpu", "n": 80}
    options |= {"precision": "fp32", "batch-size": 4, "shard-size": 4}
    return [str(word) for name, value in options.items() for word in (f"--{name}", value)]


@pytest.fixture(scope="module")
def expected(choices: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a data set that was made in one process, without SLURM."""
    out = tmp_path_factory.mktemp("alone") / "data"
    assert run(["generate", *choices, "--cluster", "none", "--out", str(out)]) == 0
    return files_of(out)


def files_of(folder: Path) -> dict[str, str]:
    """All files but the one that names the machine, by their sha256."""
    kept = ("manifest.json", "recipe.json")
    names = [path for path in sorted(folder.iterdir()) if path.name.startswith("shard-") or path.name in kept]
    return {path.name: sha256_of(path) for path in names}


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_same(folder: Path, expected: dict[str, str]) -> None:
    files = files_of(folder)
    assert files == expected
    print(f"{len(files)} files are byte for byte those of a run without SLURM; sha256:")
    print(*(f"  {digest}  {name}" for name, digest in files.items()), sep="\n")


def scheduler_file() -> Path | None:
    files = ROOT.glob(".distill-cluster-*/scheduler.json")
    return next((file for file in files if file.stat().st_size), None)


def assert_only_the_job_is_answered(file: Path) -> None:
    """The scheduler talks to whoever has the certificate of the job, and to nobody else."""
    address = scheduler_address(str(file))
    shake_hands(address, **security_of(file.parent).get_connection_args("client"))
    with pytest.raises(OSError, match=re.escape(address)) as refused:
        shake_hands(address, ssl_context=careless_context())
    print(f"a client without the job's certificate: {refused.value} ({refused.value.__cause__})")


def shake_hands(address: str, **connection: Any) -> None:
    """Connect to a Dask scheduler. Raises OSError where it refuses to talk."""

    async def come_and_go() -> None:
        comm = await connect(address, timeout=20, **connection)
        await comm.close()

    asyncio.run(come_and_go())


def test_two_nodes_make_the_same_bytes_without_a_named_interface(
    host: SlurmHost, choices: list[str], expected: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "data"
    script = JOBS / "slurm_nodes.sbatch"
    job, log = host.submit(script, [*choices, "--out", str(out)], "--gpus-per-node=1", *SMALL)
    assert_only_the_job_is_answered(wait_for(scheduler_file, what=log.read_text))
    assert host.end_of(job, log) == "COMPLETED", log.read_text()
    assert "the Dask scheduler is on" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert_same(out, expected)
    assert not list(ROOT.glob(".distill-cluster-*")), "the certificates of the job are gone"


def test_an_interface_that_is_not_there_ends_the_job_at_once(
    host: SlurmHost, choices: list[str], tmp_path: Path
) -> None:
    script, options = JOBS / "slurm_nodes.sbatch", ("--gpus-per-node=1", *SMALL)
    job, log = host.submit(
        script, [*choices, "--out", str(tmp_path / "data")], "--export=ALL,DISTILL_INTERFACE=ib9", *options
    )
    assert host.end_of(job, log, seconds=30) == "FAILED"
    assert "DISTILL_INTERFACE=ib9: no such interface" in log.read_text()


def test_a_training_on_two_nodes_is_queued_again_and_ends_with_the_same_weights(
    host: SlurmHost, tmp_path: Path
) -> None:
    data = make_triplets(tmp_path / "data", rows=64, per_shard=32)
    options = [*TRAIN, "--data", str(data), "--constant-epochs", "12", "--val-fraction", "0.25"]
    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    reference = subprocess.Popen(
        [*torchrun, "-m", "distill", "train-pix2pix", *options, "--out", str(whole)],
        env=host.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    job, log = host.submit(
        JOBS / "slurm_train.sbatch",
        ["pix2pix", *options, "--out", str(interrupted)],
        "--nodes=2",
        "--gpus-per-node=1",
        *SMALL,
    )
    stats = interrupted / "stats.jsonl"
    wait_for(lambda: stats.exists() and stats.stat().st_size, what=log.read_text)
    host.call("scancel", "--batch", "--signal=USR1", job)
    assert host.end_of(job, log) == "COMPLETED", log.read_text()
    words = log.read_text()
    assert host.facts(job)["Restarts"] == "1", words
    assert "--resume goes on from there" in words
    assert "Traceback" not in words
    assert reference.wait(PATIENCE_S) == 0
    weights = [sha256_of(folder / "student.safetensors") for folder in (interrupted, whole)]
    assert weights[0] == weights[1]
    print(f"student.safetensors, requeued and without SLURM; sha256: {weights[0]}, {weights[1]}")


def test_a_chain_whose_first_job_is_warned_and_queued_again(
    host: SlurmHost, choices: list[str], expected: dict[str, str], tmp_path: Path
) -> None:
    options = {"GENERATE": "--gpus=1", "TRAIN": "--gpus-per-node=1", "EVALUATE": "--gpus=1"}
    more = {f"DISTILL_{name}_JOB": f"{gpus} {' '.join(SMALL)}" for name, gpus in options.items()}
    train = ["pix2pix", *TRAIN, "--constant-epochs", "0.5"]
    evaluate = ["--device", "cpu", "--features", "none", "--perceptual", "none", "--faces", "0"]
    command = [str(JOBS / "slurm_chain.sh"), str(tmp_path), *choices, "--", *train, "--", *evaluate]
    done = subprocess.run(
        command, env={**host.environment, **more}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    print("$", shlex.join(command), "\n" + done.stdout)
    first, second, third = re.findall(r": job (\d+)", done.stdout)
    assert first in host.facts(second)["Dependency"]
    logs = [tmp_path / f"slurm-{job}.out" for job in (first, second, third)]
    data = tmp_path / "data"
    wait_for(lambda: data.is_dir() and list(data.glob("*.h5")), what=logs[0].read_text)
    host.call("scancel", "--batch", "--signal=USR1", first)  # what --signal=B:USR1@120 does near the end
    states = [host.end_of(job, log) for job, log in zip((first, second, third), logs, strict=True)]
    assert states == ["COMPLETED"] * 3
    assert host.facts(first)["Restarts"] == "1"
    assert "interrupted: " in logs[0].read_text()
    assert_same(data, expected)
    assert (tmp_path / "student" / "evaluation" / "evaluation.md").is_file()


WORKERS = ("--cluster", "slurm", "--memory", "900MB", "--walltime", "0:10:00", "--cpus-per-job", "1")


def jobs_of(host: SlurmHost, state: str) -> list[str]:
    return host.call("squeue", "-h", "--name=distill", f"--states={state}", "-o", "%i", told=False).split()


def test_a_node_that_dies_costs_the_shard_in_work_alone(
    host: SlurmHost,
    choices: list[str],
    expected: dict[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    out = tmp_path / "data"
    command = [
        sys.executable,
        "-m",
        "distill",
        "generate",
        *choices,
        *WORKERS,
        "--adapt",
        "1:2",
        "--out",
        str(out),
    ]
    with (tmp_path / "log").open("wb") as log:
        driver = subprocess.Popen(command, env=host.environment, cwd=tmp_path, stdout=log, stderr=log)
    printed = (tmp_path / "log").read_text
    request.addfinalizer(lambda: (driver.kill(), driver.wait()))
    wait_for(lambda: driver.poll() or len(jobs_of(host, "RUNNING")) == 2, what=printed)
    wait_for(lambda: driver.poll() or (out.is_dir() and list(out.glob("*.h5"))), what=printed)
    print("$", shlex.join(command))
    host.call("squeue", "--long")
    host.call("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test")
    request.addfinalizer(lambda: host.call("scontrol", "update", "NodeName=n2", "State=RESUME"))
    assert driver.wait(PATIENCE_S) == 0, printed()
    assert_same(out, expected)
    assert jobs_of(host, "PENDING,RUNNING") == [], "the jobs end with the run"
    assert not list(tmp_path.glob(".distill-cluster-*"))
    assert "1 to 2 SLURM jobs of 1 CPU core" in printed()
    print(printed())


def test_a_job_that_has_ended_is_replaced(
    host: SlurmHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in host.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}:{os.environ['PYTHONPATH']}")
    monkeypatch.chdir(tmp_path)
    settings = JobSettings(adapt=(1, 1), memory="900MB", walltime="0:10:00", cpus_per_job=1)
    tasks = [(f"task-{i}", {"name": str(i), "folder": str(tmp_path), "seconds": 1.0}) for i in range(4)]
    outcomes = run_on_cluster(
        cluster_tasks.slowly,
        tasks,
        cluster="slurm",
        workers=None,
        devices=(),
        stop=threading.Event(),
        jobs=settle_jobs("slurm", settings, workers=None, device="cpu"),
        patience=Patience(lost_s=1.0, join_s=PATIENCE_S),
    )
    results = [next(outcomes)]
    (first,) = jobs_of(host, "RUNNING")
    host.call("scancel", first)
    results += list(outcomes)
    assert [outcome.error for outcome in results] == [None] * 4
    assert len(list(tmp_path.glob("*.pid"))) <= 5, "one task at most was begun twice"
    assert jobs_of(host, "PENDING,RUNNING") == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--queue", "nowhere"],
            "sbatch refused the job: invalid partition specified: nowhere; Batch job submission failed: Invalid",
        ),
        (["--account", "me", "--job-extra", "--constraint=h100"], "sbatch refused the job:"),
    ],
)
def test_a_job_that_slurm_refuses_is_one_line_in_its_own_words(
    host: SlurmHost,
    choices: list[str],
    options: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in host.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "data"
    assert run(["generate", *choices, *WORKERS, "--workers", "1", *options, "--out", str(out)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert words in line
    print(f"distill generate --cluster slurm {shlex.join(options)}: {line}")
    assert list(tmp_path.iterdir()) == []
