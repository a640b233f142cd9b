"""A trained student as it ships: in float16, with the edit, the teacher and the scorer that its pairs came from.

    python -m stylegan_weights.making.package_student runs/ageing --task ageing --out ageing.safetensors

Pairs that came in by `distill import` do not tell what made them: `photo_pairs` is of `portraits` and the builtin
scorer.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from distill.errors import DistillError
from distill.networks.student import load_student, save_student

SELECTED = {"gender-swap": "builtin", "ageing": "builtin"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--task", choices=("style-mix", "gender-swap", "ageing"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    try:
        student = load_student(chosen.run)
        scorer = SELECTED.get(chosen.task)
        facts = replace(
            student.facts,
            task=chosen.task,
            generator="portraits",
            selected_by={"scorer": scorer} if scorer else {},
        )
        save_student(chosen.out, student.network, facts, half=True)
    except DistillError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
