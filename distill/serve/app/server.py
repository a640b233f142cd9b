"""The server of the app: one process, one port, nothing of it reaches elsewhere."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.serve.guard import App, guarded
from distill.serve.listen import LOCAL_NAMES, Listening
from distill.serve.request import Offer
from distill.serve.uploads import MOST_BYTES

QUIET = {  # gradio reads these when it is imported
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
CLOSING = 3  # seconds that open connections have when the server ends


def check_gradio() -> None:
    """Raise DistillError where gradio is not installed."""
    if find_spec("gradio") is None:
        raise DistillError("distill serve needs gradio, which is not installed: pip install 'distill[web]'")


def run_app(offer: Offer, listening: Listening, *, ready: Callable[[], object] = lambda: None) -> None:
    """Serve the app until Ctrl-C or SIGTERM; `ready` is called when it is about to answer.

    Uploads and results lie in a temporary folder that goes when the server ends; those of an hour ago go before.
    """
    check_gradio()
    os.environ.update(QUIET)
    with tempfile.TemporaryDirectory(prefix="distill-serve-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        stop = threading.Event()
        app = make_app(offer, listening, folder=Path(folder), stop=stop)
        import uvicorn

        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=CLOSING)
        ready()
        try:
            uvicorn.Server(config).run(sockets=[listening.socket])
        except KeyboardInterrupt:
            pass  # how a server ends
        finally:
            stop.set()


def make_app(offer: Offer, listening: Listening, *, folder: Path, stop: threading.Event) -> App:
    """Return the app behind its guard; files for visitors are made in `folder`, `stop` ends what is being saved."""
    import fastapi
    import gradio

    from distill.serve.app.page import CSS, build_page, page_theme

    outer = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app: Any = gradio.mount_gradio_app(
        outer,
        build_page(offer, folder, stop),
        path="/",
        server_name=listening.host,
        server_port=listening.port,
        footer_links=["api"],
        run_history=False,
        max_file_size=MOST_BYTES,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=page_theme(),
        css=CSS,
        show_error=True,
    )
    return guarded(
        app, token=listening.token, hosts=(*LOCAL_NAMES, listening.host) if listening.local else ()
    )
