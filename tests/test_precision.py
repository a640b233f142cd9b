"""Which number format a run gets."""

from __future__ import annotations

import pytest
import torch

from distill.devices import resolve_precision, resolve_training_precision
from distill.errors import DistillError
from distill.stylegan2.load import load_generator
from distill.stylegan2.sampling import CONTENT, sample_z


@pytest.mark.parametrize(
    ("amx", "avx512_bf16", "expected"),
    [(True, False, "bf16"), (False, True, "bf16"), (True, True, "bf16"), (False, False, "fp32")],
)
def test_auto_on_a_cpu_is_what_it_multiplies_in_hardware(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx512_bf16: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_training_precision("auto", "cpu") == expected


def test_auto_for_gpu_workers_does_not_hang_on_a_gpu_being_here() -> None:
    assert resolve_precision("auto", "cuda") == "fp16"


def test_what_is_asked_for_is_taken() -> None:
    assert resolve_precision("bf16", "cpu") == "bf16"
    assert resolve_precision("fp32", "cuda:1") == "fp32"


def test_half_precision_that_cpus_lack_is_refused() -> None:
    with pytest.raises(DistillError, match="fp16 needs a GPU: use bf16 or fp32"):
        resolve_precision("fp16", "cpu")


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(DistillError, match="'int8' is not one of auto, fp32, bf16, fp16"):
        resolve_precision("int8", "cpu")  # type: ignore[arg-type]


def test_bf16_images_of_the_embedded_teacher_stay_within_a_grey_level() -> None:
    exact, fast = (load_generator("portraits", precision=name) for name in ("fp32", "bf16"))
    z = torch.from_numpy(sample_z(0, 0, range(8), (CONTENT,), exact.z_dim)[:, 0])
    ws = exact.map(z, truncation_psi=0.7)
    difference = (exact.synthesize(ws).clamp(-1, 1) - fast.synthesize(ws).clamp(-1, 1)).abs() * 127.5
    assert 0 < difference.mean() < 1
