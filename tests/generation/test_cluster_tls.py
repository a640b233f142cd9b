"""A Dask cluster with certificates: who has its files gives it work, nobody else does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cluster_tasks
import pytest

from distill.errors import DistillError
from distill.generation.cluster import run_on_cluster
from distill.generation.cluster_settings import Patience, TlsFiles, scheduler_address, tls_files
from distill.generation.cluster_tls import CONFIG_FILE, make_private_folder

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.cluster


def files_in(folder: Path) -> TlsFiles:
    return TlsFiles(
        ca=folder / "certificate.pem", certificate=folder / "certificate.pem", key=folder / "key.pem"
    )


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_private_folder(tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def scheduler(private: Path) -> Iterator[str]:
    """The address of a scheduler with one worker, started as the job scripts do."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{TESTS}:{TESTS.parent}",
        "DASK_CONFIG": str(private / CONFIG_FILE),
    }
    file, log = private / "scheduler.json", (private / "log").open("wb")
    dask, quiet = (
        [sys.executable, "-m", "dask.__main__"],
        ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
    )
    commands = [
        ["scheduler", "--interface", "lo", "--port", "0"],
        ["worker", "--nthreads", "1", "--nworkers", "1"],
    ]
    processes = []
    for command in commands:
        words = [*dask, *command, *quiet, "--scheduler-file", str(file)]
        processes.append(subprocess.Popen(words, env=environment, stdout=log, stderr=log))
        deadline = time.monotonic() + 60
        while not (file.exists() and file.stat().st_size):
            assert time.monotonic() < deadline, (private / "log").read_text()
            time.sleep(0.1)
    yield scheduler_address(str(file))
    for process in reversed(processes):
        process.terminate()
        process.wait()
    log.close()


def doubled(address: str, tls: TlsFiles | None) -> list[object]:
    outcomes = run_on_cluster(
        cluster_tasks.double,
        [("a", 1), ("b", 2)],
        cluster=address,
        workers=None,
        devices=(),
        stop=threading.Event(),
        tls=tls,
        patience=Patience(connect_s=10),
    )
    return sorted(outcome.value for outcome in outcomes)  # type: ignore[type-var]


def test_who_has_the_files_gives_work(scheduler: str, private: Path) -> None:
    assert scheduler.startswith("tls://")
    assert doubled(scheduler, files_in(private)) == [2, 4]


def test_a_client_without_the_job_s_certificate_is_refused(scheduler: str, tmp_path: Path) -> None:
    another = files_in(make_private_folder(tmp_path))
    for tls in (None, another):
        with pytest.raises(
            DistillError, match=r"no Dask scheduler answers there .* --tls-ca, --tls-cert and --tls-key"
        ):
            doubled(scheduler, tls)


def test_files_that_do_not_fit_are_named(private: Path, tmp_path: Path) -> None:
    good = files_in(private)
    other = files_in(make_private_folder(tmp_path))
    with pytest.raises(DistillError, match=r"no-such\.pem: no such file"):
        TlsFiles(ca=tmp_path / "no-such.pem", certificate=good.certificate, key=good.key)
    with pytest.raises(
        DistillError, match=r"--tls-cert .* and --tls-key .* are not a certificate and its key"
    ):
        TlsFiles(ca=good.ca, certificate=good.certificate, key=other.key)
    with pytest.raises(DistillError, match=r"--tls-ca .* holds no certificate"):
        TlsFiles(ca=good.key, certificate=good.certificate, key=good.key)
    with pytest.raises(DistillError, match="belong together"):
        tls_files(good.ca, None, good.key, "tls://host:1")
    with pytest.raises(DistillError, match="is for --cluster tls://HOST:PORT"):
        tls_files(good.ca, good.certificate, good.key, "tcp://host:1")
    assert tls_files(None, None, None, None) is None
