"""Plan a set of images: find the pictures and their labels, hash all of them; nothing is written."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.faces.photos import photo_detector
from distill.files import file_sha256
from distill.parallel import default_workers, ordered
from distill.shards.images.image_set import (
    LabelColumn,
    check_resolution,
    check_room,
    check_sides,
    image_recipe,
)
from distill.shards.images.labels import (
    ClassShare,
    LabelTable,
    as_column,
    balanced_weights,
    read_labels,
    split_balance,
)
from distill.shards.images.picture import Align, PictureSettings, find_pictures
from distill.shards.images.skips import most_skips
from distill.shards.place import check_place

Advance = Callable[[int], object]  # called with the number of pictures done since the last call


@dataclass(frozen=True, kw_only=True)
class PrepareImagesRequest:
    """A data set `out` to make of the pictures below `folder`.

    `resolution` is the height, `width` None: as wide. `labels`: a CSV file; `balance`: "FILE.csv:COLUMN";
    `max_skips`: a number, or a share such as "10%".
    """

    folder: Path
    out: Path
    resolution: int
    align: Align = "none"
    labels: Path | None = None
    balance: str | None = None
    drop_grey: bool = False
    codec: str = "raw"
    max_skips: str = "10%"
    workers: int | None = None
    width: int | None = None


@dataclass(frozen=True, kw_only=True)
class FoundPictures:
    """Pictures by name and path, and the file that labels them; `balance`: one of its columns."""

    pictures: Sequence[tuple[str, Path]]
    other_files: int
    table: LabelTable | None
    balance: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparationPlan:
    """A request checked against the folder. N pictures, skipped ones too.

    `labels` [N] by name and `weights` [N]: of each picture; `shares`: of each class that is balanced.
    """

    request: PrepareImagesRequest
    settings: PictureSettings
    pictures: Sequence[tuple[str, Path]]
    other_files: int
    labels: Mapping[str, LabelColumn]
    labelled: int
    balance: str | None
    weights: NDArray[np.float32] | None
    shares: Mapping[str, ClassShare]
    most_skips: int
    workers: int
    recipe: Mapping[str, Any]

    @property
    def out(self) -> Path:
        return self.request.out

    def facts(self) -> dict[str, Any]:
        return {
            "pictures": len(self.pictures),
            "other_files": self.other_files,
            "workers": self.workers,
            "labelled": self.labelled,
        }


def find_source(request: PrepareImagesRequest) -> FoundPictures:
    """Find pictures and label file, and check the place. Raises DistillError for what is not there."""
    _check_shape(request)
    check_place(request.out)
    table, column = _table(request.labels, request.balance)
    pictures, others = find_pictures(request.folder, request.out)
    return FoundPictures(pictures=pictures, other_files=len(others), table=table, balance=column)


def plan_preparation(
    request: PrepareImagesRequest,
    found: FoundPictures,
    *,
    stop: threading.Event | None = None,
    advance: Advance = lambda pictures: None,
) -> PreparationPlan:
    """Read every file once for the hash, and decide the type of each label over all pictures.

    Raises DistillError for what does not fit, and DiskFull.
    """
    names = [name for name, _ in found.pictures]
    settings = PictureSettings(
        resolution=request.resolution,
        align=request.align,
        drop_grey=request.drop_grey,
        width=request.width,
    )
    check_room(
        request.out,
        images=len(names),
        resolution=request.resolution,
        width=request.width,
        codec=request.codec,
    )
    skips, labelled = most_skips(request.max_skips, len(names)), _labelled(found.table, names)
    texts = found.table.labels_of(names) if found.table else {}
    weights, shares = balanced_weights(texts[found.balance]) if found.balance else (None, {})
    labels = {name: as_column(values, name) for name, values in texts.items()}
    workers, models = request.workers or default_workers(len(names), 200), _models(settings)
    sha256 = _source_sha256(found, workers, stop or threading.Event(), advance)
    return PreparationPlan(
        request=request,
        settings=settings,
        pictures=found.pictures,
        other_files=found.other_files,
        labels=labels,
        labelled=labelled,
        balance=found.balance,
        weights=weights,
        shares=shares,
        most_skips=skips,
        workers=workers,
        recipe=_recipe(request, found, {**models, "labels": sorted(labels), "sha256": sha256}),
    )


def _recipe(request: PrepareImagesRequest, found: FoundPictures, facts: Mapping[str, Any]) -> dict[str, Any]:
    source = {
        "kind": "pictures",
        "folder": request.folder.resolve().name,
        "pictures": len(found.pictures),
        "align": request.align,
        "drop_grey": request.drop_grey,
        "balance": found.balance,
        **facts,
    }
    return image_recipe(
        resolution=request.resolution, width=request.width, codec=request.codec, source=source
    )


def _check_shape(request: PrepareImagesRequest) -> None:
    """Refuse sizes that no trainer takes, and faces that are no squares."""
    if request.width is None:
        check_resolution(request.resolution)
        return
    check_sides(request.resolution, request.width)
    if request.align == "ffhq" and request.width != request.resolution:
        raise DistillError(
            f"size {request.width}×{request.resolution}: faces are cut out as squares: leave out --align ffhq"
        )


def content_sha256(path: Path) -> str:
    """Hash a file; "unreadable" for one that cannot be read, which is skipped later."""
    try:
        return file_sha256(path)
    except OSError:
        return "unreadable"


def _source_sha256(found: FoundPictures, workers: int, stop: threading.Event, advance: Advance) -> str:
    """Hash names and contents of all pictures and of the label file."""
    whole = hashlib.sha256()
    paths = [path for _, path in found.pictures]
    hashes = ordered(content_sha256, paths, workers=workers, stop=stop)
    for (name, _), sha256 in zip(found.pictures, hashes, strict=True):
        whole.update(f"{name}\0{sha256}\n".encode())
        advance(1)
    if found.table:
        whole.update(content_sha256(found.table.path).encode())
    return whole.hexdigest()


def _table(labels: Path | None, balance: str | None) -> tuple[LabelTable | None, str | None]:
    path, column = split_balance(balance) if balance else (labels, None)
    if labels and path != labels:
        raise DistillError(
            f"--labels {labels} and --balance {path} are two different files: use the same file for both"
        )
    table = read_labels(path) if path else None
    if table and column:
        table.require(column)
    return table, column


def _models(settings: PictureSettings) -> dict[str, str]:
    """Name the landmark model; a missing one shows before the first picture."""
    return {"landmarks_sha256": photo_detector().landmarks_sha256} if settings.align == "ffhq" else {}


def _labelled(table: LabelTable | None, names: Sequence[str]) -> int:
    """Count the pictures that the label file knows; DistillError for none."""
    if table is None:
        return 0
    labelled = sum(row is not None and any(row) for row in table.rows_of(names))
    if labelled == 0:
        raise DistillError(
            f"label file {table.path}: none of its {len(table.rows)} names is a picture of the folder, "
            f"whose first is {names[0]}"
        )
    return labelled
