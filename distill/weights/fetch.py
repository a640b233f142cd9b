"""Fetch one file over https into the cache: capped, checked, and whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from distill.errors import DiskFull, DistillError
from distill.files import NO_SPACE, atomic_write, read_regular, sync
from distill.schema import parse_json

MAX_BYTES = 1 << 30  # the largest published network here, stylegan2-ffhq-config-f.pkl, has under 400 MB
TIMEOUT_S = (10.0, 60.0)  # to connect, between two pieces
MAX_REDIRECTS = 5
PIECE = 1 << 20

Downloader = Callable[[str, str, Any], None]  # as pooch calls it: (url, path to write, None)


FetchProgress = Callable[[int, int | None], None]  # bytes done, bytes in all where the server says


def require_https(url: str) -> None:
    """Raise DistillError for any address that is not https with a host."""
    try:
        parts = urlsplit(url)
        url.encode()
    except ValueError as error:
        raise DistillError(f"{url[:200]!a}: not an address ({error})") from error
    if parts.scheme != "https" or not parts.hostname:
        raise DistillError(f"{url}: only https addresses are fetched")


class CappedDownload:
    """A pooch downloader that refuses what is too big, not https, cut short, or of another sha256."""

    def __init__(
        self, *, sha256: str | None, max_bytes: int = MAX_BYTES, progress: FetchProgress | None = None
    ):
        self.expected = sha256
        self.max_bytes = max_bytes
        self.progress = progress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        with Path(output_file).open("wb") as out:
            self._stream(url, out)
            sync(out)

    def _stream(self, url: str, out: BinaryIO) -> None:
        import requests

        with requests.Session() as session, _open(session, url) as response:
            total = _content_length(response)
            if total is not None and total > self.max_bytes:
                raise DistillError(
                    f"{url}: {total} bytes, more than the limit of {self.max_bytes}; not fetched"
                )
            response.raw.enforce_content_length = False  # checked below, in words
            done, digest = 0, hashlib.sha256()
            for piece in response.iter_content(PIECE):
                done += len(piece)
                if done > self.max_bytes:
                    raise DistillError(
                        f"{url}: more than the limit of {self.max_bytes} bytes; stopped, nothing kept"
                    )
                digest.update(piece)
                out.write(piece)
                if self.progress:
                    self.progress(done, total)
        if total is not None and done != total:
            raise requests.ConnectionError(f"the connection ended after {done} of {total} bytes")
        check_hash(url, digest.hexdigest(), self.expected)


def _open(session: Any, url: str) -> Any:
    """Follow redirects by hand, so that each step is held to https."""
    for _ in range(MAX_REDIRECTS + 1):
        require_https(url)
        response = session.get(
            url,
            stream=True,
            timeout=TIMEOUT_S,
            allow_redirects=False,
            headers={"Accept-Encoding": "identity"},
        )
        if response.ok and not response.is_redirect:
            return response
        response.close()
        response.raise_for_status()
        url = urljoin(url, response.headers["location"])
    raise DistillError(f"{url}: more than {MAX_REDIRECTS} redirects; not fetched")


def _content_length(response: Any) -> int | None:
    text = response.headers.get("content-length", "")
    return int(text) if text.isdecimal() else None


def check_hash(what: str | Path, found: str, expected: str | None) -> None:
    """Raise DistillError naming both sha256 when they differ; no expectation accepts anything."""
    if expected is not None and found != expected:
        raise DistillError(f"{what}: sha256 is {found}, expected {expected}; not used")


def fetch(url: str, path: Path, *, downloader: Downloader) -> Path:
    """Put the file at `url` under `path`, through pooch: written aside, then renamed.

    Raises DistillError with what to do when it cannot be had, DiskFull when there is no room.
    """
    import pooch
    import requests

    require_https(url)
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(url, known_hash=None, fname=path.name, path=path.parent, downloader=downloader)
    except requests.RequestException as error:
        raise DistillError(
            f"could not fetch {url}: {_reason(error)}; "
            f"place the file at {path} or run the same command again when online"
        ) from error
    except OSError as error:
        if error.errno in NO_SPACE:
            raise DiskFull(
                f"{path.parent}: no space left for {url}; free some and run the command again"
            ) from error
        raise DistillError(f"{path.parent}: cannot be written ({error.strerror or error})") from error
    return path


def _reason(error: Exception) -> str:
    import requests

    match error:
        case requests.HTTPError() if error.response is not None:
            return f"the server answered {error.response.status_code} {error.response.reason}"
        case requests.Timeout():
            return f"no answer within {TIMEOUT_S[1]:.0f} s"
        case requests.exceptions.SSLError():
            return "the server's certificate could not be verified"
        case requests.ConnectionError() if "connection ended" in str(error):
            return str(error)
        case requests.ConnectionError():
            return "no connection to the server"
        case _:
            return " ".join(str(error).split()) or type(error).__name__


class KnownHashes:
    """sha256 of files seen once, by address: what was recorded first is held from then on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, url: str) -> str | None:
        value = self._read().get(url)
        return value if isinstance(value, str) else None

    def record(self, url: str, sha256: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**self._read(), url: sha256}, indent=2, sort_keys=True) + "\n"
        atomic_write(self.path, text.encode())

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            table = parse_json(read_regular(self.path))
        except ValueError as error:
            raise DistillError(
                f"{self.path}: not readable as JSON ({error}); remove it to start it anew"
            ) from error
        if not isinstance(table, dict):
            raise DistillError(f"{self.path}: not a table of hashes; remove it to start it anew")
        return table
