"""The Python API: lazy, and each function does what the command of its name does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import distill
from distill.cli.main import run
from distill.errors import DistillError


def test_import_costs_nothing() -> None:
    code = (
        "import sys, distill; print([name for name in ('torch', 'h5py', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_name_is_there() -> None:
    assert all(getattr(distill, name) for name in distill.__all__)
    assert set(distill.__all__) <= set(dir(distill))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = distill.nothing


def test_generate_makes_the_bytes_of_the_command(tiny_weights: Path, tmp_path: Path) -> None:
    choices = distill.TaskChoices(seed=2, align="none", shard_size=4)
    data = distill.generate(
        "style-mix",
        n=6,
        out=tmp_path / "a",
        generator=tiny_weights,
        choices=choices,
        device="cpu",
        quiet=True,
    )
    command = (
        f"generate --task style-mix --n 6 --generator {tiny_weights} --seed 2 --align none --shard-size 4"
    )
    assert run([*command.split(), "--device", "cpu", "--cluster", "none", "--out", str(tmp_path / "b")]) == 0
    assert (len(data), data.roles) == (6, ("content", "style", "mixed"))
    for path in (tmp_path / "b").iterdir():
        assert (tmp_path / "a" / path.name).read_bytes() == path.read_bytes(), path.name


def test_generator_draws_what_it_maps(tiny_weights: Path) -> None:
    generator = distill.load_generator(tiny_weights)
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(0))
    images = generator.synthesize(generator.map(z, truncation_psi=0.5))
    assert images.shape == (2, 3, generator.resolution, generator.resolution)


def test_bad_input_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(DistillError, match="unknown task 'mix'; the tasks are"):
        distill.generate("mix", n=1, out=tmp_path / "a")
    with pytest.raises(DistillError, match="n is a whole number"):
        distill.generate("style-mix", n=1.5, out=tmp_path / "a")  # type: ignore[arg-type]
    with pytest.raises(DistillError, match="precision 'half' is not one of auto, fp32"):
        distill.train("stylegan2", data=tmp_path, out=tmp_path / "a", precision="half")  # type: ignore[arg-type]
    with pytest.raises(DistillError, match="no such file"):
        distill.load_student(tmp_path / "nothing.safetensors")
    assert not (tmp_path / "a").exists()
