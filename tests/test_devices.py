from __future__ import annotations

import pytest
import torch

from distill.devices import resolve_device, split_device_list, visible_devices, worker_devices
from distill.errors import DistillError

UUID = "GPU-5ebe9f43-ac33-454b-8b1c-c2b8e0b9a3a1"
MIG = "MIG-83c7e5d1-6a0f-53bb-8f0e-1c4d5a2b9f10"


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0", ["0"]),
        ("2,3", ["2", "3"]),
        (" 3 , 1", ["3", "1"]),
        ("0,-1,1", ["0"]),
        (f"{UUID},GPU-aaaa", [UUID, "GPU-aaaa"]),
        (f"{MIG},MIG-GPU-aaaa/1/0", [MIG, "MIG-GPU-aaaa/1/0"]),
        (f"0,{UUID}", ["0"]),
        (f"{UUID},1", [UUID]),
    ],
)
def test_a_list_is_split_and_not_renumbered(listed: str, names: list[str]) -> None:
    assert split_device_list(listed) == names


def test_gpus_that_a_torch_without_cuda_cannot_use_are_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for listed, times in (("", 0), ("-1", 0), ("4,5", 1)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
        assert [resolve_device("auto"), resolve_device("auto")] == ["cpu", "cpu"]
        assert caplog.text.count("was built without CUDA") == times


@pytest.mark.parametrize("listed", ["1,1", "0,2,0", f"{UUID},{UUID}"])
def test_a_device_named_twice_is_refused(listed: str) -> None:
    with pytest.raises(DistillError, match="twice"):
        split_device_list(listed)


@pytest.mark.parametrize(
    ("listed", "count", "names"),
    [
        (None, 2, ["0", "1"]),
        ("2,3", 2, ["2", "3"]),
        (f"{MIG}", 1, [MIG]),
        ("5,9", 1, ["5"]),  # CUDA ends the list at a device that is not there
        ("", 0, []),
        ("-1", 0, []),
    ],
)
def test_an_inherited_list_is_honoured_with_cuda(
    monkeypatch: pytest.MonkeyPatch, listed: str | None, count: int, names: list[str]
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if listed is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_devices() == names


def test_without_cuda_there_are_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert visible_devices() == []


@pytest.mark.parametrize("device", ["mps", "meta", "xpu", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "", "CPU"])
def test_a_device_that_nothing_is_computed_on_is_refused(device: str) -> None:
    with pytest.raises(DistillError, match="is not one of auto, cpu, cuda and cuda:NUMBER"):
        resolve_device(device)


def test_a_gpu_is_one_of_those_that_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [resolve_device(name) for name in ("auto", "cuda", "cuda:1")] == ["cuda", "cuda", "cuda:1"]
    with pytest.raises(DistillError, match="'cuda:2': the GPUs here are cuda:0 to cuda:1"):
        resolve_device("cuda:2")


def test_every_worker_gets_a_device_of_its_own() -> None:
    assert worker_devices(None, ["7", UUID]) == ["7", UUID]
    assert worker_devices(1, ["7", UUID]) == ["7"]
    assert worker_devices(3, []) == ["", "", ""]
    assert worker_devices(None, [])


@pytest.mark.parametrize(("workers", "devices"), [(3, ["0", "1"]), (0, []), (-1, ["0"])])
def test_impossible_numbers_of_workers_are_refused(workers: int, devices: list[str]) -> None:
    with pytest.raises(DistillError, match=f"{workers} workers"):
        worker_devices(workers, devices)
