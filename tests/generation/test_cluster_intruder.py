"""Another user of the machine reaches the ports of a run; none of them may run his code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cluster_tasks
import psutil
import pytest
from distributed import LocalCluster

from distill.cli.main import run
from distill.generation.cluster import run_on_cluster
from distill.generation.cluster_tls import make_private_folder

TESTS = Path(__file__).parents[1]
JOBS = TESTS.parent / "pipelines" / "jobs"
NOBODY = 65534
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "CUDA_VISIBLE_DEVICES": ""}

pytestmark = pytest.mark.cluster
another_user = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


class Intruder:
    """A process of another user."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        command = [sys.executable, str(TESTS / "intruder.py"), str(NOBODY), str(folder)]
        pipe = subprocess.PIPE
        self.folder = folder
        self.process = subprocess.Popen(command, env=ENVIRONMENT, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def attack(self, ports: Sequence[tuple[str, int]]) -> list[tuple[int, str, int]]:
        """Try every port; return the web pages (port, path, status) that were answered."""
        out, _ = self.process.communicate(json.dumps(ports) + "\n", timeout=60)
        return [(port, path, status) for port, path, status in json.loads(out)]

    @property
    def marks(self) -> dict[int, str]:
        """The processes in which its code ran, and as whom."""
        return {int(path.name): path.read_text() for path in self.folder.iterdir()}


@pytest.fixture
def intruder(tmp_path: Path) -> Iterator[Intruder]:
    intruder = Intruder(tmp_path / "marks")
    yield intruder
    intruder.process.kill()
    intruder.process.communicate()


@pytest.fixture(scope="module")
def arguments(tiny_weights: Path) -> list[str]:
    """Of a run that takes some seconds."""
    source = ["--task", "style-mix", "--generator", str(tiny_weights), "--align", "none", "--n", "400"]
    return [*source, "--batch-size", "4", "--shard-size", "20", "--device", "cpu", "--precision", "fp32"]


@pytest.fixture(scope="module")
def undisturbed(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert run(["generate", *arguments, "--cluster", "none", "--out", str(out)]) == 0
    return tree(out)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shards(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name.endswith(".h5")}


def start(command: Sequence[str | Path], folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            list(map(str, command)), env={**ENVIRONMENT, **environment}, cwd=folder, stdout=log, stderr=log
        )


def listening(process: subprocess.Popen[bytes], processes: int) -> list[tuple[str, int]]:
    """(host, port) of whatever listens in the run, once so many of its processes do."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, "the run has ended already"
        ports = [found for found in map(ports_of, family(process.pid)) if found]
        if len(ports) >= processes:
            return sorted({port for found in ports for port in found})
        time.sleep(0.1)
    raise AssertionError(f"{processes} processes should listen, not {len(ports)}")


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def ports_of(process: psutil.Process) -> list[tuple[str, int]]:
    try:
        found = process.net_connections("inet")
    except psutil.NoSuchProcess:
        return []
    return [(c.laddr.ip, c.laddr.port) for c in found if c.status == psutil.CONN_LISTEN]


def reachable(ports: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
    return [(anywhere.get(host, host), port) for host, port in ports]


@another_user
def test_the_intruder_runs_code_through_an_open_scheduler(intruder: Intruder) -> None:
    options = {"n_workers": 0, "processes": False, "protocol": "tcp://", "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(host="127.0.0.1", **options) as cluster:
        host, port = cluster.scheduler_address.removeprefix("tcp://").split(":")
        page = cluster.scheduler.http_server.port
        answered = intruder.attack([(host, int(port)), ("127.0.0.1", page)])
    assert intruder.marks == {os.getpid(): "uid 0"}
    assert (page, "/health", 200) in answered


@another_user
def test_another_user_runs_nothing_through_the_local_engine(
    intruder: Intruder, arguments: list[str], undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "distill", "generate", *arguments, "--workers", "2"]
    with start([*command, "--out", tmp_path / "out"], tmp_path) as process:
        ports = listening(process, 3)
        pages = intruder.attack(ports)
        assert process.poll() is None, "the run should outlast the intruder"
        assert process.wait() == 0, (tmp_path / "log").read_text()
    assert intruder.marks == {}
    assert pages == []
    assert {host for host, _ in ports} == {"127.0.0.1"}
    assert len(ports) == 5, "scheduler, two nannies, two workers"
    assert tree(tmp_path / "out") == undisturbed


@pytest.fixture
def batch_system(tmp_path: Path) -> dict[str, str]:
    """Variables under which the job scripts run everything on this machine."""
    here = tmp_path / "batch"
    here.mkdir()
    for name, lines in {"ssh": 'exec sh -c "$2"', "srun": 'shift\nexec "$@"'}.items():
        (here / name).write_text(f"#!/bin/sh\n{lines}\n")
        (here / name).chmod(0o755)
    path = f"{here}:{os.environ['PATH']}"
    slurm = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "1", "DISTILL_INTERFACE": "lo"}
    return {"DISTILL_VENV": sys.prefix, "PATH": path, **slurm}


@another_user
@pytest.mark.parametrize(
    "script",
    [["dask_hosts.sh", "here"], pytest.param(["slurm_nodes.sbatch"], marks=pytest.mark.slow)],
    ids=lambda script: script[0],
)
def test_another_user_runs_nothing_through_a_job_s_cluster(
    script: list[str],
    batch_system: dict[str, str],
    intruder: Intruder,
    arguments: list[str],
    undisturbed: dict[str, bytes],
    tmp_path: Path,
) -> None:
    command = ["bash", JOBS / script[0], *script[1:], *arguments, "--out", tmp_path / "out"]
    with start(command, tmp_path, **batch_system) as process:
        ports = listening(process, 3)
        pages = intruder.attack(reachable(ports))
        assert process.poll() is None, "the run should outlast the intruder"
        assert process.wait() == 0, (tmp_path / "log").read_text()
    assert intruder.marks == {}
    assert {status for _, _, status in pages} <= {404}, "Dask serves pages unasked: none is left on them"
    assert shards(tree(tmp_path / "out")) == shards(undisturbed)  # beside them stands where they were drawn
    assert not list(tmp_path.glob(".distill-cluster-*"))


def test_no_other_user_can_enter_the_folder_of_certificates(tmp_path: Path) -> None:
    folder = make_private_folder(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def shared_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /tmp in which someone else has been first with the folder that Dask would use."""
    shared = tmp_path / "tmp"
    for path, mode in ((shared, 0o1777), (shared / "dask-scratch-space", 0o777)):
        path.mkdir()
        path.chmod(mode)
    monkeypatch.setenv("TMPDIR", str(shared))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return shared


def test_nothing_is_imported_from_where_other_users_write(shared_tmp: Path) -> None:
    seen: list[dict[str, int]] = []
    before = list(sys.path)
    outcomes = run_on_cluster(
        cluster_tasks.import_paths_below,
        [("worker", str(shared_tmp))],
        cluster="local",
        workers=1,
        devices=(),
        stop=threading.Event(),
        on_start=lambda where: seen.append(cluster_tasks.import_paths_below(str(shared_tmp))),
    )
    seen += [outcome.value for outcome in outcomes]
    assert [list(found.values()) for found in seen] == [[0o700], [0o700]], "of the driver and of its worker"
    assert sys.path == before
    assert [path.name for path in shared_tmp.iterdir()] == ["dask-scratch-space"]
