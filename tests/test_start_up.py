"""What a command imports before it works: torch and little else."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "dask",
    "distributed",
    "gradio",
    "matplotlib.figure",
    "onnx",
    "onnxruntime",
    "pandas",
    "requests",
    "scipy",
    "skimage",
    "sklearn",
    "sympy",
    "torch._dynamo",
    "torch._inductor",
    "torch.utils.tensorboard",
}


@pytest.mark.parametrize(
    ("modules", "opening"),
    [
        (
            ("distill.cli.translate", "distill.editing.translate"),
            "from distill.networks.student import load_student; load_student('gender-swap')",
        ),
        (
            ("distill.cli.generate", "distill.cli.report", "distill.generation.job", "pipelines"),
            "from distill.stylegan2.load import load_generator; load_generator('portraits')",
        ),
        (("distill.cli.project", "distill.editing.project"), "pass"),
    ],
    ids=["translate", "generate", "project"],
)
def test_a_command_imports_no_library_that_it_does_not_use(modules, opening):
    """Neither as a module nor when weights are opened: tensors on the meta device bring torch's compiler."""
    code = (
        f"import sys, {', '.join(modules)}\n{opening}\n"
        f"print(sorted(set({sorted(HEAVY)}) & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_and_status_do_without_torch(tmp_path):
    code = (
        "import sys\nfrom distill.cli.main import run\n"
        f"codes = [run(['--help']), run(['status', {str(tmp_path / 'none')!r}])]\n"
        "print(codes, sorted({'torch', 'matplotlib', 'scipy', 'dlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 2] []"
