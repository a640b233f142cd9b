"""What stands before the app: a token where one is asked for, and headers that keep pages to this server.

Plain ASGI, which any server of Python speaks: it sees each request before the app does.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "distill_token"
HEADERS = {
    # Scripts of gradio stand in the page itself, and compile what they need; nothing may come from elsewhere.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:;"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:;"
    " font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; frame-ancestors 'none';"
    " form-action 'self'; base-uri 'self'; object-src 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def guarded(app: App, *, token: str | None, hosts: Sequence[str] = ()) -> App:
    """Return an app that lets in who knows the token: as ?token=, which becomes a cookie, or as a bearer token.

    `hosts`: names by which alone the app may be called, so that no page elsewhere reaches it under a name of its own.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if hosts and _host_name(headers.get("host", "")) not in hosts:
            await _refuse(scope, send, 421, "This server answers on this machine alone, under localhost.")
            return
        given = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if token and scope["type"] == "http" and same(given.get("token", ""), token):
            await _remember(scope, send, token)
            return
        if token and not any(same(one, token) for one in _tokens(headers)):
            text = "A token is needed: open the address that distill serve printed."
            await _refuse(scope, send, 401, text)
            return
        await app(scope, receive, _with_headers(send))

    return answer


def same(one: str, other: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), other.encode())


def _host_name(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name.lower() if name and port.isdecimal() else host.lower()


def _tokens(headers: MutableMapping[str, str]) -> list[str]:
    """Those that a request shows."""
    found = [headers.get("authorization", "").removeprefix("Bearer ")]
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return found
    return [*found, cookies[COOKIE].value] if COOKIE in cookies else found


async def _remember(scope: Scope, send: Send, token: str) -> None:
    """Put the token into a cookie, and send the visitor to the same page without it in the address."""
    rest = [pair for pair in parse_qsl(scope["query_string"].decode("latin-1")) if pair[0] != "token"]
    place = "/" + scope["path"].lstrip("/") + (f"?{urlencode(rest)}" if rest else "")
    cookie = f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict"
    headers = [
        (b"location", place.encode("latin-1", "replace")),
        (b"set-cookie", cookie.encode()),
    ]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(scope: Scope, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})


def _with_headers(send: Send) -> Send:
    added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return send_with_headers
