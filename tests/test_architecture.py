"""The plan of the house: which room may import which, and that names and sizes stay readable."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(path for top in ("distill", "pipelines") for path in (ROOT / top).rglob("*.py"))
PACKAGE = [path for path in SOURCES if path.is_relative_to(ROOT / "distill")]

# From the roof to the ground floor, which is whatever stands loose in the package.
ROOMS = (
    "cli",
    "serve",
    "evaluation",
    "editing",
    "generation",
    "training",
    "directions",
    "attributes",
    "shards",
    "metrics",
    "faces",
    "stylegan2",
    "networks",
    "weights",
)
ENTRANCES = ("__init__", "__main__")  # of the package: they open the rooms to a user
LOOSE, MODULE, NETWORKS, FUNCTION = 11, 300, 400, 45  # modules on the ground floor; lines


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


def room_of(dotted: str) -> str:
    """The room that a module of the package is in; "" for the ground floor."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else ""


def dotted_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_every_folder_of_the_package_is_a_room():
    folders = {
        path.parent.relative_to(ROOT / "distill").parts[0]
        for path in PACKAGE
        if path.parent.name != "distill"
    }
    assert folders <= set(ROOMS)


def test_imports_go_down_the_list_of_rooms():
    floor = {room: level for level, room in enumerate((*ROOMS, ""))}
    upwards = [
        f"{dotted_name(path)} -> {name}"
        for path in PACKAGE
        if path.stem not in ENTRANCES or path.parent.name != "distill"
        for name in sorted(imports_of(path))
        if name.startswith("distill.") and floor[room_of(name)] < floor[room_of(dotted_name(path))]
    ]
    assert upwards == []


def test_training_and_generation_do_not_know_each_other():
    training = [path for path in PACKAGE if room_of(dotted_name(path)) == "training"]
    generation = [path for path in PACKAGE if room_of(dotted_name(path)) == "generation"]
    assert users_of("distill.generation", among=training) == set()
    assert users_of("distill.training", among=generation) == set()


def test_only_the_command_line_imports_click():
    assert {name for name in users_of("click") if not name.startswith("distill/cli/")} == set()


def test_only_the_command_line_and_the_api_import_the_pipelines():
    users = {name for name in users_of("pipelines") if not name.startswith(("distill/cli/", "pipelines/"))}
    assert users <= {"distill/__init__.py"}


def test_only_the_cluster_modules_import_dask():
    modules = {
        f"distill/generation/{name}.py"
        for name in ("cluster", "cluster_jobs", "cluster_pools", "cluster_tls")
    }
    assert users_of("dask", "distributed", "dask_jobqueue") <= modules


def test_files_are_opened_in_one_place():
    """By a path, the ground floor alone opens files to read them: nothing else knows pipes and devices."""
    h5py_and_safetensors = ("distill.shards.read", "distill.shards.write", "distill.weights.safetensors_file")
    openings = [
        f"{dotted_name(path)}:{node.lineno}"
        for path in PACKAGE
        if path != ROOT / "distill/files.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and opens_by_path(node, dotted_name(path) in h5py_and_safetensors)
    ]
    assert openings == []


def opens_by_path(call: ast.Call, checked: bool) -> bool:
    """`checked`: h5py and safetensors open paths in this module, which asks `check_regular` first."""
    name = ast.unparse(call.func)
    if name in ("h5py.File", "safe_open"):
        return not checked
    first = ast.unparse(call.args[0]) if call.args else "'r'"
    if name == "open" or name.endswith("Image.open"):
        return not first.startswith(("io.BytesIO", "number", "file"))
    of_a_file = name.endswith(".open") and not any(word.arg == "fileobj" for word in call.keywords)
    return name.endswith((".read_text", ".read_bytes")) or (of_a_file and first.startswith("'r"))


def test_nothing_imports_torchvision():
    assert users_of("torchvision") == set()


def test_few_modules_stand_on_the_ground_floor():
    loose = sorted(path.name for path in (ROOT / "distill").glob("*.py"))
    assert len(loose) <= LOOSE, loose


def test_no_public_class_name_is_used_twice():
    places = defaultdict(list)
    for path in PACKAGE:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(dotted_name(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_modules_stay_small():
    long = {}
    for path in PACKAGE:
        lines = len(path.read_text().splitlines())
        if lines > (NETWORKS if "networks" in path.parts or path.stem == "networks" else MODULE):
            long[dotted_name(path)] = lines
    assert long == {}


def test_functions_stay_small():
    long = {
        f"{dotted_name(path)}.{node.name}": lines
        for path in PACKAGE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION
    }
    assert long == {}
