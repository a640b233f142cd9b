"""A trained student as it ships: in float16, with the edit, the teacher and the scorer that its pairs came from.

    python -m stylegan_weights.making.package_student runs/ageing --task ageing --out ageing.safetensors

Of several runs, each begun with the student of the one before, it is the mean of their weights in the given shares,
which lies between what they do. Pairs that came in by `distill import` do not tell what made them: `photo_pairs` is
of `portraits` and the builtin scorer.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from distill.errors import DistillError
from distill.networks.student import load_student, save_student

TASKS = ("style-mix", "gender-swap", "ageing", "face-to-drawing", "attributes")
SELECTED = dict.fromkeys(("gender-swap", "ageing", "attributes"), "builtin")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--shares", type=float, nargs="+", help="of the runs, as many")
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    try:
        students = [load_student(run) for run in chosen.runs]
        student = students[-1]
        mean = weighted_mean([each.network.state_dict() for each in students], chosen.shares or [1.0])
        student.network.load_state_dict(mean)
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


def weighted_mean(states: list[dict[str, Tensor]], shares: list[float]) -> dict[str, Tensor]:
    return {
        name: torch.stack(
            [state[name].double() * share / sum(shares) for state, share in zip(states, shares, strict=True)]
        ).sum(dim=0)
        for name in states[0]
    }


if __name__ == "__main__":
    main()
