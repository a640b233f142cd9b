"""Where the app listens, and who is let in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import MutableMapping
from typing import Any

import pytest

from distill.errors import DistillError
from distill.serve.guard import COOKIE, HEADERS, guarded
from distill.serve.listen import LOCAL_NAMES, listen

TOKEN = "a-token-of-the-test"


def visit(
    query: str = "", headers: dict[str, str] | None = None, *, token: str | None = TOKEN, **more: Any
) -> tuple[int, dict[str, str], str]:
    """Ask a guarded app for a page; its status, headers and text."""
    said: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "path": "/x", "query_string": query.encode(), "headers": pairs}
    asyncio.run(guarded(app, token=token, **more)(scope, receive, send))
    head = {name.decode(): value.decode() for name, value in said[0]["headers"]}
    return said[0]["status"], head, said[1]["body"].decode()


def test_a_token_is_asked_for() -> None:
    status, _, text = visit()
    assert (status, text) == (401, "A token is needed: open the address that distill serve printed.\n")
    assert visit("token=another-token-here")[0] == 401
    assert visit(headers={"cookie": f"{COOKIE}=another"})[0] == 401
    assert visit(headers={"authorization": "Bearer another"})[0] == 401


def test_the_address_with_the_token_opens_the_app_and_is_left_behind() -> None:
    status, headers, _ = visit(f"token={TOKEN}&view=api")
    assert (status, headers["location"]) == (303, "/x?view=api")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert visit(headers={"cookie": cookie.partition(";")[0]})[2] == "inside"


def test_a_script_shows_the_token_in_a_header() -> None:
    assert visit(headers={"authorization": f"Bearer {TOKEN}"})[2] == "inside"


def test_without_a_token_the_app_is_open_and_pages_load_nothing_from_elsewhere() -> None:
    status, headers, text = visit(token=None)
    assert (status, text) == (200, "inside")
    assert headers == HEADERS
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "localhost", "[::1]:80", "LOCALHOST"])
def test_this_machine_may_be_called_by_its_own_names(host: str) -> None:
    assert visit(headers={"host": host}, token=None, hosts=LOCAL_NAMES)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "", "127.0.0.1.evil.example"])
def test_a_page_elsewhere_does_not_reach_it_under_another_name(host: str) -> None:
    assert visit(headers={"host": host}, token=None, hosts=LOCAL_NAMES)[0] == 421


def test_it_listens_on_loopback_without_a_token() -> None:
    found = listen(port=0)
    with found.socket:
        assert found.socket.getsockname()[0] == "127.0.0.1"
        assert found.token is None
        assert found.link == f"http://127.0.0.1:{found.port}/"


def test_another_address_has_a_token_always() -> None:
    found = listen("0.0.0.0", 0)
    with found.socket:
        assert found.token is not None
        assert len(found.token) >= 24
        assert found.link.endswith(f"/?token={found.token}")
    given = listen("0.0.0.0", 0, TOKEN)
    with given.socket:
        assert given.token == TOKEN


def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(DistillError, match=f"port {port} of 127.0.0.1 is taken by another program"):
            listen(port=port)


@pytest.mark.parametrize(
    ("host", "token", "says"),
    [
        ("203.0.113.7", None, "not an address of this machine"),
        ("no such host", None, "no address of that name"),
        ("\x1b[2J\0", None, r"--host \\x1b\[2J\\x00: no address of that name"),
        ("127.0.0.1", "short", "16 to 200 letters"),
        ("127.0.0.1", "with spaces and more text", "16 to 200 letters"),
    ],
)
def test_addresses_and_tokens_that_are_none(host: str, token: str | None, says: str) -> None:
    with pytest.raises(DistillError, match=says):
        listen(host, 0, token)
