"""Where a pixel lies relative to a face, and which region is usually there: how clusters without landmarks are named.

K clusters, h w px.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from distill.faces.alignment import Floats
from distill.faces.regions.landmarks import BROWS, CHIN, FaceFrame, face_points, hull_distance
from distill.faces.regions.parts import FACE

Place = Literal["face", "crown", "beside", "far", "neck", "shoulders"]
PLACES: tuple[Place, ...] = get_args(Place)
# Eye distances: how high hair stands above the brows and beside them, how far what is beside the face reaches, how
# wide a neck is to each side, and how far above the chin shoulders begin.
CROWN, TEMPLES, BESIDE, NECK, SHOULDERS = 1.3, 0.9, 0.5, 0.8, 0.2
JAW_ENDS = [0, 16]
# How many times as often as elsewhere a pixel of a place belongs to the region: set by hand.
USUAL: Mapping[str, tuple[float, ...]] = {  # in the order of PLACES
    FACE: (1.0, 0.2, 0.2, 0.02, 1.0, 0.1),
    "hair": (0.12, 1.0, 0.5, 0.1, 0.02, 0.05),
    "background": (0.02, 0.15, 0.3, 1.0, 0.05, 0.3),
    "clothes": (0.02, 0.02, 0.1, 0.1, 1.0, 2.0),
}


def places(landmarks: Floats, height: int, width: int) -> NDArray[np.int64]:
    """Return the place [h, w] of every pixel, by its number in PLACES, of the face with landmarks [68, 2]."""
    frame = FaceFrame.of(landmarks)
    near = hull_distance(face_points(landmarks, frame), height, width) / frame.distance
    brows = landmarks[BROWS] + CROWN * frame.distance * frame.up
    temples = landmarks[JAW_ENDS] + TEMPLES * frame.distance * frame.up
    head = hull_distance(np.concatenate([landmarks, brows, temples]), height, width)
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x, y], axis=-1)
    above_eyes = (pixels - frame.eyes) @ frame.up / frame.distance
    below_chin = (landmarks[CHIN] - pixels) @ frame.up / frame.distance
    aside = np.abs((pixels - frame.eyes) @ frame.right) / frame.distance
    found = np.full((height, width), PLACES.index("far"))
    where: Mapping[Place, NDArray[np.bool_]] = {  # later ones win
        "beside": near < BESIDE,
        "crown": (head <= 0) & (above_eyes > 0),
        "shoulders": (below_chin > -SHOULDERS) & (aside > NECK),
        "neck": (below_chin > 0) & (aside <= NECK),
        "face": near <= 0,
    }
    for place, here in where.items():
        found[here] = PLACES.index(place)
    return found


def usual_region(shares_P: Floats, areas_P: Floats) -> str:
    """Return the region that is likeliest to lie where a cluster does.

    `shares_P`: of the cluster's pixels in each place; `areas_P`: of all pixels. A region r puts the share
    p = usual × area / Σ (usual × area) of its pixels into each place; the likeliest has the largest Σ shares · log p.
    """
    likelihood = {}
    for region, usual in USUAL.items():
        expected = np.array(usual) * areas_P
        expected = np.maximum(expected / expected.sum(), 1e-6)
        likelihood[region] = float(shares_P @ np.log(expected))
    return max(likelihood, key=lambda region: likelihood[region])
