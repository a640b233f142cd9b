"""Worker processes that die, refuse, hang on and are stopped: what the driver makes of it."""

from __future__ import annotations

import _thread
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cluster_tasks  # worker processes take over sys.path, so they find it too
import psutil
import pytest

from distill.errors import DistillError
from distill.generation.attempt import Outcome
from distill.generation.cluster import Patience, run_on_cluster

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.cluster

DRIVER = """
import signal, sys, threading
from distill.generation.cluster import run_on_cluster
import cluster_tasks

if __name__ == "__main__":
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    task = {"folder": sys.argv[1], "seconds": float(sys.argv[2])}
    tasks = [(f"shard-{i}", {**task, "name": str(i)}) for i in range(9)]
    outcomes = run_on_cluster(cluster_tasks.slowly, tasks, cluster="local", workers=2, devices=(), stop=stop)
    print(len([outcome for outcome in outcomes if outcome.error is None]))
"""

INTERRUPTED_AT_THE_START = """
import os, signal, sys, threading
from distill.generation import cluster_pools
from distill.generation.cluster import run_on_cluster
import cluster_tasks

start = cluster_pools._Nanny.instantiate

async def interrupted(self):
    os.kill(os.getpid(), signal.SIGINT)
    return await start(self)

if __name__ == "__main__":
    cluster_pools._Nanny.instantiate = interrupted
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tasks = [("shard-0", {"folder": sys.argv[1], "seconds": 600.0, "name": "0"})]
    try:
        list(run_on_cluster(cluster_tasks.slowly, tasks, cluster="local", workers=2, devices=(),
                            stop=threading.Event()))
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("interrupted")
"""


def run(work: Callable[[Any], Any], tasks: list[Any], **options: Any) -> Iterator[Outcome]:
    named = [(f"shard-{index:05d}", task) for index, task in enumerate(tasks)]
    defaults = {"cluster": "local", "workers": 2, "devices": (), "stop": threading.Event()}
    return run_on_cluster(work, named, **{**defaults, **options})


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def slow_tasks(folder: Path, count: int, seconds: float) -> list[dict[str, Any]]:
    return [{"name": str(index), "folder": str(folder), "seconds": seconds} for index in range(count)]


