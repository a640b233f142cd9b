"""What a folder was made with is told in the user's words, and by a sha256 only where nothing else differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill.editing.folder_settings import NAMES, FolderSettings
from distill.errors import DistillError

PAIRS = FolderSettings(file=".pairs.json", made_by="photo-pairs", holds="pairs")
A, B = "a" * 64, "b" * 64


def settings(sha256: str | None, name: str | None, *, steps: int = 4) -> dict[str, Any]:
    names = {NAMES: {"lpips_sha256": name}} if name else {}
    return {"lpips_sha256": sha256, "steps": steps, **names}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (settings(A, "old.pt"), settings(B, "new.pt"), "lpips old.pt, now it is new.pt:"),
        (
            settings(A, "vgg.pt"),
            settings(B, "vgg.pt"),
            "lpips vgg.pt (sha256 aaaaaaaaaaaa…), now it is vgg.pt (sha256 bbbbbbbbbbbb…):",
        ),
        (settings(A, "vgg.pt"), settings(B, "vgg.pt", steps=5), "steps 4, now it is 5:"),
        (settings(None, None), settings(B, "new.pt"), "lpips none, now it is new.pt:"),
        (
            settings(A, None),
            settings(B, "new.pt"),
            "lpips a file (sha256 aaaaaaaaaaaa…), now it is new.pt (sha256 bbbbbbbbbbbb…):",
        ),
        (settings(A, None), settings(None, None), "lpips a file (sha256 aaaaaaaaaaaa…), now it is none:"),
    ],
)
def test_a_difference_is_told_by_name(before: dict[str, Any], now: dict[str, Any], said: str) -> None:
    with pytest.raises(DistillError) as caught:
        PAIRS.check(Path("out"), before, now)
    assert str(caught.value) == f"out holds pairs with {said} use the same, or choose another --out"


def test_the_same_file_by_another_name_is_no_difference() -> None:
    PAIRS.check(Path("out"), settings(A, "old.pt"), settings(A, "copy.pt"))
