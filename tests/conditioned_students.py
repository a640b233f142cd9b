"""Small students that are told how much to change, with weights that make every condition show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from distill.networks.conditioned import ConditionedGenerator
from distill.networks.edits import EditCondition, condition_of
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.student import Student, StudentFacts, load_student, save_student

CONDITIONS = (
    condition_of("gender", "probability", 1.0),
    condition_of("age", "value", 30.0),
    condition_of("smile", "probability", 1.0),
)
FACTS = StudentFacts(
    task="attributes", inputs=("source",), target="target", resolution=64, conditions=CONDITIONS
)


def make_conditioned(
    folder: Path,
    *,
    enhancers: int = 0,
    scale: float = 4.0,
    conditions: Sequence[EditCondition] = CONDITIONS,
) -> Student:
    """Write a student into the folder of a run, and load it."""
    inputs = 3 + len(conditions)
    shape = Architecture(
        inputs=inputs,
        ngf=4,
        downsamplings=1,
        blocks=1,
        norm="batch",
        enhancers=enhancers,
        local_blocks=1,
    )
    network = create(shape, seed=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
        for seed in range(30):  # running means of such pictures
            random = torch.Generator().manual_seed(seed)
            network(torch.rand(4, inputs, 16, 16, generator=random) * 2 - 1)
    folder.mkdir(parents=True, exist_ok=True)
    conditioned = ConditionedGenerator(network, torch.zeros(len(conditions)))
    save_student(folder / "student.safetensors", conditioned, replace(FACTS, conditions=tuple(conditions)))
    return load_student(folder)
