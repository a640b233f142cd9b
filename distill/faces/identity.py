"""Who is in the picture: dlib's face descriptor, 128 numbers that lie close together for one person.

The network (dlib_face_recognition_resnet_model_v1, CC0, by Davis King) was trained on the data sets FaceScrub and
VGGFace, and on pictures from the web. A model of your own goes in by $DISTILL_FACE_DESCRIPTOR and its sha256.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distill.errors import DistillError
from distill.faces.alignment import Floats, Pixels
from distill.faces.detection import face_chip
from distill.faces.dlib_files import ModelFile, dlib_module

# Two faces closer than this are of one person: dlib's own rule, right for 99.38 % of the pairs of LFW. It was made
# for sharp photographs; small or blurred pictures of different people lie closer together.
SAME_PERSON = 0.6
CHIP_SIDE, CHIP_PADDING = 150, 0.25  # what the network was trained on
NUMBERS = 128

DESCRIPTOR = ModelFile(
    kind="face descriptor model",
    variable="DISTILL_FACE_DESCRIPTOR",
    # dlib_face_recognition_resnet_model_v1.dat as published in davisking/dlib-models
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    locate="face_recognition_model_location",
)


def descriptor_sha256() -> str:
    """Return the sha256 of the descriptor model, verified. Raises DistillError where there is none."""
    return DESCRIPTOR.verified()[1]


def describe(image: Pixels, landmarks: ArrayLike, *, mirrored: bool = False) -> Floats:
    """Return the descriptor [128] of the face with these 68 landmarks in `image` [H, W, 3], about 0.2 s.

    `mirrored` describes the mirror image of that face.
    """
    chip = face_chip(image, landmarks, CHIP_SIDE, CHIP_PADDING)
    facing = np.ascontiguousarray(chip[:, ::-1] if mirrored else chip)
    return np.array(_network(DESCRIPTOR.verified()[0]).compute_face_descriptor(facing), dtype=np.float64)


def descriptor_distances(a_ND: Floats, b_MD: Floats) -> Floats:
    """Return the Euclidean distances [N, M] of descriptors: 0 for equal ones, SAME_PERSON parts people."""
    from scipy.spatial.distance import cdist

    distances: Floats = cdist(a_ND, b_MD)
    return distances


@lru_cache(maxsize=2)
def _network(path: Path) -> Any:
    try:
        return dlib_module().face_recognition_model_v1(str(path))
    except RuntimeError as error:
        raise DistillError(f"face descriptor model {path}: dlib cannot read it ({error})") from error