def pids_in(folder: Path) -> list[int]:
    return [int(path.suffixes[-2][1:]) for path in folder.glob("*.pid")]


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Callable[[float], subprocess.Popen[str]]]:
    """Start a driver in a process and a process group of its own."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    started = []

    def start(seconds: float) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path), str(seconds)],
            env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_one_bad_task_does_not_harm_the_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kinds = ["poison", "a", "bug", "b", "refused", "flaky", "broken-disk", "c", "d"]
    before = dict(os.environ)
    started: list[str] = []

    tasks = [{"kind": kind, "folder": str(tmp_path)} for kind in kinds]
    outcomes = list(run(cluster_tasks.misbehave, tasks, on_start=started.append))

    by_kind = {kinds[int(outcome.key.removeprefix("shard-"))]: outcome for outcome in outcomes}
    assert len(outcomes) == len(kinds)
    assert not any(outcome.fatal for outcome in outcomes)
    good = {kind for kind, outcome in by_kind.items() if outcome.error is None and outcome.value == kind}
    assert good == {"a", "b", "c", "d", "flaky"}
    assert by_kind["poison"].error is not None
    assert "killed 4 workers" in by_kind["poison"].error
    assert by_kind["bug"].error is not None
    assert by_kind["bug"].error.startswith("ValueError: seven is not even (cluster_tasks.py:")
    assert "raise ValueError" in by_kind["bug"].trace
    assert by_kind["refused"].error is not None
    assert by_kind["refused"].error.startswith("the recipe asks for 512 px")
    assert by_kind["broken-disk"].error is not None
    assert "the network disk is gone" in by_kind["broken-disk"].error
    tries = {kind: len(list(tmp_path.glob(f"{kind}-*"))) for kind in kinds}
    assert (tries["poison"], tries["flaky"], tries["broken-disk"]) == (4, 3, 3)
    # Once, but for one that a dying worker had already been given: it goes out again.
    once = sum(tries[kind] for kind in ("a", "b", "c", "d", "bug", "refused"))
    assert 6 <= once <= 6 + tries["poison"]
    assert started == ["2 local processes on the CPU"]
    assert dict(os.environ) == before
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "distributed" not in captured.err
    assert "Traceback" not in captured.err


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    tasks = [{"kind": kind, "folder": str(tmp_path)} for kind in ("full", "never", "never")]
    [outcome] = list(run(cluster_tasks.misbehave, tasks, workers=1))
    reason = "/data: no space left; the same command resumes"
    assert outcome == Outcome(key="shard-00000", error=reason, fatal=True, exit_code=4)
    assert not list(tmp_path.glob("never-*"))


def test_devices_stay_with_their_workers_when_both_are_killed_in_the_middle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed: list[int] = []
    listening: set[str] = set()

    def kill_both() -> None:
        wait_for(lambda: len(list(tmp_path.iterdir())) == 2)  # both are at work
        for process in psutil.Process().children():
            listening.update(c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN)
        listening.update(
            c.laddr.ip for c in psutil.Process().net_connections() if c.status == psutil.CONN_LISTEN
        )
        for path in tmp_path.iterdir():
            killed.append(int(path.name))
            os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill_both)
    killer.start()
    devices = ["7", "GPU-aaaa"]
    outcomes = list(run(cluster_tasks.whereabouts, [str(tmp_path)] * 12, workers=None, devices=devices))
    killer.join()

    assert [outcome.error for outcome in outcomes] == [None] * 12
    seen = {(outcome.value["pid"], outcome.value["CUDA_VISIBLE_DEVICES"]) for outcome in outcomes}  # type: ignore[index]
    assert len(killed) == 2
    assert {pid for pid, _ in seen}.isdisjoint(killed)
    assert sorted(device for _, device in seen) == ["7", "GPU-aaaa"]
    threads = {
        outcome.value[f"{name}_NUM_THREADS"] for outcome in outcomes for name in ("OMP", "MKL", "OPENBLAS")
    }  # type: ignore[index]
    assert threads == {"1"}
    assert {outcome.value["MALLOC_ARENA_MAX"] for outcome in outcomes} == {"1"}  # type: ignore[index]
    assert listening == {"127.0.0.1"}
    assert [r.name for r in caplog.records] == ["distill.generation.cluster_pools"] * 2
    assert "ended by signal 9" in caplog.text


def test_stop_lets_running_tasks_finish_and_begins_no_others(tmp_path: Path) -> None:
    stop = threading.Event()
    outcomes = run(cluster_tasks.slowly, slow_tasks(tmp_path, 8, 0.5), stop=stop)
    first = next(outcomes)
    stop.set()
    rest = list(outcomes)
    assert all(outcome.error is None for outcome in [first, *rest])
    assert len(pids_in(tmp_path)) == len([first, *rest]) == len(list(tmp_path.glob("*.done"))) < 8


@pytest.fixture
def hears_interrupts() -> Iterator[None]:
    """Let Ctrl-C raise: a shell starts what it puts into the background deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_interrupts")
def test_an_interrupt_ends_everything_at_once(tmp_path: Path) -> None:
    def interrupt() -> None:
        wait_for(lambda: len(pids_in(tmp_path)) == 2)
        _thread.interrupt_main()

    waiter = threading.Thread(target=interrupt)
    waiter.start()
    with pytest.raises(KeyboardInterrupt):
        list(run(cluster_tasks.slowly, slow_tasks(tmp_path, 3, 600)))
    waiter.join()
    assert all(is_gone(pid) for pid in pids_in(tmp_path))


def test_an_interrupt_while_workers_start_leaves_neither_them_nor_a_traceback(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(INTERRUPTED_AT_THE_START)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "interrupted\n", "")
    wait_for(lambda: not running_in_session(process.pid))


def running_in_session(leader: int) -> list[int]:
    """List the processes that a session still has."""
    found = []
    for pid in psutil.pids():
        try:
            found += [pid] if os.getsid(pid) == leader and not is_gone(pid) else []
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def test_running_tasks_are_given_up_after_the_grace_period(tmp_path: Path) -> None:
    stop = threading.Event()

    def press_stop() -> None:
        wait_for(lambda: pids_in(tmp_path))
        stop.set()

    presser = threading.Thread(target=press_stop)
    presser.start()
    tasks = slow_tasks(tmp_path, 2, 600)
    assert list(run(cluster_tasks.slowly, tasks, workers=1, stop=stop, patience=Patience(grace_s=0.3))) == []
    presser.join()
    assert all(is_gone(pid) for pid in pids_in(tmp_path))


