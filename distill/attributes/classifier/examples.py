"""Labelled pictures: a folder with one folder for each class, or a CSV of paths and labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.errors import DistillError
from distill.files import path_text
from distill.shards.images.labels import MOST_CLASSES, LabelTable, read_labels
from distill.shards.images.picture import find_pictures

LABEL = "label"  # the column that is looked for
LEAST = 10  # pictures of a class: 6 to learn, 2 to choose and calibrate by, 2 to test


@dataclass(frozen=True, kw_only=True)
class Example:
    """A picture and its label; pictures of one `group` are never parted between learning and testing."""

    name: str
    path: Path
    label: str
    group: str


@dataclass(frozen=True, kw_only=True)
class Examples:
    """All examples in the order of their names; `unlabelled` rows had no label.

    `title`: the name of the column of labels, if it says more than "label".
    """

    items: Sequence[Example]
    unlabelled: int = 0
    title: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted({item.label for item in self.items}))


def read_examples(
    data: Path,
    out: Path,
    *,
    column: str | None = None,
    images: Path | None = None,
    group: str | None = None,
) -> Examples:
    """Find the pictures and labels of a folder, or of a CSV.

    Of a CSV, paths start from `images`, else from its own folder; `column` has the labels (else `label`, or the only
    one there is), `group` says which pictures belong together. `out` is the file to come. Raises DistillError for
    what is not there, fewer than 2 classes, more than 100, and classes of fewer than 10 pictures.
    """
    if not data.exists():
        raise DistillError(
            f"{data}: no such file or folder; a folder with one folder per class, or a CSV, is needed"
        )
    if not data.is_dir():
        examples = _of_table(read_labels(data), column, images, group)
    elif chosen := [
        option for option, value in (("--label", column), ("--images", images), ("--group", group)) if value
    ]:
        raise DistillError(f"{data} is a folder: {chosen[0]} is for a CSV")
    else:
        examples = _of_folder(data, out)
    check_classes(data, [item.label for item in examples.items], "")
    return examples


def check_classes(data: Path, labels: Sequence[str], left: str) -> None:
    """Raise DistillError for classes that are too few, too many or too small; `left` says after what."""
    counts = Counter(labels)
    if not 2 <= len(counts) <= MOST_CLASSES:
        only = f" ({next(iter(counts))!r})" if len(counts) == 1 else ""
        classes = "class" if len(counts) == 1 else "classes"
        raise DistillError(f"{data}: {len(counts)} {classes}{only}{left}; 2 to {MOST_CLASSES} are needed")
    label, count = min(counts.items(), key=lambda item: (item[1], item[0]))
    if count < LEAST:
        raise DistillError(
            f"{data}: class {label!r} has {count} picture{'s' * (count != 1)}{left}; at least {LEAST} are needed to "
            "learn, calibrate and test: add some, or leave the class out"
        )


def _of_folder(folder: Path, out: Path) -> Examples:
    try:
        places = sorted(place for place in folder.iterdir() if place.is_dir() and place.name[0] != ".")
    except OSError as error:
        raise DistillError(f"{folder}: {error.strerror or error}") from error
    if not places:
        raise DistillError(
            f"{folder}: no folders in it; put the pictures of each class into a folder of its name"
        )
    items = []
    for place in places:
        if not any(path.is_file() for path in place.rglob("*")):
            raise DistillError(f"{place}: no pictures; fill this class, or remove its folder")
        for name, path in find_pictures(place, out)[0]:
            name = f"{place.name}/{name}"
            items.append(Example(name=name, path=path, label=path_text(place.name), group=name))
    return Examples(items=items)


def _of_table(table: LabelTable, column: str | None, images: Path | None, group: str | None) -> Examples:
    column = column or _only_column(table)
    for name in (column, *([group] if group else [])):
        table.require(name)
    root = images or table.path.parent
    if not root.is_dir():
        raise DistillError(f"{root}: {'not a folder' if root.exists() else 'no such folder'} (--images)")
    place = table.columns.index(column)
    beside = table.columns.index(group) if group else None
    items = [
        Example(
            name=name,
            path=root / name,
            label=texts[place],
            group=(texts[beside] if beside is not None else "") or name,
        )
        for name, texts in sorted(table.rows.items())
        if texts[place]
    ]
    title = None if column == LABEL else column
    return Examples(items=items, unlabelled=len(table.rows) - len(items), title=title)


def _only_column(table: LabelTable) -> str:
    if LABEL in table.columns or len(table.columns) == 1:
        return LABEL if LABEL in table.columns else table.columns[0]
    raise DistillError(
        f"{table.path} has no column {LABEL!r}; name the column of labels with --label: {', '.join(table.columns)}"
    )
