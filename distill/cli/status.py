"""`distill status`: how far is this data set, and is anybody working on it?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distill.cli import options
from distill.progress import plural

if TYPE_CHECKING:
    from distill.lock import Driver
    from distill.shards.status import FolderStatus


@click.command()
@click.argument("folder", metavar="DIR", type=options.PATH)
@options.as_json
def status(folder: Path, as_json: bool) -> None:
    """Show how far the data set in DIR is: shards, accepted rows, drops by reason, the driver that runs.

    Reads the folder only, so it works from any machine that sees it.

    \b
    distill status data/mix
    distill status data/mix --json
    """
    from distill.shards.status import folder_status

    found = folder_status(folder)
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: FolderStatus) -> Iterator[str]:
    yield f"folder    {found.folder}  ({found.task or 'unknown task'}, digest {found.digest or 'unknown'})"
    yield f"state     {_state(found)}"
    yield f"shards    {found.shards_done}{_of(found.shards)} done, {found.bytes / 2**20:.1f} MiB"
    if found.shards_broken:
        names = ", ".join(str(index) for index in found.shards_broken[:10])
        yield f"broken    {plural(len(found.shards_broken), 'shard')} not as written, or without a sidecar: {names}"
    yield f"rows      {found.rows}{_of(found.n)} accepted"
    yield f"driver    {_driver(found.driver)}"
    if found.tried:
        yield f"tried     {found.tried:8d}"
        yield f"accepted  {found.rows:8d}  {found.rows / found.tried:6.1%}"
    for reason, count in found.dropped.items():
        yield f"dropped   {count:8d}  {count / found.tried:6.1%}  {reason}"


def _state(found: FolderStatus) -> str:
    if found.complete:
        return "complete"
    if found.driver and found.driver.alive:
        return "running"
    return "not complete; the same command resumes it"


def _driver(driver: Driver | None) -> str:
    if driver is None:
        return "none"
    who = f"pid {driver.pid or '?'} on host {driver.host}, last heard of {driver.silent_s:.0f} s ago"
    return who if driver.alive else f"none; a lock was left by {who}"


def _of(total: int | None) -> str:
    return f" of {total}" if total is not None else ""