def test_ctrl_c_in_the_terminal_does_not_reach_running_tasks(tmp_path: Path, driver: Any) -> None:
    process = driver(1.0)
    wait_for(lambda: len(pids_in(tmp_path)) == 2)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, "2\n", "")
    assert len(list(tmp_path.glob("*.done"))) == 2


def test_no_worker_outlives_a_killed_driver(tmp_path: Path, driver: Any) -> None:
    process = driver(600.0)
    wait_for(lambda: len(pids_in(tmp_path)) == 2)
    process.kill()
    process.wait()
    wait_for(lambda: all(is_gone(pid) for pid in pids_in(tmp_path)), seconds=10)


def test_an_address_without_a_scheduler_is_refused() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DistillError, match=f"{address}: no Dask scheduler answers"):
            list(run(cluster_tasks.double, [1], cluster=address, patience=Patience(connect_s=0.5)))
    with pytest.raises(DistillError, match=f"{address}: no Dask scheduler answers"):
        list(run(cluster_tasks.double, [1], cluster=address, patience=Patience(connect_s=0.5)))


@pytest.mark.parametrize(
    "content", [None, "{", "[]", "{}", '{"address": "inproc://1"}', '{"address": "tcp://a:b"}']
)
def test_a_bad_scheduler_file_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "scheduler.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DistillError, match=r"scheduler\.json"):
        list(run(cluster_tasks.double, [1], cluster=str(path)))


@pytest.mark.parametrize("cluster", ["", "lokal", "tcp://host", "http://host:1", "tls://host:99999"])
def test_an_unknown_cluster_is_refused(cluster: str) -> None:
    with pytest.raises(DistillError, match=r"not one of local, none, tcp://"):
        list(run(cluster_tasks.double, [1], cluster=cluster))


def test_a_scheduler_elsewhere_is_used_once_it_has_workers(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    path = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask.__main__"]
    ports = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
    quiet = {"env": environment, "stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "cwd": tmp_path}
    processes = [subprocess.Popen([*dask, "scheduler", *ports, "--scheduler-file", str(path)], **quiet)]
    try:
        wait_for(path.exists)
        wait_for(path.read_text)
        with pytest.raises(DistillError, match=r"no worker has joined tcp://127.0.0.1:\d+ within 0 s"):
            list(run(cluster_tasks.double, [1], cluster=str(path), patience=Patience(join_s=0.3)))

        address = json.loads(path.read_text())["address"]
        processes.append(
            subprocess.Popen([*dask, "worker", address, "--nthreads", "1", "--no-dashboard"], **quiet)
        )
        outcomes = list(run(cluster_tasks.double, [1, 2, 3], cluster=address, workers=None))
        assert sorted(outcome.value for outcome in outcomes) == [2, 4, 6]  # type: ignore[type-var]

        one_by_one = run(cluster_tasks.slowly, slow_tasks(tmp_path, 3, 0), cluster=address)
        for count, _ in enumerate(one_by_one, 1):
            assert len(list(tmp_path.glob("*.pid"))) == count, "a worker has one task"

        bad = [{"kind": kind, "folder": str(tmp_path)} for kind in ("poison", "fine")]
        results = {o.key: o.error for o in run(cluster_tasks.misbehave, bad, cluster=address)}
        assert results["shard-00001"] is None
        assert results["shard-00000"] is not None
        assert "killed 4 workers" in results["shard-00000"]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


@pytest.mark.slow
def test_kills_and_resumes_change_no_byte(tmp_path: Path) -> None:
    script = TESTS.parent / "benchmarks" / "kill_storm.py"
    numbers = ["--n", "64", "--shard-size", "8", "--worker-kills", "2", "--driver-kills", "2"]
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, str(script), *numbers, "--out", str(tmp_path / "storm"), "--skip-comparison"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 worker kills, 2 driver kills" in done.stdout
    assert "identical" in done.stdout
