"""Which part of the project may import which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(path for top in ("distill", "pipelines") for path in (ROOT / top).rglob("*.py"))
GENERATION = ("distill.generation",)


def imports_of(path: Path) -> set[str]:
    """Every dotted name that a file imports, anywhere in it; `from a import b` counts as a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def users_of(*packages: str, among: list[Path] = SOURCES) -> set[str]:
    """Files that import one of the packages or something inside it."""
    prefixes = tuple(f"{package}." for package in packages)
    return {
        str(path.relative_to(ROOT))
        for path in among
        if any(name in packages or name.startswith(prefixes) for name in imports_of(path))
    }


@pytest.mark.parametrize("package", ["click", "pipelines"])
def test_only_the_command_line_imports(package):
    users = {name for name in users_of(package) if not name.startswith(("distill/cli/", f"{package}/"))}
    assert users == set()


def test_only_the_cluster_modules_import_dask():
    modules = {f"distill/generation/{name}.py" for name in ("cluster", "cluster_pools", "cluster_tls")}
    assert users_of("dask", "distributed", "dask_jobqueue") <= modules


def test_nothing_imports_torchvision():
    assert users_of("torchvision") == set()


def test_training_and_generation_do_not_know_each_other():
    training = [path for path in SOURCES if path.is_relative_to(ROOT / "distill" / "training")]
    assert users_of(*GENERATION, among=training) == set()
    generation = [path for path in SOURCES if path.is_relative_to(ROOT / "distill" / "generation")]
    assert users_of("distill.training", among=generation) == set()
