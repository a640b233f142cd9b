"""The table as people read it, and what they must know of its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from distill.attributes.protocol import Kind
from distill.evaluation.comparison.edits import AskedEdit
from distill.evaluation.comparison.request import COPIED, REAL
from distill.evaluation.comparison.rows import (
    DRIFT,
    IDENTITY,
    IDENTITY_TO_TRUTH,
    NO_FACE,
    SAME,
    SUCCESS,
    TO_INPUT,
    TO_TRUTH,
    ComparedRow,
)
from distill.evaluation.report import aligned, milliseconds_text, number
from distill.metrics.kernel import SUBSETS
from distill.progress import plural

DASH = "–"
THOUSAND = 1000  # kernel distances are small

Column = tuple[str, Callable[[ComparedRow], str]]


def comparison_table(rows: Sequence[ComparedRow], columns: Sequence[Column]) -> str:
    """Write the rows as a Markdown table; a column that no row fills is left out."""
    lines = [[row.name, str(row.count) if row.count else DASH] for row in rows]
    heads = ["method", "faces"]
    for head, cell in columns:
        cells = [cell(row) for row in rows]
        if set(cells) != {DASH}:
            heads.append(head)
            for line, text in zip(lines, cells, strict=True):
                line.append(text)
    return aligned([heads, *lines])


def columns_of(
    edit: AskedEdit, kinds: Mapping[str, Kind], features: str, perceptual: str, most: int
) -> list[Column]:
    """Choose the columns; `most`: photographs of the fullest rows, which alone have comparable Fréchet distances."""
    kernel, frechet = ("KID", "FID") if features == "inception" else ("kernel dist.", "Fréchet")
    return [
        (f"{kernel} ×{THOUSAND} ↓", _kernel),
        (f"{frechet} ↓", lambda row: _frechet(row, most)),
        ("success ↑", _share(SUCCESS)),
        ("identity ↓", _measure(IDENTITY)),
        ("same person ↑", _share(SAME)),
        *_other_columns(edit, kinds),
        ("to input ↓", _measure(f"perceptual_{perceptual}{TO_INPUT}")),
        ("L1 to truth ↓", _measure(f"l1{TO_TRUTH}")),
        ("SSIM to truth ↑", _measure(f"ssim{TO_TRUTH}")),
        ("perceptual to truth ↓", _measure(f"perceptual_{perceptual}{TO_TRUTH}")),
        ("identity to truth ↓", _measure(IDENTITY_TO_TRUTH)),
        ("no face ↓", _share(NO_FACE)),
        ("ms an image", lambda row: milliseconds_text(row.time.milliseconds)),
        ("images seen", lambda row: _trained(row, row.samples)),
        ("minutes", lambda row: _trained(row, row.minutes)),
    ]


def _other_columns(edit: AskedEdit, kinds: Mapping[str, Kind]) -> list[Column]:
    """What the edit should leave alone; of an edited value, by how much it moved."""
    found: list[Column] = []
    for score, kind in kinds.items():
        if score.endswith("_spread"):
            continue
        if kind == "value":
            unit = "years" if score == "age" else score
            found.append((f"{unit} moved (abs.)", _moved(score)))
        elif score != edit.attribute:
            found.append((f"{score} flips ↓", _share(f"{score}_flipped")))
    return found


def legend(
    edit: AskedEdit, kinds: Mapping[str, Kind], *, features: str, perceptual: str, judge: str, real: int
) -> list[str]:
    """Say what each column is."""
    lines = [
        f"Rows are over the same photographs; {COPIED} is what doing nothing scores, {REAL} what two halves of the"
        " real pictures score against each other.",
        f"Kernel distance (KID where the features are Inception's) and Fréchet distance: to"
        f" {plural(real, 'real picture')} of the target, by the features {features}.",
        "Identity: mean distance of dlib's descriptors to the photograph's, over pictures in which a face is found;"
        " same person: the share below 0.6.",
        "No face: the share of pictures in which dlib finds none; they count as failures in success and same person.",
    ]
    if edit.attribute is not None and edit.attribute in kinds:
        value = kinds[edit.attribute] == "value"
        does = f"moves the wanted way ({edit.wish})" if value else f"shows {edit.wish}"
        lines.insert(2, f"Success: the share that {does}, as {judge} reads it.")
    if perceptual != "none":
        lines.append(
            f"To input: perceptual distance to the photograph, by {perceptual}; no aim in itself, 0 for a copy."
        )
    if any(kind == "value" and not name.endswith("_spread") for name, kind in kinds.items()):
        lines.append("Moved (abs.): the mean, and in brackets the mean of absolute moves.")
    return lines


def subset_note(rows: Sequence[ComparedRow]) -> str:
    """Say how many pictures the draws of the kernel distance hold."""
    by_size: dict[int, list[str]] = {}
    for row in rows:
        if row.distance:
            by_size.setdefault(row.distance.subset, []).append(row.name)
    common = max(by_size, key=lambda size: len(by_size[size]))
    others = [f"{size} for {', '.join(names)}" for size, names in by_size.items() if size != common]
    told = f" ({'; '.join(others)})" if others else ""
    return (
        f"Kernel distance: the mean of {SUBSETS} draws of {common} pictures of each side, half of the smaller one"
        f"{told}; ± is 1.96 standard deviations of the draws."
    )


def fewer_note(rows: Sequence[ComparedRow], most: int) -> list[str]:
    """Say whose numbers are over fewer photographs."""
    names = [f"{row.name} ({row.count})" for row in rows if row.count and row.count < most]
    some = [f"Over fewer photographs, evenly spread: {', '.join(names)}."] if names else []
    return [
        *some,
        "A Fréchet distance of fewer pictures is higher for that alone: such stand in brackets.",
    ]


def _measure(name: str) -> Callable[[ComparedRow], str]:
    return lambda row: _three(row.measures[name]) if name in row.measures else DASH


def _share(name: str) -> Callable[[ComparedRow], str]:
    return lambda row: f"{100 * row.measures[name]:.0f} %" if name in row.measures else DASH


def _moved(score: str) -> Callable[[ComparedRow], str]:
    def cell(row: ComparedRow) -> str:
        moved = row.measures.get(f"{score}_moved", math.nan)  # NaN where no picture shows a face
        return f"{moved:+.1f} ({row.measures[f'{score}{DRIFT}']:.1f})" if math.isfinite(moved) else DASH

    return cell


def _kernel(row: ComparedRow) -> str:
    if row.distance is None:
        return DASH
    value, half = THOUSAND * row.distance.value, THOUSAND * row.distance.half_width
    digits = 0 if half >= 10 else 1
    return f"{value:.{digits}f} ± {half:.{digits}f}"


def _trained(row: ComparedRow, value: float | None) -> str:
    """Write what its own training took; "+ init" where that began from another file."""
    return DASH if value is None else f"{value:,.0f}{' + init' if row.init else ''}"


def _three(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else DASH


def _frechet(row: ComparedRow, most: int) -> str:
    if row.distance is None:
        return DASH
    text = number(row.distance.frechet)
    return text if row.distance.count == most else f"({text})"
