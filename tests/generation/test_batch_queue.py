"""Worker jobs of batch systems: the scripts that would be submitted, and what is refused before anything is."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from distill.cli.main import run
from distill.errors import DistillError
from distill.generation.batch_queue import JobSettings, settle_jobs
from distill.generation.cluster_worker import gpus_of_job
from distill.generation.interface import choose_interface

pytest.importorskip("dask_jobqueue", reason="needs the extra slurm")

ASKED = {
    "slurm": (
        "#SBATCH -p long",
        "#SBATCH -A lab",
        "#SBATCH -t 04:30:00",
        "#SBATCH --gres=gpu:2",
        "#SBATCH --cpus-per-task=6",
        "#SBATCH --mem=30G",
        "#SBATCH --exclusive",
    ),
    "pbs": (
        "#PBS -q long",
        "#PBS -A lab",
        "#PBS -l walltime=04:30:00",
        "#PBS -l select=1:ncpus=6:mem=32768MB:ngpus=2",
        "#PBS --exclusive",
    ),
    "lsf": (
        "#BSUB -q long",
        '#BSUB -P "lab"',
        "#BSUB -W 04:30",
        '#BSUB -gpu "num=2"',
        "#BSUB -n 6",
        "#BSUB --exclusive",
    ),
    "sge": ("#$ -q long", "#$ -P lab", "#$ -l h_rt=04:30:00", "#$ -l gpu=2", "#$ --exclusive"),
}


def generate(*options: object) -> int:
    return run(["generate", "--task", "style-mix", "--n", "8", "--precision", "fp32", *map(str, options)])


@pytest.mark.parametrize("system", ASKED)
def test_the_dry_run_prints_the_job_script(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = [
        "--cluster",
        system,
        "--adapt",
        "1:8",
        "--queue",
        "long",
        "--account",
        "lab",
        "--walltime",
        "4:30:00",
    ]
    options += [
        "--gpus-per-job",
        "2",
        "--cpus-per-job",
        "6",
        "--memory",
        "32GB",
        "--job-extra",
        "--exclusive",
    ]
    assert generate(*options, "--out", tmp_path / "data", "--dry-run", "--json") == 0
    script = json.loads(capsys.readouterr().out)["job_script"]
    lines = script.splitlines()
    assert [line for line in ASKED[system] if line not in lines] == [], script
    command = next(line for line in lines if line.startswith(sys.executable))
    assert re.search(r"cluster_worker tls://ADDRESS:PORT --name \S+ .*--processes 2 --gpus 2", command)
    assert any(line.startswith("export DASK_CONFIG=") for line in lines), "the workers have a certificate"
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_a_job_of_htcondor_is_its_own_kind_of_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--cluster", "htcondor", "--workers", "4", "--gpus-per-job", "2", "--account", "lab"]
    assert generate(*options, "--job-extra", 'requirements = Machine == "n1"', "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    for line in ("request_gpus = 2", "accounting_group = lab", 'requirements = Machine == "n1"', "Queue"):
        assert line in lines
    assert any(line.startswith("workers     2 HTCondor jobs of 2 GPUs") for line in lines)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--cluster", "slurm"],
            "how many jobs? --workers N for a fixed number of processes, or --adapt MIN:MAX",
        ),
        (["--cluster", "slurm", "--adapt", "4:2"], "--adapt 4:2: MIN must not be above MAX"),
        (["--cluster", "slurm", "--adapt", "2"], "MIN:MAX is needed"),
        (["--cluster", "slurm", "--workers", "2", "--walltime", "4 hours"], "not HOURS:MINUTES:SECONDS"),
        (["--cluster", "slurm", "--workers", "2", "--memory", "much"], "not an amount such as 16GB"),
        (
            ["--cluster", "slurm", "--workers", "2", "--device", "cuda:1"],
            "a job sees the GPUs that it was given",
        ),
        (
            ["--cluster", "slurm", "--workers", "2", "--device", "cpu", "--gpus-per-job", "1"],
            "exclude each other",
        ),
        (["--cluster", "htcondor", "--workers", "2", "--queue", "long"], "HTCondor has none"),
        (["--cluster", "local", "--queue", "long"], "--queue is about the jobs of --cluster slurm|pbs"),
        (["--adapt", "1:2"], "--adapt is about the jobs of --cluster slurm|pbs"),
    ],
)
def test_what_no_batch_system_takes_is_one_line(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate(*options, "--out", tmp_path / "data") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("system", "command"), [("slurm", "sbatch"), ("lsf", "bsub"), ("htcondor", "condor_submit")]
)
def test_a_batch_system_that_is_not_there_is_named_with_its_command(
    system: str,
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert generate("--cluster", system, "--workers", 1, "--out", tmp_path / "data") == 2
    assert f"--cluster {system}: no command {command} here" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_processes_fill_jobs() -> None:
    jobs = settle_jobs("slurm", JobSettings(gpus_per_job=4), workers=10, device="auto")
    assert (jobs.processes, jobs.least, jobs.most, jobs.cores) == (4, 3, 3, 16)
    limited = settle_jobs("slurm", JobSettings(adapt=(2, 64)), workers=10, device="auto")
    assert (limited.least, limited.most) == (2, 10)
    on_cores = settle_jobs("slurm", JobSettings(cpus_per_job=8), workers=8, device="cpu")
    assert (on_cores.gpus, on_cores.processes, on_cores.most) == (0, 8, 1)


def test_each_process_of_a_job_has_a_gpu_of_its_own() -> None:
    assert gpus_of_job(2, "3,GPU-ab") == ["3", "GPU-ab"]
    assert gpus_of_job(2, None) == ["0", "1"]
    assert gpus_of_job(2, "0") == ["0"], "too few: the job says so"
    assert gpus_of_job(0, "0") == []


def test_the_interface_is_the_one_named_or_the_first_usable() -> None:
    there = {"lo": "127.0.0.1", "docker0": "172.17.0.1", "eth0": "10.0.0.5", "ib0": "10.1.0.5"}
    assert choose_interface(there, "").name == "ib0"
    assert choose_interface(there, "eth0").address == "10.0.0.5"
    assert choose_interface({"lo": "127.0.0.1", "docker0": "172.17.0.1"}, "").name == "lo"
    with pytest.raises(
        DistillError, match=r"DISTILL_INTERFACE=ib1: no such interface .* those that are: lo \(127\.0\.0\.1\)"
    ):
        choose_interface(there, "ib1")
    with pytest.raises(DistillError, match="no network interface"):
        choose_interface({"docker0": "172.17.0.1"}, "")
