"""Relative links and anchors of the Markdown pages lead somewhere."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = subprocess.check_output(["git", "-C", ROOT, "ls-files", "*.md"], text=True).splitlines()


@cache
def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.S | re.M)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors that GitHub gives the headings of a page; a repeated one is numbered."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(page), re.M):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return frozenset(found)


def broken_links(page: Path) -> list[str]:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        file = page.parent / name if name else page
        readable = file / "README.md" if file.is_dir() and anchor else file
        if not readable.exists() or (anchor and anchor not in anchors(readable)):
            broken.append(link)
    return broken


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `--two`: three\n## Same\n## Same\n[a](#one---two-three) [b](#same-1) [c](page.md#same) [d](#same-2)"
        " [e](no.md) [f](https://example.org/no.md)\n```\n[g](no.md)\n# Code\n```\n[h](#code)\n"
    )
    assert broken_links(page) == ["#same-2", "no.md", "#code"]


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_resolve(page: str) -> None:
    assert broken_links(ROOT / page) == []
