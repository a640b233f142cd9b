"""Run a student on photographs: python examples/translate_photos.py STUDENT OUT PHOTO… [--style PHOTO]"""

from __future__ import annotations

import sys
from pathlib import Path

import distill


def main(model: Path, out: Path, photos: list[Path], style: Path | None) -> None:
    found = distill.translate(photos, model=model, out=out, style=style)
    for face in found.done:
        print(f"{face.photo} -> {face.output}")
    for line in found.lines(all_faces=False):
        print(line)


if __name__ == "__main__":
    words = sys.argv[1:]
    style = None
    if "--style" in words:
        place = words.index("--style")
        style = Path(words[place + 1])
        del words[place : place + 2]
    main(Path(words[0]), Path(words[1]), [Path(word) for word in words[2:]], style)
