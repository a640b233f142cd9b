r"""Photographs, and the same photographs with one or two attributes changed as a teacher changes them, measured.

    python -m stylegan_weights.making.photo_attributes data/faces64.npz --out data/photo-attributes
    distill train-pix2pix --data data/photo-attributes --out runs/attributes

What `photo_pairs` makes of one edit, this makes of many, as a data set that a student of conditions learns from: of
each photograph of the split `train` one candidate for each of gender, age and smile, and one for two of them, each by
a strength of its own. Gender and smile go to the side where the photograph is not. What the teacher changes over the
whole face or background at once, as pale skin with age, is left out of the edit. A pair stays where the
builtin scorer sees each asked attribute change as asked, by enough. The same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from distill.attributes.builtin import BuiltinScorer
from distill.attributes.protocol import Kind
from distill.directions.file import read_direction
from distill.editing.transfer import transferred
from distill.errors import DistillError
from distill.faces.detection import FaceDetector
from distill.generation.selections.measured import MeasuredChanges
from distill.parallel import ordered
from distill.progress import Progress
from distill.shards.changes import asked_column
from distill.shards.collect import Collection, Entry, collect, rows_per_shard
from distill.stylegan2.load import load_generator
from distill.stylegan2.mixing import drawn
from stylegan_weights.making.face_codes import face_codes
from stylegan_weights.making.photo_pairs import COMPONENTS, Photographs, Pixels

ATTRIBUTES = ("gender", "age", "smile")
KINDS: tuple[Kind, ...] = ("probability", "value", "probability")
LEAST = (0.25, 6.0, 0.25)  # that an asked attribute changes by, in units of its score
STRENGTHS = (1.5, 4.5)  # along a direction, drawn evenly between these
BOTH = 0.8  # times as much where two attributes are asked for
TINT = (16.0, 8.0)  # px: differences of brightness and of colour as broad as that are left out
EDITS = 4  # candidates of a photograph
MEASURED = MeasuredChanges(attributes=ATTRIBUTES, kinds=KINDS, min_changes=LEAST)

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Maker:
    """Edits photographs; `vectors` [K, L, D] are the directions of the attributes."""

    photographs: Photographs
    vectors: torch.Tensor
    scorer: BuiltinScorer
    detector: FaceDetector

    def entries(self, number: int, first: int) -> list[Entry]:
        """Make the EDITS candidates of one photograph, numbered from `first` on."""
        photo, candidates = self.photographs.images[number], range(first, first + EDITS)
        faces = self.detector(photo)
        if not faces:
            return [Entry(candidate=at, reason="face.none") for at in candidates]
        before = self.scores([photo], faces[:1])[0]
        asked_EK = asked(number, before)
        steps_ELD = torch.einsum("ek,kld->eld", torch.from_numpy(asked_EK).float(), self.vectors)
        ws = self.photographs.ws(number)
        plain, *edited = drawn(self.photographs.generator, torch.cat([ws, ws + steps_ELD])).numpy()
        targets = [
            transferred(photo, plain, untinted(plain, picture), draw=bool(asked_K[0]))
            for picture, asked_K in zip(edited, asked_EK, strict=True)
        ]
        after_EK = self.scores(targets, faces[:1] * EDITS)
        return [
            entry(at, {"source": photo, "target": target}, asked_K, before, after)
            for at, target, asked_K, after in zip(candidates, targets, asked_EK, after_EK, strict=True)
        ]

    def scores(self, images: list[Pixels], faces: list[Any]) -> NDArray[np.float32]:
        """Score images with their faces: [N, K]."""
        seen = self.scorer(np.stack(images), faces)
        return np.stack([seen[name] for name in ATTRIBUTES], axis=1)


def entry(at: int, images: dict[str, Pixels], asked_K: Floats, before_K: Floats, after_K: Floats) -> Entry:
    """Make a row of a pair, with what was asked and both scores of every attribute, or the reason against it."""
    if reason := MEASURED.fault(after_K - before_K, asked_K):
        return Entry(candidate=at, reason=reason)
    columns: dict[str, Any] = {}
    for name, wish, before, after in zip(ATTRIBUTES, asked_K, before_K, after_K, strict=True):
        columns[f"params/{asked_column(name)}"] = np.float32(wish)
        columns[f"scores/{name}"] = np.array([before, after], np.float32)
    return Entry(candidate=at, images=images, columns=columns)


def untinted(plain: Pixels, edited: Pixels) -> Pixels:
    """Take out of `edited` [H, W, 3] by how much broad areas are brighter or of another colour than in `plain`."""
    difference = edited.astype(np.float64) - plain
    bright = difference.mean(axis=2, keepdims=True)
    tint = gaussian_filter(bright, (TINT[0], TINT[0], 0)) + gaussian_filter(
        difference - bright, (TINT[1], TINT[1], 0)
    )
    return np.clip(edited - tint, 0, 255).round().astype(np.uint8)


def asked(number: int, before_K: NDArray[np.float32]) -> NDArray[np.float64]:
    """Draw what is asked of a photograph: strengths [E, K], 0 where an attribute is left alone."""
    rng = np.random.default_rng(number)
    size_EK = rng.uniform(*STRENGTHS, (EDITS, len(ATTRIBUTES)))
    gender, _, smile = before_K
    way_EK = np.stack(
        [
            np.full(EDITS, -1.0 if gender > 0.5 else 1.0),
            rng.choice([-1.0, 1.0], EDITS),
            np.full(EDITS, -1.0 if smile > 0.5 else 1.0),
        ],
        axis=1,
    )
    named_EK = np.eye(EDITS, len(ATTRIBUTES))
    named_EK[-1, rng.choice(len(ATTRIBUTES), 2, replace=False)] = BOTH
    return size_EK * way_EK * named_EK


@lru_cache(maxsize=1)
def open_maker(file: Path) -> tuple[Maker, list[int]]:
    """Open pictures, teacher, directions and scorer; also the numbers of the photographs to edit."""
    torch.set_num_threads(1)
    stored = np.load(file)
    train = stored["meta"][stored["row"]][:, 2] == "train"
    codes, _ = face_codes(stored["images"], stored["marks"], COMPONENTS, train)
    vectors = [read_direction(name, generator="portraits").vector for name in ATTRIBUTES]
    maker = Maker(
        photographs=Photographs(stored["images"], codes, load_generator("portraits")),
        vectors=torch.stack(vectors),
        scorer=BuiltinScorer(ATTRIBUTES),
        detector=FaceDetector(),
    )
    numbers = np.flatnonzero(train & ~stored["flip"].astype(bool))  # training mirrors them itself
    return maker, numbers.tolist()


def made(file: Path, place: int) -> list[Entry]:
    maker, numbers = open_maker(file)
    return maker.entries(numbers[place], place * EDITS)


def make_data_set(file: Path, out: Path, workers: int, limit: int | None) -> None:
    maker, numbers = open_maker(file)
    count = len(numbers[:limit])
    recipe = {
        "task": "attributes",
        "inputs": ["source"],
        "target": "target",
        "resolution": maker.photographs.generator.resolution,
        "codec": "raw",
        "shard_size": rows_per_shard(maker.photographs.generator.resolution, roles=2),
        "select": {
            "name": "measured",
            "attributes": ATTRIBUTES,
            "kinds": KINDS,
            "min_changes": LEAST,
            "scorer": "builtin",
            "scorer_sha256": maker.scorer.sha256,
        },
        "source": {
            "kind": "photographs",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "rows": count,
        },
    }

    def entries(first: int) -> Iterator[Entry]:
        places = range(first // EDITS, count)
        rows = ordered(partial(made, file), places, workers=workers, stop=threading.Event())
        yield from islice((row for part in rows for row in part), first % EDITS, None)

    with Progress(count * EDITS, noun="candidate") as progress:
        collection = Collection(folder=out, recipe=recipe, candidates=count * EDITS, entries=entries)
        reports = collect(collection, advance=progress.advance, skip=progress.skip)
    print(f"{sum(report.rows for report in reports)} pairs of {count * EDITS} candidates")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--limit", type=int, help="photographs, for a trial")
    chosen = parser.parse_args()
    try:
        make_data_set(chosen.photographs, chosen.out, chosen.workers, chosen.limit)
    except DistillError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
