"""A real SLURM on this machine: a controller and two nodes, each with one made-up GPU, below a folder of a test.

Needs slurm-wlm and munge, and root. Nothing outside of the folder is touched; a SLURM that is there stays as it is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scontrol", "squeue", "scancel")
PATIENCE_S = 600.0  # for what takes seconds on an idle machine
NODES = {"n1": "/dev/null", "n2": "/dev/zero"}  # each GPU needs a device of its own

CONF = """\
ClusterName=distill
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
MpiDefault=none
GresTypes=gpu
JobRequeue=1
KillWait=2
MinJobAge=600
ReturnToService=1
{nodes}
PartitionName=debug Nodes=ALL Default=YES MaxTime=60 State=UP
"""


@dataclass(frozen=True, kw_only=True)
class SlurmHost:
    """A running SLURM; `environment` is what its commands need."""

    folder: Path
    environment: Mapping[str, str]

    def call(self, *command: str, told: bool = True) -> str:
        """Run a command of SLURM; return what it printed, and add both to the transcript unless it only looks."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        if told:
            print(f"$ {shlex.join(command)}\n{done.stdout}", end="")
        return done.stdout.strip()

    def submit(self, script: Path, arguments: Sequence[str], *options: str) -> tuple[str, Path]:
        """Submit a job script; return the job's number and the file of its output."""
        log = self.folder / f"{script.stem}-{time.monotonic_ns()}.log"
        job = self.call("sbatch", "--parsable", f"--output={log}", *options, str(script), *arguments)
        return job, log

    def facts(self, job: str) -> dict[str, str]:
        """Return what SLURM says of a job."""
        words = self.call("scontrol", "--oneliner", "show", "job", job, told=False).split()
        return {name: value for name, _, value in (word.partition("=") for word in words)}

    def end_of(self, job: str, log: Path, *, seconds: float = PATIENCE_S) -> str:
        """Wait for a job to end; return its state."""
        state = wait_for(
            lambda: state if (state := self.facts(job)["JobState"]) not in WORKING else "",
            seconds=seconds,
            what=lambda: f"{self.facts(job)}\n{log.read_text() if log.exists() else ''}",
        )
        facts = self.facts(job)
        told = ", ".join(
            f"{name} {facts.get(name)}" for name in ("NodeList", "Restarts", "ExitCode", "RunTime")
        )
        print(f"job {job}: {state}; {told}; its output:\n{log.read_text() if log.exists() else ''}")
        return state


WORKING = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED")


def wait_for(condition: Callable[[], T], *, seconds: float = PATIENCE_S, what: Callable[[], str] = str) -> T:
    """Return the first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s\n{what()}"
        time.sleep(0.2)
    return value


def missing() -> str:
    """Say why no SLURM can run here; "" where one can."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=search_path())]
    if absent:
        return f"needs slurm-wlm and munge: no {absent[0]} here"
    return "" if os.geteuid() == 0 else "only root can start a SLURM"


def search_path() -> str:
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"


@contextmanager
def slurm_host(folder: Path) -> Iterator[SlurmHost]:
    """Start munge, a controller and two nodes; stop them, and what runs there, at the end."""
    environment = {
        **os.environ,
        "PATH": search_path(),
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "DISTILL_VENV": str(Path(sys.executable).parents[1]),
        "OMP_NUM_THREADS": "1",
    }
    write_configuration(folder)
    host = SlurmHost(folder=folder, environment=environment)
    with ExitStack() as stack:
        start_munge(folder / "munge", environment, stack)
        stack.enter_context(daemon(["slurmctld", "-D", "-c"], environment, folder))
        for node in NODES:
            stack.enter_context(daemon(["slurmd", "-D", "-N", node], environment, folder))
        stack.callback(cancel_all, host)
        wait_for(
            lambda: host.call("sinfo", "-h", "-N", "-o", "%T", told=False).split() == ["idle", "idle"],
            what=lambda: "".join(path.read_text()[-3000:] for path in folder.glob("*.log")),
        )
        yield host


def write_configuration(folder: Path) -> None:
    name, ports = socket.gethostname(), free_ports(3)
    lines = [
        f"NodeName={node} NodeHostname={name} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=2000 Gres=gpu:1"
        for node, port in zip(NODES, ports[1:], strict=True)
    ]
    conf = CONF.format(host=name, folder=folder, controller=ports[0], nodes="\n".join(lines))
    (folder / "slurm.conf").write_text(conf)
    devices = [f"NodeName={node} Name=gpu File={device}\n" for node, device in NODES.items()]
    (folder / "gres.conf").write_text("".join(devices))
    (folder / "cgroup.conf").write_text("")
    (folder / "state").mkdir()


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def start_munge(folder: Path, environment: Mapping[str, str], stack: ExitStack) -> None:
    folder.mkdir(mode=0o700)
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    files = [f"--{name}={folder / name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
    command = ["munged", "--foreground", "--force", f"--key-file={key}", *files]
    stack.enter_context(daemon(command, environment, folder.parent))
    wait_for((folder / "socket").exists, seconds=10)


@contextmanager
def daemon(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{command[0]}{command[-1][:3]}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()


def cancel_all(host: SlurmHost) -> None:
    with suppress(AssertionError):
        host.call("scancel", "--quiet", "--full", "--signal=KILL", "--user=root", told=False)
        host.call("scancel", "--quiet", "--user=root", told=False)
        wait_for(lambda: not host.call("squeue", "-h", told=False), seconds=15)
