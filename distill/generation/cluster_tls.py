# mypy: disable-error-code="no-untyped-call"
"""Throw-away TLS certificates for a cluster that a job script starts by hand.

`python -m distill.generation.cluster_tls FOLDER` makes a folder in FOLDER that only its owner can enter, and prints
its path. A scheduler, workers and a driver that have its dask.json as DASK_CONFIG talk to nobody else.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from distributed import Security

CONFIG_FILE = "dask.json"


def make_private_folder(parent: Path) -> Path:
    """Make a folder in `parent` that no other user can enter, with a new certificate, its key and `CONFIG_FILE`."""
    folder = Path(tempfile.mkdtemp(prefix=".distill-cluster-", dir=parent)).absolute()
    security = Security.temporary()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_text(security.tls_ca_file)
    key.write_text(security.tls_scheduler_key)
    (folder / CONFIG_FILE).write_text(json.dumps(_config(folder, str(certificate), str(key)), indent=1))
    return folder


def security_of(folder: Path) -> Security:
    """Return what lets this process talk to those who have the certificate in a folder of `make_private_folder`."""
    return security_from_files(folder / "certificate.pem", folder / "certificate.pem", folder / "key.pem")


def security_from_files(ca: Path, certificate: Path, key: Path) -> Security:
    """Return what talks by TLS alone, by one certificate in every role."""
    roles = ("scheduler", "worker", "client")
    files = {f"tls_{role}_cert": str(certificate) for role in roles} | {
        f"tls_{role}_key": str(key) for role in roles
    }
    return Security(require_encryption=True, tls_ca_file=str(ca), **files)


def _config(folder: Path, certificate: str, key: str) -> dict[str, Any]:
    pair = {"cert": certificate, "key": key}
    tls = {"ca-file": certificate, "scheduler": pair, "worker": pair, "client": pair}
    no_pages: dict[str, Any] = {"http": {"routes": []}}  # Dask opens a port for them even without a dashboard
    return {
        # Scratch folders are on the path of imports; the default is one that another user may have made.
        "temporary-directory": str(folder),
        "distributed": {
            "comm": {"require-encryption": True, "tls": tls},
            "scheduler": no_pages,
            "worker": {
                **no_pages,
                "use-file-locking": False,  # not every shared file system has locks
                # Memory here is not Dask's: a worker that pauses or spills because of it would only stand still.
                "memory": {"target": False, "spill": False, "pause": False},
            },
        },
    }


if __name__ == "__main__":
    print(make_private_folder(Path(sys.argv[1])))
