r"""Photographs, and the same photographs edited as a teacher edits: for students that will see photographs.

    python -m stylegan_weights.making.photo_pairs data/faces64.npz --edit gender --out pairs
    distill import pairs --from folders --inputs source --target target --out data/photo-gender
    python -m stylegan_weights.making.photo_pairs data/faces64.npz --edit style --out triplets
    distill import triplets --from folders --inputs content,style --target mixed --out data/photo-style
    python -m stylegan_weights.making.photo_pairs data/faces64.npz --edit drawing --out drawn

The photographs that `portraits` was taught have latents that spell them (`face_codes`), but what it draws of them is
soft and misses what no component tells. So the *edit* is taken from the teacher, and the rest from the photograph:
the target is the photograph plus the difference between the pictures of the edited latent and of the latent. For the
other gender, where that difference is great, as where hair comes or goes, it is the picture of the edited latent. A
pair stays where the builtin scorer sees what was asked for. For a drawing the target is what the child `drawings`
makes of the photograph's latent: nothing of the photograph should stay. Photographs of `val` and `test` take no part.
The same command leaves alone what is there.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.attributes.open import open_scorer
from distill.directions.file import read_direction
from distill.editing.transfer import NotKept, PhotoEditor, as_drawn, asked_change
from distill.errors import DistillError
from distill.faces.detection import Face, FaceDetector
from distill.pixels import write_png
from distill.progress import Progress
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.stylegan2.mixing import drawn, mixed
from stylegan_weights.making.face_codes import FaceCodes, face_codes

COMPONENTS = 160  # as `learn_faces` had them

Pixels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--edit", choices=("gender", "age", "style", "drawing"), required=True)
    parser.add_argument("--strength", type=float, help="along the direction of gender or age")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    try:
        make_pairs(chosen.photographs, chosen.edit, chosen.strength, chosen.out)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def make_pairs(file: Path, edit: str, strength: float | None, out: Path) -> None:
    stored = np.load(file)
    train = stored["meta"][stored["row"]][:, 2] == "train"
    codes, _ = face_codes(stored["images"], stored["marks"], COMPONENTS, train)
    photographs = Photographs(stored["images"], codes, load_generator("portraits"))
    numbers = np.flatnonzero(train & ~stored["flip"].astype(bool))  # training mirrors them itself
    editor: StyleEditor | AttributeEditor | DrawingEditor
    if edit == "style":
        editor = StyleEditor(photographs, numbers)
    elif edit == "drawing":
        editor = DrawingEditor(photographs, load_generator("drawings"))
    else:
        editor = AttributeEditor(photographs, edit, strength)
    detector, came = FaceDetector(), Counter[str]()
    with Progress(len(numbers), noun="photograph") as progress:
        for number in numbers.tolist():
            progress.advance(1)
            if any(out.glob(f"*/{number:05}.png")):
                came["there already"] += 1
                continue
            try:
                keep(editor(number, only_face(detector, photographs.images[number])), out, f"{number:05}.png")
                came["kept"] += 1
            except NotKept as reason:
                came[str(reason)] += 1
    print(", ".join(f"{what} {count}" for what, count in came.items()))


def only_face(detector: FaceDetector, photo: Pixels) -> Face:
    faces = detector(photo)
    if not faces:
        raise NotKept("no face")
    return faces[0]


def keep(pictures: Mapping[str, Pixels], out: Path, name: str) -> None:
    for role, picture in pictures.items():
        (out / role).mkdir(parents=True, exist_ok=True)
        write_png(out / role / name, picture)


@dataclass(frozen=True, eq=False)
class Photographs:
    """Pictures [N, H, H, 3], and the latents that spell them."""

    images: Pixels
    codes: FaceCodes
    generator: Generator

    def ws(self, number: int) -> Tensor:
        """Return w+ [1, L, D]; what no component tells is drawn anew, the same for a photograph each time."""
        z = self.codes.latents(np.array([number]), self.generator.z_dim, np.random.default_rng(number))
        return self.generator.map(z).clone()

    def edited(self, number: int, ws_2LD: Tensor, face: Face, *, draw: bool) -> Pixels:
        """Edit a photograph as the second latent differs from the first, its own; it must stay the same person."""
        return as_drawn(self.generator, self.images[number], ws_2LD, face, draw=draw)[0]


class AttributeEditor:
    """The other gender, or a face some years older: source and target."""

    def __init__(self, photographs: Photographs, attribute: str, strength: float | None) -> None:
        self.photographs = photographs
        scorer = open_scorer("builtin", attribute)
        self.edit = PhotoEditor(
            generator=photographs.generator,
            vector=read_direction(attribute, generator="portraits").vector,
            change=asked_change(attribute, scorer.kinds[attribute], strength=strength),
            scorer=scorer,
        )

    def __call__(self, number: int, face: Face) -> dict[str, Pixels]:
        photo = self.photographs.images[number]
        return {"source": photo, "target": self.edit(photo, self.photographs.ws(number), face).target}


class StyleEditor:
    """The photograph in the style of another: content, style, mixed, crossed over at half of the layers."""

    def __init__(self, photographs: Photographs, numbers: NDArray[np.int64]) -> None:
        self.photographs = photographs
        order = np.random.default_rng(0).permutation(numbers)
        self.style_of = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))

    def __call__(self, number: int, face: Face) -> dict[str, Pixels]:
        photographs, other = self.photographs, self.style_of[number]
        content, half = photographs.ws(number), photographs.generator.num_ws // 2
        both = torch.cat([content, mixed(content, photographs.ws(other), half)[0]])
        target = photographs.edited(number, both, face, draw=False)
        return {"content": photographs.images[number], "style": photographs.images[other], "mixed": target}


@dataclass(frozen=True, eq=False)
class DrawingEditor:
    """The photograph drawn by a child of the teacher: source and target."""

    photographs: Photographs
    child: Generator

    def __call__(self, number: int, face: Face) -> dict[str, Pixels]:
        (target,) = drawn(self.child, self.photographs.ws(number)).numpy()
        return {"source": self.photographs.images[number], "target": target}


if __name__ == "__main__":
    main()
