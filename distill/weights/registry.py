"""The table of known weights, and the way from a name, a path or an address to a file on disk.

Most are generators; a `student` edits images, an `encoder` reads them into a generator's latent space, `features`
compare them, a `scorer` tells what a face shows, a `runtime` runs networks elsewhere. A name stands for one kind.
"""

from __future__ import annotations

import difflib
import functools
import logging
import os
import tomllib
from dataclasses import dataclass, fields, replace
from multiprocessing import parent_process
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlsplit

import distill
from distill.errors import DistillError
from distill.files import read_regular, user_path
from distill.weights.fetch import MAX_BYTES, CappedDownload, FetchProgress, KnownHashes, check_hash, fetch

if TYPE_CHECKING:
    from distill.weights.checkpoint import Checkpoint

log = logging.getLogger(__name__)

NOWHERE = Path(os.devnull) / "distill"
CONVERTED_FROM = "converted_from"  # the fact of a copy in the cache that says what format the original has

WeightsKind = Literal["generator", "student", "encoder", "features", "scorer", "runtime"]


@dataclass(frozen=True, kw_only=True)
class WeightsEntry:
    """One network of `stylegan_weights/manifest.toml`, which says what each field means."""

    name: str
    summary: str
    licence: str
    data_licence: str
    origin: str
    kind: WeightsKind = "generator"
    resolution: int | None = None
    domain: str | None = None
    generator: str | None = None
    file: str | None = None
    url: str | None = None
    content: str | None = None
    sha256: str | None = None
    sha256_source: str | None = None
    card: str | None = None

    def __post_init__(self) -> None:
        if (self.file is None) == (self.url is None):
            raise DistillError(f"weights entry {self.name!r}: needs either a file or a url")
        if self.kind not in get_args(WeightsKind):
            raise DistillError(
                f"weights entry {self.name!r}: kind {self.kind!r} is not one of {', '.join(get_args(WeightsKind))}"
            )
        if self.kind == "generator" and (self.resolution is None or self.domain is None):
            raise DistillError(f"weights entry {self.name!r}: a generator needs a resolution and a domain")
        if self.kind == "encoder" and self.generator is None:
            raise DistillError(f"weights entry {self.name!r}: an encoder needs a generator")

    @property
    def embedded(self) -> bool:
        return self.file is not None

    @property
    def path(self) -> Path:
        """Where the file is, or will be once it is fetched. Features keep their published name."""
        if self.file is not None:
            return weights_folder() / self.file
        published = Path(urlsplit(self.url or "").path).name
        return cache_dir() / "downloads" / (f"{self.name}.pkl" if self.kind == "generator" else published)


def weights_folder() -> Path:
    """Return the folder `stylegan_weights` beside this package; one of that name elsewhere does not hide it."""
    return Path(distill.__file__).parents[1] / "stylegan_weights"


def cache_dir() -> Path:
    """Return $DISTILL_CACHE, or the user's cache folder for `distill`. It need not exist.

    Where no folder can be named or looked into it is a path at which nothing is and nothing can be.
    """
    chosen = os.environ.get("DISTILL_CACHE")
    try:
        if chosen:
            folder = Path(chosen).expanduser().absolute()
        else:
            import pooch

            folder = Path(str(pooch.os_cache("distill")))
        closed = folder.exists() and not os.access(folder, os.X_OK)
    except (RuntimeError, OSError):  # nobody's home; a folder above is closed
        return NOWHERE
    return NOWHERE if closed else folder


def cache_folder(name: str) -> Path | None:
    """Return a folder of the cache, made where it is not there; None where it cannot be, which is said once."""
    folder = cache_dir() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        say_no_cache(error.strerror or str(error))
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        say_no_cache("no permission to write there")
        return None
    return folder


@functools.cache
def say_no_cache(why: str) -> None:
    """Say it once, for this process and those that it starts."""
    if parent_process() is None:
        folder = cache_dir()
        where = "no home folder is known" if folder == NOWHERE else f"{folder}: {why}"
        log.warning(
            "note: nothing is kept in the cache (%s); set $DISTILL_CACHE to use another folder", where
        )


@functools.cache
def _table() -> dict[str, WeightsEntry]:
    rows: list[dict[str, Any]] = tomllib.loads(read_regular(weights_folder() / "manifest.toml").decode())[
        "weights"
    ]
    known = {field.name for field in fields(WeightsEntry)}
    for row in rows:
        if extra := row.keys() - known:
            raise DistillError(f"manifest.toml: {row.get('name')!r} has unknown keys {sorted(extra)}")
    return {row["name"]: WeightsEntry(**row) for row in rows}


def weights_entries(kind: WeightsKind = "generator") -> list[WeightsEntry]:
    """Return every known network of a kind, in the order of the table."""
    return [entry for entry in _table().values() if entry.kind == kind]


def entry_of(source: str | PathLike[str]) -> WeightsEntry | None:
    """Return the entry of a registry name; None for paths, addresses and unknown names."""
    return _table().get(source) if isinstance(source, str) else None


def entry_of_kind(source: str | PathLike[str], kind: WeightsKind) -> WeightsEntry | None:
    """Return the entry of a name, as `entry_of`. Raises DistillError for the name of another kind."""
    entry = entry_of(source)
    if entry and entry.kind != kind:
        names = ", ".join(other.name for other in weights_entries(kind))
        raise DistillError(
            f"{entry.name!r} is of the kind {entry.kind} ({entry.summary}), not {kind}; the {kind}s are {names}"
        )
    return entry


