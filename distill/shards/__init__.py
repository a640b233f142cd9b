"""The shard format: one HDF5 file per unit of work, written once, checked before it is believed.

`layout` says what stands in a shard, `write` makes one, `read` opens one, `folder` knows a folder of them,
`verify` checks a folder. Nothing here needs torch; `distill.shards.dataset` holds the torch data set.
"""

from __future__ import annotations

from distill.shards.folder import (
    ShardReport,
    read_manifest,
    read_report,
    shard_is_valid,
    sweep,
    write_manifest,
)
from distill.shards.layout import SCHEMA_VERSION, ShardContent
from distill.shards.read import ShardReader, open_shard
from distill.shards.verify import VerifyReport, verify_folder
from distill.shards.write import atomic_write, build_shard, commit_shard

__all__ = [
    "SCHEMA_VERSION",
    "ShardContent",
    "ShardReader",
    "ShardReport",
    "VerifyReport",
    "atomic_write",
    "build_shard",
    "commit_shard",
    "open_shard",
    "read_manifest",
    "read_report",
    "shard_is_valid",
    "sweep",
    "verify_folder",
    "write_manifest",
]
