"""How long what reads a whole data set takes for very many shards, each of one small row.

    python benchmarks/many_shards.py --shards 10000

One shard is drawn, and copied under every index; what is timed looks at each of them. Prints seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

import distill
from distill.cli.main import run
from distill.shards.folder import (
    manifest_reports,
    read_manifest,
    shard_path,
    sidecar_path,
    write_manifest,
)
from distill.shards.status import folder_status
from distill.shards.verify import verify_folder


def fill(folder: Path, count: int) -> None:
    """Copy the one shard of a data set under the indices up to `count`, with sidecars and manifest."""
    manifest = read_manifest(folder)
    (first,) = manifest_reports(manifest)
    template, reports = shard_path(folder, 0).read_bytes(), []
    for index in range(count):
        buffer = io.BytesIO(template)
        with h5py.File(buffer, "r+") as file:
            file.attrs.modify("index", np.int64(index))
        data = buffer.getvalue()
        report = replace(first, index=index, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        shard_path(folder, index).write_bytes(data)
        sidecar_path(folder, index).write_text(report.to_json())
        reports.append(report)
    facts = {"recipe": manifest["recipe"], "digest": manifest["digest"], "n": count * first.rows}
    write_manifest(folder, reports=reports, **facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--verify", action="store_true", help="time that too: it opens every shard")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "data"
        words = ["--task", "style-mix", "--align", "none", "--n", "1", "--shard-size", "1", "--codec", "jpeg"]
        assert run(["generate", *words, "--cluster", "none", "--out", str(folder)]) == 0
        fill(folder, given.shards)
        found: dict[str, float] = {"shards": given.shards}
        found["manifest_mib"] = round((folder / "manifest.json").stat().st_size / 2**20, 1)

        def timed(name: str, work: object) -> None:
            started = time.monotonic()
            assert callable(work)
            result = work()
            found[name] = round(time.monotonic() - started, 2)
            assert result is not False, name

        timed("read the manifest", lambda: read_manifest(folder))
        timed("status", lambda: folder_status(folder).complete)
        timed("open as TripletDataset", lambda: len(distill.TripletDataset(folder)) == given.shards)
        timed("first row of the last shard", lambda: distill.TripletDataset(folder)[given.shards - 1])
        if given.verify:
            timed("verify", lambda: verify_folder(folder, full=False).ok)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
