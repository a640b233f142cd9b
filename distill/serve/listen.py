"""Where the app listens: on this machine alone, or on another address with a token that every visitor must know."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from dataclasses import dataclass

from distill.errors import DistillError
from distill.files import path_text

LOOPBACK = "127.0.0.1"
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")  # of 16 letters and more nobody guesses it
LOCAL_NAMES = ("localhost", LOOPBACK, "[::1]")


@dataclass(frozen=True, kw_only=True)
class Listening:
    """An open socket that listens, and what a visitor must know; `token` None: nothing."""

    socket: socket.socket
    host: str
    token: str | None

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    @property
    def local(self) -> bool:
        return is_loopback(self.host)

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    @property
    def link(self) -> str:
        """The address as a visitor opens it for the first time."""
        return f"{self.address}?token={self.token}" if self.token else self.address


def listen(host: str = LOOPBACK, port: int = 7860, token: str | None = None) -> Listening:
    """Open the port; 0 is any that is free. Beyond loopback a token is drawn where none is given.

    Raises DistillError for an address that is not this machine's, a port that is taken, and a token that is easily
    guessed or does not fit into an address.
    """
    if token is not None and not TOKEN.fullmatch(token):
        raise DistillError("--token: 16 to 200 letters, digits, - and _ are needed; left out, one is drawn")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except (OSError, ValueError) as error:  # a name of odd letters is a ValueError
        raise DistillError(f"--host {path_text(host[:80])}: no address of that name") from error
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(128)
    except OSError as error:
        opened.close()
        raise DistillError(_problem(host, port, error)) from error
    return Listening(socket=opened, host=host, token=token)


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _problem(host: str, port: int, error: OSError) -> str:
    what = (error.strerror or str(error)).lower()
    if "in use" in what:
        return (
            f"port {port} of {host} is taken by another program: choose another --port, or 0 for any free one"
        )
    if "assign" in what:
        return f"--host {host}: not an address of this machine"
    return f"port {port} of {host}: {what}: choose another --port"
