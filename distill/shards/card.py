"""The data set card: README.md in the data set folder. The same data set always gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from distill.progress import size_text
from distill.shards.change_counts import ChangeCounts, change_lines, read_change_counts
from distill.shards.folder import ShardReport
from distill.shards.summary import (
    acceptance,
    conditions_of,
    generator_of,
    recipe_rows,
    roles_of,
    sample_word,
    second_generator_of,
    value_text,
)
from distill.shards.write import atomic_write

CARD_NAME = "README.md"
WEIGHTS_KEYS = ("name", "sha256", "licence", "origin")  # of a generator, in a table of their own
GENERATOR_KEYS = tuple(
    f"{place}.{key}" for place in ("generator", "edit.second_generator") for key in WEIGHTS_KEYS
)


def write_card(
    folder: Path, *, recipe: Mapping[str, Any], digest: str, n: int, reports: Sequence[ShardReport]
) -> None:
    """Write the card of a complete data set to `folder`/README.md, atomically; no date, no host."""
    text = card_text(
        recipe=recipe,
        digest=digest,
        n=n,
        reports=reports,
        conditions=conditions_of(folder),
        changes=read_change_counts(folder, recipe, reports),
    )
    atomic_write(folder / CARD_NAME, text.encode())


def card_text(
    *,
    recipe: Mapping[str, Any],
    digest: str,
    n: int,
    reports: Sequence[ShardReport],
    conditions: Mapping[str, Any] = MappingProxyType({}),
    changes: Sequence[ChangeCounts] = (),
) -> str:
    """Return the card as Markdown; every text from recipe and conditions is escaped."""
    sections = [
        _opening(recipe, digest, n),
        _origin(recipe),
        _recipe(recipe, conditions),
        _acceptance(reports),
        *([_changes(changes)] if changes else []),
        _files(reports),
        _how_to_read(recipe, reports),
    ]
    return "\n\n".join(sections) + "\n"


def reading_example(*, codec: str, shard: str = "shard-00000.h5") -> str:
    """Return ten lines of Python that read one sample with h5py; they run in the data set folder."""
    return (_READ_RAW if codec == "raw" else _READ_ENCODED).format(shard=shard)


_READ_RAW = """\
import json

import h5py

row, images = 0, {{}}
with h5py.File("{shard}", "r") as shard:
    print(shard.attrs["rows"], "rows, holding", list(shard), "- candidate", shard["candidate"][row])
    for role in json.loads(shard.attrs["roles"]):
        images[role] = shard[f"images/{{role}}"][row]  # uint8 [H, W, 3], RGB
print({{role: image.shape for role, image in images.items()}})"""

_READ_ENCODED = """\
import io, json
import h5py, numpy, PIL.Image
row, images = 0, {{}}
with h5py.File("{shard}", "r") as shard:
    print(shard.attrs["rows"], "rows, holding", list(shard), "- candidate", shard["candidate"][row])
    for role in json.loads(shard.attrs["roles"]):
        start, end = shard[f"offsets/{{role}}"][row : row + 2]
        file = io.BytesIO(shard[f"images/{{role}}"][start:end])  # one whole JPEG or WebP file
        images[role] = numpy.asarray(PIL.Image.open(file))  # uint8 [H, W, 3], RGB
