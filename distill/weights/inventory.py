"""The networks of the table on this machine: where each is, what is in it, and whether it is what it should be."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from distill.errors import DistillError
from distill.files import file_sha256, path_text, user_path
from distill.schema import parse_json
from distill.weights.fetch import MAX_BYTES, FetchProgress
from distill.weights.registry import (
    WeightsEntry,
    WeightsKind,
    cached_checkpoint,
    entry_of,
    expected_sha256,
    resolve,
    resolve_entry,
    weights_entries,
    weights_folder,
)
from distill.weights.safe_pickle.machine import shown
from distill.weights.safetensors_file import read_tensors

BUFFERS = ("noise_const", "resample_filter", "w_avg")  # tensors that are no parameters
TOLD = ("mapping_lr_multiplier", "conv_clamp", "entry", "w_avg", "noise")  # of the facts of a checkpoint
FORMATS = ("pix2pixhd-generator", "distill-encoder-1")  # of files that say nothing else about a student
STUDENT = "student"  # a text in every file of a trained student, whatever network it is
OK, UNKNOWN = "ok", "no sha256 known"
FEATURES: WeightsKind = "features"  # the kind, and the name of all of them to `distill weights fetch`


def place_of(entry: WeightsEntry) -> dict[str, str]:
    """Return the state of an entry (embedded, fetched, …) and its path."""
    present, absent = ("embedded", "missing") if entry.embedded else ("fetched", "not fetched")
    return {"state": present if entry.path.is_file() else absent, "path": str(entry.path)}


def list_weights() -> list[dict[str, Any]]:
    """Return the facts of every entry: generators, students, encoders, features, scorers."""
    return [
        {**asdict(entry), **place_of(entry)}
        for kind in get_args(WeightsKind)
        for entry in weights_entries(kind)
    ]


def describe_weights(source: str) -> dict[str, Any]:
    """Return what the table says of a name, and what the file says where it is here; of a path the latter.

    Raises DistillError for a source that is unknown or cannot be read.
    """
    entry = entry_of(source)
    if entry is None and "://" not in source and not user_path(source).exists():
        raise DistillError(_unknown(source))
    facts: dict[str, Any] = {}
    if entry:
        facts = {key: value for key, value in asdict(entry).items() if value is not None} | place_of(entry)
        facts["sha256"] = expected_sha256(entry)
        if entry.card:
            facts["card"] = str(weights_folder() / entry.card)
    if entry and entry.kind in ("student", "encoder"):
        facts |= _texts_of(resolve_entry(entry))
    elif entry is None and is_no_generator(user_path(source)):
        path = user_path(source)
        facts |= {"path": str(path), "sha256": file_sha256(path), **_texts_of(path)}
    elif entry is None or (entry.kind == "generator" and entry.path.is_file()):
        path = resolve(source)
        facts |= {"path": str(path), **_facts_of(path)}
    return facts


def entries_to_fetch(source: str) -> list[WeightsEntry]:
    """Return the entry of a name; of "features" all networks that compare images; none for what is no name."""
    if source == FEATURES:
        return weights_entries(FEATURES)
    entry = entry_of(source)
    return [entry] if entry else []


def fetch_entries(
    entries: Sequence[WeightsEntry],
    *,
    progress: Callable[[], AbstractContextManager[FetchProgress]],
    max_bytes: int = MAX_BYTES,
    note: Callable[[str], None],
) -> Iterator[Path]:
    """Fetch all entries that can be fetched and yield where they are; `note` hears at once why one could not be.

    `progress` is asked for anew for each file. Raises DistillError that names all missing ones at the end, and
    DiskFull at once.
    """
    missing: list[WeightsEntry] = []
    for entry in entries:
        try:
            with progress() as shown:
                path = resolve_entry(entry, progress=shown, max_bytes=max_bytes)
        except DistillError as error:
            if error.fatal or len(entries) == 1:
                raise
            note(f"{entry.name}: {error}")
            missing.append(entry)
        else:
            yield path
    if missing:
        places = ", ".join(f"{entry.name} ({entry.path})" for entry in missing)
        raise DistillError(
            f"{len(missing)} of {len(entries)} files are missing: {places}; run the same command again, or fetch"
            " them elsewhere and place each at its path"
        )


def verify_weights(names: Sequence[str]) -> list[dict[str, Any]]:
    """Compare the sha256 of the named weights, without a name of all that are here, with what is known.

    Raises DistillError for a name that the table does not have.
    """
    return [_verified(entry) for entry in _chosen(names)]


def is_fine(result: dict[str, Any]) -> bool:
    return result["state"] in (OK, UNKNOWN)


def _facts_of(path: Path) -> dict[str, Any]:
    from distill.weights.state import layer_names

    checkpoint = cached_checkpoint(path)
    resolution = int(checkpoint.facts["img_resolution"])
    return {
        "format": checkpoint.format,
        "sha256": checkpoint.sha256,
        "resolution": resolution,
        "num_ws": len(layer_names(resolution)) + 1,
        "z_dim": checkpoint.facts["z_dim"],
        "w_dim": checkpoint.facts["w_dim"],
        "mapping_layers": checkpoint.facts["mapping_layers"],
        **{name: _told(checkpoint.facts[name]) for name in TOLD if name in checkpoint.facts},
        "parameters": sum(
            tensor.numel() for name, tensor in checkpoint.state.items() if not name.endswith(BUFFERS)
        ),
    }


def _unknown(source: str) -> str:
    """Say that a source is neither a path nor a name of any kind, and which names are near."""
    names = [str(entry["name"]) for entry in list_weights()]
    near = difflib.get_close_matches(source, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"{path_text(source)}: neither a file nor a name of weights ({', '.join(names)}){hint}"


def is_no_generator(path: Path) -> bool:
    """Tell whether a path is a student or an encoder of distill, by what its header says."""
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    texts = read_tensors(path, keep=lambda name: False)[1]
    return STUDENT in texts or texts.get("format") in FORMATS


def _texts_of(path: Path) -> dict[str, Any]:
    """What a student's or an encoder's file says of itself; JSON in it as its values."""
    texts = read_tensors(path, keep=lambda name: False)[1]
    return {name: _value(text) for name, text in sorted(texts.items())}


def _value(text: str) -> Any:
    try:
        value = parse_json(text.encode())
    except (ValueError, RecursionError):
        return _told(text)
    return value if isinstance(value, dict) else _told(text)


def _told(value: object) -> Any:
    return shown(value, 300) if isinstance(value, str) else value


def _chosen(names: Sequence[str]) -> list[WeightsEntry]:
    if not names:
        entries = (entry for kind in get_args(WeightsKind) for entry in weights_entries(kind))
        return [entry for entry in entries if entry.embedded or entry.path.is_file()]
    chosen = []
    for name in names:
        entry = entry_of(name)
        if entry is None:
            raise DistillError(f"{name!r} is not a name in 'distill weights list'")
        chosen.append(entry)
    return chosen


def _verified(entry: WeightsEntry) -> dict[str, Any]:
    from distill.weights.checkpoint import file_sha256

    expected = expected_sha256(entry)
    found = file_sha256(entry.path) if entry.path.is_file() else None
    if found is None:
        state = "missing"
    elif expected is None:
        state = UNKNOWN
    else:
        state = OK if found == expected else f"sha256 is {found}, expected {expected}"
    return {
        "name": entry.name,
        "path": str(entry.path),
        "state": state,
        "sha256": found,
        "expected": expected,
    }
