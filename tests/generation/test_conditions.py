"""How a data set is drawn: chosen once, recorded, and held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill.errors import DistillError
from distill.generation.conditions import (
    ELSEWHERE,
    ChosenConditions,
    Conditions,
    choose_conditions,
    default_batch_size,
    difference_note,
    library_versions,
    read_conditions,
)

ON_A_GPU: dict[str, Any] = {"precision": "fp16", "batch_size": 32, "compiled": False, "device": "cuda"}


def begun(**changes: Any) -> Conditions:
    return Conditions(**{**ON_A_GPU, "model": "NVIDIA H100", "versions": library_versions(), **changes})


@pytest.mark.parametrize(
    ("device", "resolution", "size"),
    [
        ("cpu", 64, 16),
        ("cpu", 128, 16),
        ("cpu", 256, 4),
        ("cpu", 1024, 4),
        ("cuda", 64, 64),
        ("cuda", 256, 32),
        ("cuda", 512, 16),
        ("cuda", 1024, 8),
    ],
)
def test_the_batch_size_follows_device_and_resolution(device: str, resolution: int, size: int) -> None:
    assert default_batch_size(device, resolution) == size


def test_what_the_user_asks_for_is_recorded_and_read_again(tmp_path: Path) -> None:
    chosen = ChosenConditions(precision="bf16", batch_size=3, compiled=True)
    now = choose_conditions(chosen, None, device="cpu", resolution=1024)
    assert (now.precision, now.batch_size, now.compiled, now.device) == ("bf16", 3, True, "cpu")
    assert now.versions["torch"]
    now.write(tmp_path)
    assert read_conditions(tmp_path) == now
    assert choose_conditions(ChosenConditions(), now, device="cpu", resolution=1024) == now


def test_a_cpu_does_not_go_on_in_fp16_but_workers_elsewhere_may() -> None:
    with pytest.raises(DistillError, match=r"begun in fp16 on NVIDIA H100, which .* cannot draw in"):
        choose_conditions(ChosenConditions(), begun(), device="cpu", resolution=256)
    now = choose_conditions(ChosenConditions(), begun(), device="cpu", resolution=256, elsewhere=True)
    assert (now.precision, now.model) == ("fp16", ELSEWHERE)


def test_what_was_begun_in_fp32_goes_on_anywhere_with_a_line() -> None:
    there = begun(precision="fp32")
    now = choose_conditions(ChosenConditions(), there, device="cpu", resolution=256)
    assert (now.precision, now.batch_size, now.device) == ("fp32", 32, "cpu")
    assert f"NVIDIA H100 -> {now.model}" in difference_note(there, now)
    assert difference_note(there, there) == difference_note(None, now) == ""


def test_a_model_that_is_not_known_is_no_difference() -> None:
    assert difference_note(begun(), begun(model=ELSEWHERE)) == ""


@pytest.mark.parametrize("text", ["{", "[]", '{"precision": "fp64"}'])
def test_a_damaged_record_is_named_with_what_to_do(text: str, tmp_path: Path) -> None:
    (tmp_path / "conditions.json").write_text(text)
    with pytest.raises(DistillError, match=r"conditions\.json: .*remove it"):
        read_conditions(tmp_path)


def test_a_record_that_is_a_folder_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "conditions.json").mkdir()
    with pytest.raises(DistillError, match=r"conditions\.json: .*a folder, not a file.*remove it") as error:
        read_conditions(tmp_path)
    assert "\n" not in str(error.value)