print({{role: image.shape for role, image in images.items()}})"""


def _opening(recipe: Mapping[str, Any], digest: str, n: int) -> str:
    roles, side = roles_of(recipe), value_text(recipe.get("resolution"))
    width = value_text(recipe.get("width", recipe.get("resolution")))
    there = "source" in recipe
    what = f"{'Images' if there else 'Synthetic images'} of {escape(width)} × {escape(side)} pixels"
    if len(roles) > 1:
        inputs = " and ".join(code(role) for role in roles[:-1])
        what += f" for training: {inputs} {'go' if len(roles) > 2 else 'goes'} in, {code(roles[-1])} should come out"
    origin = "Every image was drawn by a generator network; no image is a photograph."
    if there:
        origin = "See Source for where they come from."
    return "\n\n".join(
        [
            f"# {escape(value_text(recipe.get('task')))}: {n:,} {sample_word(roles)}{'' if n == 1 else 's'}",
            f"{what}. {origin}",
            f"Digest of the recipe and its {'source' if there else 'weights'}: {code(digest)}.",
        ]
    )


def _origin(recipe: Mapping[str, Any]) -> str:
    """Say what the images were made with, or of."""
    source = recipe.get("source")
    if isinstance(source, Mapping):
        rows = [(code(key), escape(text)) for key, text in recipe_rows(source)]
        rest = "A row holds images and what their files say of them: no latents, no parameters, no scores."
        return f"## Source\n\n{table(('key', 'value'), rows)}\n\n{rest}"
    generators = {"generator": generator_of(recipe), "second generator": second_generator_of(recipe)}
    there = {title: facts for title, facts in generators.items() if facts or title == "generator"}
    cells = [[key, *(_weights_cell(key, facts) for facts in there.values())] for key in WEIGHTS_KEYS]
    licence = "licences" if len(there) > 1 else "licence"
    hint = f"The images were made with these weights: read their {licence} before you pass the images on."
    return f"## Weights\n\n{table(('', *there), cells)}\n\n{hint}"


def _weights_cell(key: str, generator: Mapping[str, Any]) -> str:
    text = value_text(generator.get(key))
    return code(text) if key == "sha256" else escape(text)


def _recipe(recipe: Mapping[str, Any], conditions: Mapping[str, Any]) -> str:
    rows = [
        (code(key), escape(text))
        for key, text in recipe_rows(recipe)
        if not key.startswith("source.") and key not in GENERATOR_KEYS
    ]
    text = f"## Recipe\n\n{table(('key', 'value'), rows)}"
    if not conditions:
        return text
    drawn = [(code(key), escape(value)) for key, value in recipe_rows(conditions)]
    return f"{text}\n\nDrawn, when it was begun, with:\n\n{table(('key', 'value'), drawn)}"


def _acceptance(reports: Sequence[ShardReport]) -> str:
    rows = [(escape(row.what), f"{row.count:,}", row.percent) for row in acceptance(reports)]
    return f"## Acceptance\n\n{table(('candidates', 'count', 'share'), rows, align='lrr')}"


def _changes(changes: Sequence[ChangeCounts]) -> str:
    lines = "\n".join(change_lines(changes)).replace("`", "'")
    text = (
        "The measured change of each attribute, target less source, of the pairs that were asked for it. The"
        " strengths are drawn evenly, what is kept is not: weigh the pairs where that matters."
    )
    return f"## Changes\n\n{text}\n\n```text\n{lines}\n```"


def _files(reports: Sequence[ShardReport]) -> str:
    size = size_text(sum(report.bytes for report in reports))
    first, last = (f"shard-{reports[k].index:05d}" for k in (0, -1)) if reports else ("shard-00000",) * 2
    span = f"`{first}.h5`" if first == last else f"`{first}.h5` … `{last}.h5`"
    rows = [
        (span, f"the data: {len(reports):,} HDF5 files, {size}"),
        ("`shard-*.json`", "per shard: rows, candidates tried, drops by reason, size, sha256"),
        ("`manifest.json`", "all of these together, with the recipe; written when the data set is complete"),
        ("`recipe.json`", "the recipe"),
    ]
    return f"## Files\n\n{table(('file', 'what it holds'), rows)}"


def _how_to_read(recipe: Mapping[str, Any], reports: Sequence[ShardReport]) -> str:
    first = reports[0].index if reports else 0
    example = reading_example(codec=str(recipe.get("codec", "raw")), shard=f"shard-{first:05d}.h5")
    return (
        f"## Reading it\n\nWith h5py alone, in this folder:\n\n```python\n{example}\n```\n\n"
        "Besides `images/` a shard may hold `ring`, `name`, `weight`, `labels/`, `latents/`, `params/`, `scores/`, "
        "`landmarks/` and `quads/`, one entry a row, and under `tried/` the fate of every candidate. "
        "`distill verify . --full` checks all checksums."
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, align: str = "") -> str:
    """Return a Markdown table; cells must be escaped already; `align` holds l or r per column."""
    marks = ["---:" if align[k : k + 1] == "r" else "---" for k in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, marks, *rows))


def escape(text: str) -> str:
    """Make text inert in Markdown and its tables: one line, no markup, no HTML."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]{}<>#|~&$!])", r"\\\1", line)


def code(text: str) -> str:
    """Return a code span where the text is a plain word, escaped text otherwise."""
    return f"`{text}`" if re.fullmatch(r"[\w.+:/-]+", text, flags=re.ASCII) else escape(text)
