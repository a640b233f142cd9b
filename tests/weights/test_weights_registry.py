"""From a name, a path or an address to a file on disk, and what is refused on the way."""

from __future__ import annotations

import errno
import hashlib
import json
import pwd
import re
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import torch

from distill.errors import DiskFull, DistillError
from distill.weights import fetch as download
from distill.weights import registry as weights
from distill.weights.checkpoint import read_checkpoint, save_safetensors
from distill.weights.fetch import CappedDownload, KnownHashes, fetch
from distill.weights.inventory import list_weights
from distill.weights.registry import (
    cache_dir,
    cached_checkpoint,
    domain_of,
    entry_of,
    resolve,
    weights_entries,
)

BODY = b"weights " * 5000
SHA256 = hashlib.sha256(BODY).hexdigest()
URL = "https://example.org/nets/face.pkl"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        route = self.path.removeprefix("/")
        if route == "moved":
            self.send_response(302)
            self.send_header("Location", "/file.pkl")
        elif route == "to-http":
            self.send_response(302)
            self.send_header("Location", "http://example.org/file.pkl")
        elif route == "loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
        elif route == "missing":
            self.send_response(404)
        else:
            self.send_response(200)
            if route != "no-length":
                self.send_header("Content-Length", str(len(BODY) + (100 if route == "cut" else 0)))
        self.end_headers()
        if route in ("file.pkl", "no-length", "cut"):
            self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[str]:
    """Serve over http on this machine, the one address that may be used without https."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=[0.02])
    thread.start()
    address = f"http://127.0.0.1:{httpd.server_port}"
    strict = download.require_https
    monkeypatch.setattr(download, "require_https", lambda url: url.startswith(address) or strict(url))
    yield address
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def no_network(monkeypatch):
    def offline(*args: object, **kwargs: object) -> None:
        raise requests.ConnectionError("[Errno -2] Name or service not known")

    monkeypatch.setattr(requests.Session, "get", offline)


def serving(body: bytes):
    """Stand in for the network: the same download, with a body instead of a server."""

    def stream(self, url, out):
        out.write(body)
        download.check_hash(url, hashlib.sha256(body).hexdigest(), self.expected)

    return stream


def test_the_table_is_complete():
    names = [entry.name for entry in weights_entries()]
    assert len(names) == len(set(names))
    assert {"portraits", "ffhq-1024", "metfaces-1024", "afhqcat-512", "afhqdog-512", "afhqwild-512"} <= set(
        names
    )
    assert {"lsun-car-512", "lsun-church-256", "lsun-horse-256"} <= set(names)
    for entry in weights_entries():
        assert entry.embedded or entry.url.startswith("https://")
        assert entry.licence
        assert entry.data_licence
        assert entry.resolution in (64, 128, 256, 512, 1024)
        assert entry.sha256 is None or (re.fullmatch("[0-9a-f]{64}", entry.sha256) and entry.sha256_source)


def test_embedded_weights_are_on_disk_with_their_card_and_sha256():
    embedded = [entry for entry in weights_entries() if entry.embedded]
    assert embedded[0].name == "portraits"
    for entry in embedded:
        assert hashlib.sha256(resolve(entry.name).read_bytes()).hexdigest() == entry.sha256
        assert (weights.weights_folder() / entry.card).is_file()
        assert read_checkpoint(entry.path).format == "safetensors"


def test_an_unknown_key_in_the_table_is_named(monkeypatch, tmp_path):
    text = '[[weights]]\nname = "x"\nsize = 3\n'
    assert tomllib.loads(text)
    (tmp_path / "manifest.toml").write_text(text)
    monkeypatch.setattr(weights, "weights_folder", lambda: tmp_path)
    with pytest.raises(DistillError, match=r"'x'.*size"):
        weights._table.__wrapped__()


def test_domains():
    assert domain_of("portraits") == "face"
    assert domain_of("lsun-car-512") == "car"
    assert domain_of("some/file.pkl") == "unknown"
    assert entry_of(Path("portraits")) is None


def test_a_path_is_itself(tmp_path):
    path = tmp_path / "net.pkl"
    path.write_bytes(BODY)
    assert resolve(path) == path
    assert resolve(str(path)) == path


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("portrait", ["unknown generator 'portrait'", "ffhq-1024", "nor a file", "did you mean portraits"]),
        ("./nothing/here.pkl", ["unknown generator './nothing/here.pkl'"]),
        ("http://example.org/face.pkl", ["http://example.org/face.pkl", "only https"]),
        ("ftp://example.org/face.pkl", ["only https"]),
        ("https:///face.pkl", ["only https"]),
        (".", ["is a folder"]),
    ],
)
def test_what_is_not_a_generator_is_one_line(source, words):
    with pytest.raises(DistillError) as caught:
        resolve(source)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_a_first_fetch_is_recorded_and_later_ones_are_held_to_it(monkeypatch, cache):
    monkeypatch.setattr(CappedDownload, "_stream", serving(BODY))
    path = resolve(URL)
    assert path.read_bytes() == BODY
    assert path.parent == cache / "downloads"
    assert json.loads((cache / "known_hashes.json").read_text()) == {URL: SHA256}

    monkeypatch.setattr(CappedDownload, "_stream", serving(b"other"))
    assert resolve(URL) == path  # not fetched again
    path.unlink()
    other = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(DistillError, match=f"{URL}: sha256 is {other}, expected {SHA256}"):
        resolve(URL)
    assert list(path.parent.iterdir()) == []


def test_a_file_that_changed_in_the_cache_is_refused(monkeypatch):
    monkeypatch.setattr(CappedDownload, "_stream", serving(BODY))
    path = resolve(URL)
    path.write_bytes(b"changed")
    with pytest.raises(DistillError, match=f"expected {SHA256}"):
        resolve(URL)


def test_a_fetch_with_a_known_sha256_is_held_to_the_table(monkeypatch):
    monkeypatch.setattr(CappedDownload, "_stream", serving(BODY))
    entry = entry_of("ffhq-1024")
    with pytest.raises(DistillError, match=f"sha256 is {SHA256}, expected {entry.sha256}"):
        resolve("ffhq-1024")
    assert not entry.path.exists()


def test_a_file_placed_by_hand_is_used_without_a_network(monkeypatch):
    no_network(monkeypatch)
    path = entry_of("lsun-horse-256").path
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    assert resolve("lsun-horse-256") == path


def test_offline_says_where_to_place_the_file(monkeypatch):
    no_network(monkeypatch)
    path = entry_of("lsun-horse-256").path
    with pytest.raises(DistillError) as caught:
        resolve("lsun-horse-256")
    message = str(caught.value)
    assert message.startswith("could not fetch https://nvlabs-fi-cdn.nvidia.com/")
    assert message.endswith(
        f": no connection to the server; place the file at {path} or run the same command again when online"
    )
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("route", ["file.pkl", "moved", "no-length"])
def test_download(server, tmp_path, route):
    seen = []
    downloader = CappedDownload(sha256=SHA256, progress=lambda done, total: seen.append((done, total)))
    path = fetch(f"{server}/{route}", tmp_path / "net.pkl", downloader=downloader)
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), None if route == "no-length" else len(BODY))


@pytest.mark.parametrize(
    ("route", "limit", "words"),
    [
        ("file.pkl", 1000, "40000 bytes, more than the limit of 1000"),
        ("no-length", 1000, "more than the limit of 1000 bytes"),
        ("to-http", 1 << 20, "http://example.org/file.pkl: only https"),
        ("loop", 1 << 20, "more than 5 redirects"),
        ("missing", 1 << 20, "the server answered 404 Not Found"),
        ("cut", 1 << 20, "could not fetch .*: the connection ended after 40000 of 40100 bytes; place"),
    ],
)
def test_a_refused_download_leaves_nothing(server, tmp_path, route, limit, words):
    downloader = CappedDownload(sha256=None, max_bytes=limit)
    with pytest.raises(DistillError, match=words) as caught:
        fetch(f"{server}/{route}", tmp_path / "net.pkl", downloader=downloader)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [] or [p.name for p in tmp_path.iterdir()] == ["cache"]


def test_a_full_disk_while_fetching(tmp_path):
    def full(url: str, out: object, pooch: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFull, match="no space left"):
        fetch(URL, tmp_path / "net.pkl", downloader=full)


def test_a_broken_record_of_hashes_is_named(tmp_path):
    path = tmp_path / "known_hashes.json"
    path.write_text("{")
    with pytest.raises(DistillError, match="not readable as JSON"):
        KnownHashes(path).get(URL)


def test_a_converted_file_is_kept_and_keeps_its_sha256(monkeypatch, tmp_path):
    original = resolve("portraits")
    checkpoint = read_checkpoint(original)
    foreign = tmp_path / "foreign.pkl"
    foreign.write_bytes(b"stands for a pickle")
    sha256 = hashlib.sha256(foreign.read_bytes()).hexdigest()
    reads = []

    def read(path: Path):
        reads.append(path)
        if path == foreign:
            return weights.replace(checkpoint, format="nvidia-pytorch", sha256=sha256)
        return read_checkpoint(path)

    monkeypatch.setattr("distill.weights.checkpoint.read_checkpoint", read)
    copy = cache_dir() / "converted" / f"{sha256}.safetensors"
    first, second = cached_checkpoint(foreign), cached_checkpoint(foreign)
    assert reads == [foreign, copy]
    assert first.sha256 == second.sha256 == sha256
    assert all((first.state[name] == second.state[name]).all() for name in checkpoint.state)

    copy.write_bytes(b"broken")
    assert cached_checkpoint(foreign).format == "nvidia-pytorch"
    assert read_checkpoint(copy).format == "safetensors"


@pytest.fixture(params=["unwritable", "no home", "no such home"])
def no_cache(request, monkeypatch, tmp_path):
    """There is no folder for a cache, in one of the ways of containers and batch systems."""
    weights.say_no_cache.cache_clear()
    if request.param == "unwritable":
        (tmp_path / "file").touch()
        monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "file" / "cache"))
    elif request.param == "no such home":
        monkeypatch.setenv("DISTILL_CACHE", "~nosuchuser/cache")
    else:
        for name in ("DISTILL_CACHE", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])


def test_without_a_cache_files_are_read_all_the_same_and_it_is_said_once(no_cache, caplog, tmp_path):
    source = tmp_path / "g.pt"
    torch.save(read_checkpoint(resolve("portraits")).state, source)
    for _ in range(2):
        assert cached_checkpoint(source).format == "state-dict"
    [note] = caplog.messages
    assert re.fullmatch(
        r"note: nothing is kept in the cache \(.+\); set \$DISTILL_CACHE to use another folder", note
    )


def test_without_a_cache_nothing_is_fetched_and_the_line_says_what_to_do(no_cache):
    with pytest.raises(DistillError, match=r"set \$DISTILL_CACHE to a folder that can be written to"):
        resolve("https://example.org/generator.pkl")
    assert {entry["state"] for entry in list_weights()} == {"embedded", "not fetched"}


def test_safetensors_are_not_copied_into_the_cache(tmp_path):
    copy = tmp_path / "mine.safetensors"
    save_safetensors(copy, read_checkpoint(resolve("portraits")))
    assert cached_checkpoint(copy).sha256 == hashlib.sha256(copy.read_bytes()).hexdigest()
    assert not (cache_dir() / "converted").exists()


def test_a_file_that_is_no_checkpoint_leaves_no_copy(tmp_path):
    bad = tmp_path / "bad.pkl"
    bad.write_bytes(b"\x80\x04.")
    with pytest.raises(DistillError):
        cached_checkpoint(bad)
    assert not (cache_dir() / "converted").exists()
