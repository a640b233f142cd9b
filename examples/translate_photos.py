"""Run a student on photographs: python examples/translate_photos.py STUDENT OUT PHOTO… [--style PHOTO]"""

from __future__ import annotations

import argparse

import distill


def main(model: str, out: str, photos: list[str], style: str | None) -> None:
    found = distill.translate(photos, model=model, out=out, style=style)
    for face in found.done:
        print(f"{face.photo} -> {face.output}")
    for line in found.lines(all_faces=False):
        print(line)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", help="a name of distill weights list, a run or a file")
    parser.add_argument("out", help="the folder for the pictures")
    parser.add_argument("photos", nargs="+", help="files and folders")
    parser.add_argument("--style", help="the second face, for students of two inputs")
    given = parser.parse_args()
    main(given.student, given.out, given.photos, given.style)
