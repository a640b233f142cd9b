"""Uploads: files of unknown origin are measured before they are decoded, and a refusal is one sentence for a page."""

from __future__ import annotations

from pathlib import Path

from distill.errors import DistillError
from distill.faces.decode import PhotoError, photo_size

MOST_BYTES = 30_000_000
MOST_PIXELS = 50_000_000  # what telephones take; decoded three times over they are half a gigabyte


class RefusedUpload(DistillError):
    """What somebody uploaded cannot be used: one sentence that says why, without a path of this machine."""


def check_upload(path: Path | None, what: str = "photo") -> Path:
    """Return the path of an uploaded picture that may be decoded; `what` is its name in a sentence.

    Raises RefusedUpload where there is none, for no picture, and for one of too many bytes or pixels; only the header
    is read.
    """
    if path is None:
        raise RefusedUpload(f"Choose a {what} first.")
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise RefusedUpload(f"The {what} is not here any more: choose it again.") from error
    if not size:
        raise RefusedUpload(f"The {what} is empty (0 bytes): choose another file.")
    if size > MOST_BYTES:
        raise RefusedUpload(
            f"The {what} has {size / 1e6:.0f} MB; {MOST_BYTES // 10**6} MB are allowed: make it smaller."
        )
    try:
        height, width = photo_size(path)
    except PhotoError as error:
        raise refused(error, what) from error
    if height * width > MOST_PIXELS:
        raise RefusedUpload(
            f"The {what} has {height * width / 1e6:.0f} megapixels ({width}×{height});"
            f" {MOST_PIXELS // 10**6} are allowed: make it smaller."
        )
    return path


def refused(error: PhotoError, what: str = "photo") -> RefusedUpload:
    """Put what is wrong with an uploaded picture into a sentence."""
    if error.reason == "no face":
        return RefusedUpload(
            f"No face was found in the {what} ({error.detail}). Choose another one, or take its middle."
        )
    detail = error.detail.replace(str(error.path), "it")
    return RefusedUpload(f"The {what} cannot be used: {error.reason} ({detail}).")
