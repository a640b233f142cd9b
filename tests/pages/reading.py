"""What a page tells its reader to type: commands of shell blocks, commands in sentences, blocks of Python."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE = ("CHANGELOG.md", "REFERENCE.md")  # what was once right, and what is made from the help
PAGES = [
    page
    for page in subprocess.check_output(["git", "-C", ROOT, "ls-files", "*.md"], text=True).splitlines()
    if page not in MADE
]
SHELLS = ("sh", "bash", "console", "shell")
WORDS_OF_A_SHELL = re.compile(r"(distill|python|pip|make|docker|sbatch|bash|dask|git|export|\$) ")


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a page: what the fence says, and the text."""
    text = (ROOT / page).read_text()
    return re.findall(r"^[ \t]*```([^\n`]*)\n(.*?)^[ \t]*```[ \t]*$", text, re.S | re.M)


def commands_of(page: str) -> list[str]:
    """Return the commands of the shell blocks of a page, without comments; continued lines are joined."""
    text = "\n".join(text for name, text in blocks_of(page) if name in SHELLS)
    lines = [re.sub(r"(^|\s)#.*", "", line) for line in text.replace("\\\n", " ").splitlines()]
    return [part.strip() for line in lines for part in line.split(" && ") if part.strip()]


def sentences_of(page: str) -> list[str]:
    """Return what stands in backticks outside of blocks."""
    text = re.sub(r"^[ \t]*```.*?^[ \t]*```[ \t]*$", "", (ROOT / page).read_text(), flags=re.S | re.M)
    return re.findall(r"`([^`\n]+)`", text)


def scripts_of(page: str) -> list[str]:
    """Return the commands in sentences and tables that start a script of benchmarks or a module, each once.

    On the pages of benchmarks `floor.py --rounds 1` is short for `python benchmarks/floor.py --rounds 1`.
    """
    found = []
    for code in sentences_of(page):
        if page.startswith("benchmarks/") and re.match(r"\w+\.py ", code):
            code = f"python benchmarks/{code}"
        if code.startswith(("python benchmarks/", "python -m ")):
            found.append(code)
    return list(dict.fromkeys(found))


def python_of(page: str) -> list[str]:
    return [text for name, text in blocks_of(page) if name == "python"]


def untold_commands(page: str) -> list[str]:
    """Return lines that look like commands in blocks whose fence names no shell."""
    others = [text for name, text in blocks_of(page) if name not in SHELLS]
    return [line for text in others for line in text.splitlines() if WORDS_OF_A_SHELL.match(line)]
