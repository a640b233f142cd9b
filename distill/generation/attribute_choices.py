"""What a task of several attributes comes to: which attributes, along which directions, and what change counts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from distill.attributes.protocol import Kind
from distill.directions.file import shipped_directions
from distill.errors import DistillError
from distill.generation.edits.along_several import MOST_ATTRIBUTES
from distill.progress import command_text

if TYPE_CHECKING:
    from distill.generation.request import TaskChoices

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,47}")  # it becomes part of the name of a column
# The least change that counts, of a probability and of values by name: about what is still seen at a glance, and
# twice what the scorers differ by on two crops of one face.
OF_PROBABILITY = 0.25
OF_VALUE = {"age": 6.0, "yaw": 8.0}  # years, degrees


def asked_attributes(choices: TaskChoices, generator: str) -> tuple[str, ...]:
    """Read `--attributes gender,age`. Raises DistillError where none is named, one twice, or too many."""
    own = own_attributes(generator)
    there = f"; {generator} has directions of {', '.join(own)}" if own else ""
    text = choices.attributes
    if text is None:
        raise DistillError(f"the task attributes needs --attributes, such as gender,age{there}")
    names = [part.strip() for part in text.split(",")]
    if bad := [name for name in names if not NAME.fullmatch(name)]:
        raise DistillError(f"--attributes {text}: {bad[0]!r} is not the name of an attribute{there}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise DistillError(f"--attributes names {twice[0]!r} twice")
    if len(names) > MOST_ATTRIBUTES:
        raise DistillError(f"--attributes names {len(names)} attributes; {MOST_ATTRIBUTES} at most")
    return tuple(names)


def own_attributes(generator: str) -> list[str]:
    """The attributes whose directions come with a generator."""
    start = f"{generator}-"
    return [name.removeprefix(start) for name in shipped_directions() if name.startswith(start)]


def direction_names(attributes: Sequence[str], choices: TaskChoices, generator: str) -> tuple[str, ...]:
    """Return the file or name of each attribute's direction: of --direction, else the generator's own.

    Raises DistillError for an attribute without one, in a line with those that have one.
    """
    given = pairs_of("--direction", choices.direction, attributes)
    own = own_attributes(generator)
    for name in attributes:
        if name not in given and name not in own:
            fit = command_text("distill", "directions", "fit", "--generator", generator, "--attribute", name)
            raise DistillError(
                f"no direction for {name!r} comes with the generator {generator!r}, which has"
                f" {', '.join(own) or 'none'}: make one by `{fit} --out FILE` and give it as"
                f" --direction {name}=FILE"
            )
    return tuple(given.get(name, f"{generator}-{name}") for name in attributes)


def least_changes(kinds: Mapping[str, Kind], choices: TaskChoices) -> tuple[float, ...]:
    """Return the least change of each attribute that counts: of --min-change, else what stands in the table.

    Raises DistillError for one that is no number above 0, above 1 of a probability, and for a value in neither.
    """
    given = pairs_of("--min-change", choices.min_change, list(kinds))
    changes = {name: number_of(name, text) for name, text in given.items()}
    for name, kind in kinds.items():
        if kind == "probability" and changes.setdefault(name, OF_PROBABILITY) > 1:
            raise DistillError(
                f"--min-change {name}={given[name]}: {name} is a probability, so 1 is the most"
            )
        if kind == "value" and changes.setdefault(name, OF_VALUE.get(name, 0.0)) == 0:
            raise DistillError(f"say what change of {name!r} counts: --min-change {name}=NUMBER")
    return tuple(changes[name] for name in kinds)


def pairs_of(option: str, text: str | None, attributes: Sequence[str]) -> dict[str, str]:
    """Read `age=6,gender=0.3`; a comma within a value may stand, where no name and = follow it."""
    pairs: dict[str, str] = {}
    for part in re.split(r",(?=\s*[A-Za-z0-9_.-]+=)", text) if text is not None else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise DistillError(f"{option} {text}: write ATTRIBUTE=…, and a comma before the next one")
        if name not in attributes:
            raise DistillError(f"{option} {text}: {name!r} is not one of --attributes {','.join(attributes)}")
        if name in pairs:
            raise DistillError(f"{option} {text}: {name!r} is named twice")
        pairs[name] = value
    return pairs


def number_of(name: str, text: str) -> float:
    """Read a least change."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise DistillError(f"--min-change {name}={text}: give a number above 0")
    return number