def embedded_entry(name: str) -> WeightsEntry:
    """Return the entry of a network that this package comes with. Raises DistillError for another name."""
    entry = _table().get(name)
    if entry is None or not entry.embedded:
        raise DistillError(f"{name!r} is not an embedded network; install distill again")
    return entry


def domain_of(source: str | PathLike[str]) -> str:
    """Return what a generator draws ("face", "animal", …); "unknown" when it is not in the table."""
    entry = entry_of(source)
    return (entry.domain if entry else None) or "unknown"


def resolve(
    source: str | PathLike[str], *, progress: FetchProgress | None = None, max_bytes: int = MAX_BYTES
) -> Path:
    """Find the file of a generator's name, a path or an https address; fetch it if it is not here yet.

    A registry name wins over a file of that name in the working folder: write ./NAME for the file.
    Raises DistillError for an unknown source, a name of another kind, a failed fetch, or a sha256 other than
    the known one.
    """
    if entry := entry_of_kind(source, "generator"):
        return resolve_entry(entry, progress=progress, max_bytes=max_bytes)
    text = os.fspath(source)
    if "://" in text:
        return _fetched(text, _path_of_url(text), None, progress, max_bytes)
    path = user_path(text)
    if path.is_dir():
        raise DistillError(f"{path}: is a folder, not a file of weights")
    if path.exists():
        return path
    raise DistillError(_unknown(text))


def resolve_entry(
    entry: WeightsEntry, *, progress: FetchProgress | None = None, max_bytes: int = MAX_BYTES
) -> Path:
    """Find the file of an entry of any kind, as `resolve` does."""
    if entry.url is not None:
        return _fetched(entry.url, entry.path, entry.sha256, progress, max_bytes)
    if not entry.path.is_file():
        raise DistillError(
            f"{entry.path}: the embedded {entry.kind} {entry.name!r} is missing; install distill again"
        )
    check_hash(entry.path, _sha256(entry.path), entry.sha256)
    return entry.path


def _path_of_url(url: str) -> Path:
    import pooch

    return cache_dir() / "downloads" / str(pooch.utils.unique_file_name(url))


def _fetched(
    url: str, path: Path, sha256: str | None, progress: FetchProgress | None, max_bytes: int
) -> Path:
    """Return `path` with the content of `url`: checked if it is there, fetched and recorded if not."""
    hashes = known_hashes()
    recorded = hashes.get(url)
    expected = sha256 or recorded
    if not path.is_file():
        if cache_folder("downloads") is None:
            raise DistillError(
                f"{url}: no folder to keep it in: set $DISTILL_CACHE to a folder that can be written to"
            )
        fetch(url, path, downloader=CappedDownload(sha256=expected, max_bytes=max_bytes, progress=progress))
    found = _sha256(path)
    check_hash(path, found, expected)
    if recorded is None:
        try:
            hashes.record(url, found)
        except (OSError, DistillError) as error:
            say_no_cache(str(error))
    return path


def known_hashes() -> KnownHashes:
    """Return the record of what was fetched before: `known_hashes.json` in the cache."""
    return KnownHashes(cache_dir() / "known_hashes.json")


def expected_sha256(entry: WeightsEntry) -> str | None:
    """Return the sha256 an entry's file must have: the table's, else what its first fetch recorded."""
    return entry.sha256 or (known_hashes().get(entry.url) if entry.url else None)


def _unknown(text: str) -> str:
    names = [entry.name for entry in weights_entries()]
    near = difflib.get_close_matches(text, names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return (
        f"unknown generator {text!r}: neither a registry name ({', '.join(names)}), "
        f"nor a file, nor an https address{hint}"
    )


def _sha256(path: Path) -> str:
    from distill.weights.checkpoint import file_sha256

    return file_sha256(path)


def cached_checkpoint(path: Path) -> Checkpoint:
    """Read a file of weights, keeping a safetensors copy of a converted one in the cache.

    `sha256` of what is returned is that of `path`, converted or not. Raises what `read_checkpoint` raises.
    """
    from distill.weights.checkpoint import read_checkpoint, save_safetensors

    if path.suffix == ".safetensors":  # is hashed as it is read, and needs no copy
        return read_checkpoint(path)
    copy = cache_dir() / "converted" / f"{_sha256(path)}.safetensors"
    if copy.is_file():
        try:
            return _as_converted(read_checkpoint(copy), copy.stem)
        except DistillError as error:
            log.warning("%s: broken, converting again (%s)", copy, error)
    checkpoint = read_checkpoint(path)
    if checkpoint.format != "safetensors" and cache_folder("converted"):
        facts = {**checkpoint.facts, CONVERTED_FROM: checkpoint.format}
        try:
            save_safetensors(copy, replace(checkpoint, facts=facts))
        except DistillError as error:
            say_no_cache(str(error))
    return checkpoint


def _as_converted(copy: Checkpoint, sha256: str) -> Checkpoint:
    """Return a converted copy as the file that it was read from. Raises DistillError where it does not say which."""
    facts = dict(copy.facts)
    before = facts.pop(CONVERTED_FROM, None)
    if not isinstance(before, str):
        raise DistillError("it does not say which format it was")
    return replace(copy, facts=facts, format=before, sha256=sha256)
