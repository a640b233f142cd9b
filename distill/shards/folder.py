"""A folder of shards: the names of its files, their sidecars, the manifest.

File names are made from a shard's index; no path is ever taken from a file's content.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from distill.errors import DistillError
from distill.files import atomic_write, file_sha256, read_regular, sweep, temporary_files
from distill.progress import command_text
from distill.schema import parse_json
from distill.shards.digest import digest_of
from distill.shards.layout import DIGEST, SCHEMA_VERSION, shard_name

__all__ = [
    "CONDITIONS_FILE",
    "CONDITION_KEYS",
    "EMBEDDED_PREFIX",
    "GOAL_FILE",
    "HELD",
    "MANIFEST_FILE",
    "RECIPE_FILE",
    "ShardReport",
    "manifest_problem",
    "manifest_reports",
    "read_goal",
    "read_json",
    "read_manifest",
    "read_report",
    "require_data_set",
    "shard_indices",
    "shard_is_valid",
    "shard_path",
    "sidecar_path",
    "sweep",
    "temporary_files",
    "write_goal",
    "write_manifest",
]

MANIFEST_FILE, RECIPE_FILE = "manifest.json", "recipe.json"
MAX_COUNT, MAX_REASON = 10**15, 100  # of rows and bytes; letters of why a candidate was dropped
GOAL_FILE = "goal.json"  # how many rows a data set shall have, while it is not complete
EMBEDDED_PREFIX = (
    ".embedded-"  # files of what was found for a shard that is not done: see generation/embed.py
)
CONDITIONS_FILE = "conditions.json"  # how the data set is drawn: see distill/generation/conditions.py
HELD = ("precision", "batch_size", "compiled")  # of the conditions: the same in every shard of a data set
CONDITION_KEYS = (*HELD, "device", "model", "versions")
MANIFEST_FORMAT = "distill-dataset"
MANIFEST_KEYS = ("digest", "dropped", "format", "n", "recipe", "schema_version", "shards", "tried")
SHARD_NAME = re.compile(r"shard-(\d{5,})\.h5")
SIDECAR_NAME = re.compile(r"shard-(\d{5,})\.json")
SHA256 = re.compile(r"[0-9a-f]{64}")
JsonText = str | bytes
MAX_JSON_BYTES = 64 << 20  # a manifest takes about 300 bytes a shard


@dataclass(frozen=True, kw_only=True)
class ShardReport:
    """What a finished shard holds; its sidecar. No clock, host or process id: same shard, same report.

    `bytes` and `sha256` are of the HDF5 file; `tried` counts candidates, `dropped` those of them by reason.
    """

    index: int
    rows: int
    tried: int
    dropped: dict[str, int]
    bytes: int
    sha256: str
    digest: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: JsonText) -> Self:
        """Read a sidecar; raises ValueError for anything that is not one."""
        return cls.from_dict(parse_json(text))

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise ValueError(f"a shard's report has the keys {', '.join(sorted(names))}")
        for name in ("index", "rows", "tried", "bytes"):
            _check_count(name, values[name])
        if not isinstance(values["dropped"], dict):
            raise ValueError("dropped is not an object")
        for reason, count in values["dropped"].items():
            if len(reason) > MAX_REASON or not reason.isprintable():
                raise ValueError(f"dropped names {reason[:40]!a}, which is not a valid reason")
            _check_count(f"dropped.{reason}", count)
        for name, pattern in (("sha256", SHA256), ("digest", DIGEST)):
            if not isinstance(values[name], str) or not pattern.fullmatch(values[name]):
                raise ValueError(f"{name} is not lower-case hex of the right length")
        return cls(**values)


def shard_path(folder: Path, index: int) -> Path:
    return folder / shard_name(index)


def sidecar_path(folder: Path, index: int) -> Path:
    return (folder / shard_name(index)).with_suffix(".json")


def shard_indices(folder: Path, pattern: re.Pattern[str] = SHARD_NAME) -> list[int]:
    """List the indices of the shards (or sidecars) in a folder by file name; other names are left out."""
    found = (pattern.fullmatch(path.name) for path in folder.iterdir())
    indices = {int(match[1]): match[1] for match in found if match}
    return sorted(index for index, digits in indices.items() if digits == f"{index:05d}")


def read_report(folder: Path, index: int) -> ShardReport | None:
    """Return the sidecar of a shard; None when it is absent, unreadable or another shard's."""
    try:
        report = ShardReport.from_json(read_regular(sidecar_path(folder, index), most=MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return report if report.index == index else None


def shard_is_valid(folder: Path, index: int, *, digest: str, rows: int, full: bool = False) -> bool:
    """Tell whether a shard is done: sidecar of this digest and length, file of its size (`full`: sha256)."""
    report = read_report(folder, index)
    if report is None or report.digest != digest or report.rows != rows or not is_there(folder, report):
        return False
    try:
        return not full or file_sha256(shard_path(folder, index)) == report.sha256
    except OSError:
        return False


def is_there(folder: Path, report: ShardReport) -> bool:
    """Tell whether the shard of a sidecar is a file of the size that it says."""
    path = shard_path(folder, report.index)
    try:
        return path.is_file() and path.stat().st_size == report.bytes
    except OSError:
        return False


def write_manifest(
    folder: Path, *, recipe: Mapping[str, Any], digest: str, n: int, reports: Sequence[ShardReport]
) -> None:
    """Write manifest.json, which makes a data set complete; the same data set always gives the same bytes."""
    ordered = sorted(reports, key=lambda report: report.index)
    dropped: Counter[str] = Counter()
    for report in ordered:
        dropped.update(report.dropped)
    manifest = {
        "format": MANIFEST_FORMAT,
        "schema_version": SCHEMA_VERSION,
        "digest": digest,
        "n": n,
        "recipe": dict(recipe),
        "shards": [asdict(report) for report in ordered],
        "tried": sum(report.tried for report in ordered),
        "dropped": dict(dropped),
    }
    text = json.dumps(manifest, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    atomic_write(folder / MANIFEST_FILE, text.encode())
    (folder / GOAL_FILE).unlink(missing_ok=True)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return manifest.json, validated; its `shards` fit `ShardReport.from_dict` and are numbered from 0.

    Raises `DistillError` when the folder is no data set, not complete, or the manifest is broken.
    """
    require_data_set(folder)
    path = folder / MANIFEST_FILE
    if not path.exists():
        raise DistillError(
            f"{path}: missing, so the data set is not complete; run the same command again"
            f" ({command_text('distill', 'status', folder)} shows how far it is)"
        )
    manifest = read_json(path)
    try:
        problem = manifest_problem(manifest)
    except RecursionError:
        problem = "its recipe is nested too deeply"
    if problem:
        raise DistillError(f"{path}: {problem}; where it is only damaged, the same command writes it anew")
    return manifest


def manifest_reports(manifest: Mapping[str, Any]) -> list[ShardReport]:
    return [ShardReport.from_dict(values) for values in manifest["shards"]]


def manifest_problem(manifest: Mapping[str, Any]) -> str | None:
    """Say what is wrong with a manifest, or None."""
    if manifest.get("format") != MANIFEST_FORMAT:
        return f"its format is {manifest.get('format')!r}, not {MANIFEST_FORMAT!r}"
    if manifest.get("schema_version") != SCHEMA_VERSION:
        return (
            f"its schema version is {manifest.get('schema_version')!r}, this distill reads {SCHEMA_VERSION}:"
            " if another version of distill made the data set, make it again in a new folder"
        )
    if not isinstance(manifest.get("recipe"), dict) or not isinstance(manifest.get("shards"), list):
        return "it has no recipe or no list of shards"
    try:
        reports = manifest_reports(manifest)
    except (ValueError, TypeError) as error:
        return f"an entry of its shards is broken ({error})"
    if not reports or [report.index for report in reports] != list(range(len(reports))):
        return "its shards are not numbered 0, 1, 2, ..."
    if any(report.digest != manifest.get("digest") for report in reports):
        return "its shards are of different digests"
    total = sum(report.rows for report in reports)
    if manifest.get("n") != total:
        return f"it promises {manifest.get('n')!r} rows, its shards hold {total}"
    if set(manifest) != set(MANIFEST_KEYS):
        return f"its keys are {', '.join(sorted(manifest))[:200]}, not {', '.join(MANIFEST_KEYS)}"
    if (found := digest_of(manifest["recipe"])) != manifest["digest"]:
        return f"its digest is {manifest['digest']}, that of its recipe {found}: one of them was changed"
    return _sums_problem(manifest)


def _sums_problem(manifest: Mapping[str, Any]) -> str | None:
    """Say which of a manifest's sums over its shards is wrong."""
    dropped = Counter[str]()
    for shard in manifest["shards"]:
        dropped.update(shard["dropped"])
    tried = sum(shard["tried"] for shard in manifest["shards"])
    for key, value in {"tried": tried, "dropped": dict(dropped)}.items():
        if manifest.get(key) != value:
            return f"its {key} is {repr(manifest.get(key))[:60]}, its shards give {value}"
    return None


def write_goal(folder: Path, n: int) -> None:
    """Note how many rows the data set in a folder shall have, until its manifest is written."""
    atomic_write(folder / GOAL_FILE, f"{json.dumps({'n': n})}\n".encode())


def read_goal(folder: Path) -> int | None:
    """Return how many rows the data set that was begun in a folder shall have; None where nothing says it."""
    try:
        n = read_json(folder / GOAL_FILE).get("n")
    except DistillError:
        return None
    return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else None


def require_data_set(folder: Path) -> None:
    """Raise `DistillError` unless the folder exists and holds a recipe."""
    if not folder.is_dir():
        what = "a file, not a folder" if os.path.lexists(folder) else "no such folder"
        raise DistillError(f"{folder}: {what}; give a data set folder")
    if not (folder / RECIPE_FILE).is_file():
        raise DistillError(f"{folder}: no {RECIPE_FILE} in it, so it is not a data set folder")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises `DistillError` with one line for anything else."""
    try:
        value = parse_json(read_regular(path, most=MAX_JSON_BYTES))
    except (OSError, ValueError) as error:
        raise DistillError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(value, dict):
        raise DistillError(f"{path}: a JSON object is expected, it holds {type(value).__name__}")
    return value


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_COUNT:
        raise ValueError(f"{name} is {str(value)[:40]!r}, not a whole number from 0 to {MAX_COUNT}")
