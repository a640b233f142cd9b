r"""Make drawings of a folder of photographs of faces: flat colours and ink lines, as in a comic.

    python -m stylegan_weights.making.draw_photos PHOTOGRAPHS --out drawings

Three steps, all in CIE Lab. Edge-preserving smoothing (bilateral, three times) takes away texture. A palette of ten
colours of the picture's own (k-means) makes what is left flat. Ink goes where the lightness is a valley or the dark
side of an edge: a difference of Gaussians in shares of its local strength, so that a dark face gets as clear lines as
a light one (Winnemöller et al. 2012, with a threshold that keeps weak lines only where they continue strong ones).
Along the 68 landmarks a weaker edge is enough, so eyes, brows, nose, mouth and jaw keep their outlines at 64 px. A
photograph without a face is drawn without that help. All lengths below are of pictures of 128 px; others are drawn at
that size. Each drawing is a PNG named like its photograph; one that is there already is left alone.
"""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter
from skimage.color import lab2rgb, rgb2lab
from skimage.draw import line
from skimage.filters import apply_hysteresis_threshold
from skimage.morphology import remove_small_objects
from skimage.restoration import denoise_bilateral
from sklearn.cluster import KMeans

from distill.errors import DistillError
from distill.faces.decode import read_photo
from distill.faces.detection import FaceDetector
from distill.pixels import write_png
from distill.progress import Progress

SIDE = 128  # px
COLOURS = 10
SATURATION = 1.2
DARKEST, LIGHTEST = 16.0, 96.0  # lightness that the picture is stretched to
STRETCH = 0.4  # how far: in full it would lighten dark skin
INK = (6.0, 0.0, 0.0)  # Lab
FINE, COARSE = 0.8, 1.28  # px, the two Gaussians whose difference is an edge
AROUND = 10.0  # px, over which the strength of edges is averaged
WEAK, STRONG, FULL = 0.9, 1.6, 2.0  # strength of an edge that continues a line, begins one, is black
SPECK = 8  # px: lines of no more are left out
ELSEWHERE, ON_FEATURES = 0.9, 0.7  # factor on edges, and how much more along landmarks
REACH = 2.5  # px from a landmark's curve
CURVES = (  # of the 68 landmarks: jaw, brows, nose, eyes, lips
    (*range(17),),
    (*range(17, 22),),
    (*range(22, 27),),
    (*range(27, 31),),
    (*range(31, 36),),
    (*range(36, 42), 36),
    (*range(42, 48), 42),
    (*range(48, 60), 48),
    (*range(60, 68), 60),
)

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    try:
        draw_folder(chosen.photographs, chosen.out)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def draw_folder(photographs: Path, out: Path) -> None:
    files = sorted(file for file in photographs.iterdir() if file.is_file())
    out.mkdir(parents=True, exist_ok=True)
    detector, came = FaceDetector(), Counter[str]()
    with Progress(len(files), noun="photograph") as progress:
        for file in files:
            drawing = out / f"{file.stem}.png"
            if drawing.exists():
                came["there already"] += 1
                progress.skip(1)
                continue
            photo = at_side(read_photo(file))
            faces = detector(photo)
            write_png(drawing, drawn(photo, faces[0].landmarks if faces else None))
            came["drawn" if faces else "drawn without landmarks"] += 1
            progress.advance(1)
    print(", ".join(f"{count} {what}" for what, count in came.items()))


def at_side(photo: Pixels) -> Pixels:
    if photo.shape[:2] == (SIDE, SIDE):
        return photo
    return np.asarray(Image.fromarray(photo).resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def drawn(photo: Pixels, landmarks: Floats | None) -> Pixels:
    """Draw a photograph [128, 128, 3]; landmarks [68, 2] in its pixels."""
    lab = rgb2lab(photo)
    ink = ink_lines(smoothed(lab, colour=0.006, reach=1.5, times=1)[..., 0], features(landmarks))[..., None]
    colours = flat_colours(smoothed(lab, colour=0.013, reach=2.5, times=3))
    picture = lab2rgb(colours * (1 - ink) + np.array(INK) * ink)
    return np.asarray((picture.clip(0, 1) * 255).round(), dtype=np.uint8)


def smoothed(lab: Floats, *, colour: float, reach: float, times: int) -> Floats:
    for _ in range(times):
        shares = lab / 100 + 1.28  # the filter takes no negative numbers
        shares = denoise_bilateral(
            shares, sigma_color=colour, sigma_spatial=reach, channel_axis=-1, mode="edge"
        )
        lab = (shares - 1.28) * 100
    return lab


def flat_colours(lab: Floats) -> Floats:
    """Give each pixel one of few colours; borders are rounded and softened by less than a pixel."""
    lightness = lab[..., 0]
    low, high = np.percentile(lightness, [1, 99])
    full = DARKEST + (LIGHTEST - DARKEST) * ((lightness - low) / max(high - low, 1.0)).clip(0, 1)
    vivid = np.dstack([lightness + STRETCH * (full - lightness), lab[..., 1:] * SATURATION])
    palette: Any = KMeans(COLOURS, n_init=2, max_iter=40, random_state=0)
    palette.fit(vivid[::2, ::2].reshape(-1, 3))
    nearest = palette.predict(vivid.reshape(-1, 3)).reshape(lightness.shape)
    shares = np.stack([gaussian_filter((nearest == c).astype(float), 0.8) ** 4 for c in range(COLOURS)])
    return np.einsum("chw,cd->hwd", shares / shares.sum(axis=0), palette.cluster_centers_)


def ink_lines(lightness: Floats, nearness: Floats) -> Floats:
    """Return how much ink [H, W] lies where, from 0 to 1."""
    edges = gaussian_filter(lightness, COARSE) - gaussian_filter(lightness, FINE)
    strength = np.sqrt(gaussian_filter(edges**2, AROUND))
    edges = edges / (strength + 0.6) * (ELSEWHERE + ON_FEATURES * nearness)
    lines = remove_small_objects(apply_hysteresis_threshold(edges, WEAK, STRONG), max_size=SPECK)
    begin = WEAK / 2
    ink = ((edges - begin) / (FULL - begin)).clip(0, 1) ** 0.7
    return np.asarray(ink * binary_dilation(lines))


def features(landmarks: Floats | None) -> Floats:
    """Return how near [H, W] the curves of a face are, from 0 to 1; 0 everywhere without a face."""
    if landmarks is None:
        return np.zeros((SIDE, SIDE))
    away = np.ones((SIDE, SIDE), dtype=bool)
    for curve in CURVES:
        points = np.rint(landmarks[list(curve)]).astype(int)
        for (x, y), (next_x, next_y) in pairwise(points):
            rows, columns = line(y, x, next_y, next_x)
            inside = (rows >= 0) & (rows < SIDE) & (columns >= 0) & (columns < SIDE)
            away[rows[inside], columns[inside]] = False
    return np.exp(-((distance_transform_edt(away) / REACH) ** 2) / 2)


if __name__ == "__main__":
    main()
