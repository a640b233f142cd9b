"""The wheel: small enough for a package index, holds all but the tests, and works outside of a checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import distill

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("distill", "pipelines", "stylegan_weights")
PHOTO = ROOT / "tests" / "golden" / "alignment" / "astronaut.png"
MOST = 64 * 2**20  # bytes


def pip(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = pip("wheel", ROOT, "--no-deps", "--wheel-dir", folder)
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("needs hatchling from a package index, which is not reached")
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed into; what it depends on is that of this Python."""
    folder = tmp_path_factory.mktemp("site")
    installed = pip("install", "--no-deps", "--no-index", "--target", folder, wheel)
    assert installed.returncode == 0, installed.stderr
    return folder


def call(site: Path, place: Path, *words: object) -> str:
    """Run the installed command `distill` in a folder far from the checkout."""
    return python(site, place, str(site / "bin" / "distill"), *map(str, words))


def python(site: Path, place: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=place,
        env={**environment, "PYTHONPATH": str(site), "DISTILL_CACHE": str(place / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_small_and_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    assert wheel.stat().st_size < MOST
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    wanted = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert held == wanted
    assert f"distill-{distill.__version__}-" in wheel.name


def test_installed_elsewhere_it_makes_data_and_runs_a_student(site: Path, tmp_path: Path) -> None:
    where = python(
        site, tmp_path, "-c", "import distill, pipelines; print(distill.__file__, pipelines.__file__)"
    )
    assert [Path(path).parents[1] for path in where.split()] == [site, site]
    assert call(site, tmp_path, "--version") == f"distill {distill.__version__}\n"
    verified = json.loads(call(site, tmp_path, "weights", "verify", "--json"))
    assert len(verified) >= 10
    call(site, tmp_path, "generate", "--task", "style-mix", "--n", 2, "--out", "data", "--device", "cpu")
    assert "all fine" in call(site, tmp_path, "verify", "data", "--full")
    call(site, tmp_path, "translate", PHOTO, "--model", "ageing", "--out", "older", "--device", "cpu")
    assert (tmp_path / "older" / "astronaut.png").is_file()
    assert "portraits-age" in call(site, tmp_path, "directions", "list")
