"""`distill serve`: an app in the browser, for photos, a generator and data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from distill.cli import options


@click.command("serve")
@click.argument("students", metavar="[NAME|RUN|FILE]…", nargs=-1, type=options.TEXT)
@click.option(
    "--data", multiple=True, metavar="DIR", type=options.PATH, help="A complete data set to look through."
)
@click.option("--generator", type=options.TEXT, metavar="NAME|FILE", help="A teacher to draw and edit with.")
@click.option(
    "--host",
    type=options.TEXT,
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on.",
)
@click.option(
    "--port", type=options.WholeRange(0, 65535), default=7860, show_default=True, help="0: any free one."
)
@click.option(
    "--token",
    type=options.TEXT,
    help="What visitors must know, 16 letters or more; see above.",
)
@options.device
@options.dry_run
def serve(students: tuple[str, ...], data: tuple[Path, ...], dry_run: bool, **given: Any) -> None:
    """Open an app in the browser: photos through students, a generator, and data sets. It needs gradio.

    Students are those that come with the package, or the runs, files and names that are given. An address that others
    can reach (--host) asks visitors for a token: --token, or one that is drawn and printed. Ctrl-C ends it.

    \b
    distill serve
    distill serve ageing runs/student --generator portraits
    distill serve --data data/style-mix-portraits-seed0
    """
    from distill.serve.app.server import check_gradio, run_app
    from distill.serve.listen import listen
    from distill.serve.request import ServeRequest, open_offer

    request = ServeRequest(students=students, data=data, **given)
    check_gradio()
    listening = listen(request.host, request.port, request.token)
    with listening.socket:
        offer = open_offer(request)
        options.tell(offer.notes)
        click.echo("\n".join(offer.lines))
        if not dry_run:
            run_app(offer, listening, ready=lambda: click.echo(f"open {listening.link} (Ctrl-C ends it)"))
