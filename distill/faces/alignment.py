"""The FFHQ crop of a face, from its 68 landmarks: pure arithmetic on pixels, no detector.

The procedure is that of the FFHQ data set (Karras et al. 2019, appendix A): a square that follows eyes and
mouth, cut out of the photo, with mirrored and blurred surroundings where it leaves the photo.

Coordinates are (x, y) pixel indices as dlib gives them: the centre of the upper left pixel is (0, 0), an
image of side S reaches from -0.5 to S - 0.5. A quad is float64 [4, 2], the upper left, lower left, lower
right and upper right corner.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from distill.errors import DistillError

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # left and right as seen in the image
MOUTH_CORNERS = [48, 54]
OVERSAMPLING = 4  # side of the warp / side of the output; see warp_quad
LARGEST_PADDED = 300_000_000  # pixels; a quad that needs more lies far outside its image


def ffhq_quad(landmarks: ArrayLike) -> Floats:
    """Return the corners [4, 2] of the FFHQ crop of 68 landmarks [68, 2], in the landmarks' own pixels.

    Half the side is max(2.0 × eye distance, 1.8 × eye-to-mouth distance); the centre lies 0.1 × eye-to-mouth
    below the eyes (FFHQ). Raises DistillError for anything but 68 finite points with eyes and mouth apart.
    """
    points = as_points(landmarks, 68, "landmarks")
    left_eye, right_eye = points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0)
    eyes = (left_eye + right_eye) / 2
    eye_to_eye = right_eye - left_eye
    eye_to_mouth = points[MOUTH_CORNERS].mean(axis=0) - eyes
    right = eye_to_eye - _quarter_turn(eye_to_mouth)
    length = np.hypot(*right)
    if length < 1e-6:
        raise DistillError("landmarks: eyes and mouth give no direction (all on one point, or upside down)")
    right *= max(2.0 * np.hypot(*eye_to_eye), 1.8 * np.hypot(*eye_to_mouth)) / length
    down = _quarter_turn(right)
    centre = eyes + 0.1 * eye_to_mouth
    corners = [centre - right - down, centre - right + down, centre + right + down, centre + right - down]
    return np.array(corners, dtype=np.float64)


def framing_error(landmarks: ArrayLike, size: int) -> float:
    """Return how far the FFHQ quad of `landmarks` lies from the frame of their own image, of side `size`.

    The largest distance between corresponding corners, divided by the side: 0 is exactly FFHQ framing, 0.1 a
    corner that is off by a tenth of the image.
    """
    frame = np.array([[0, 0], [0, size], [size, size], [size, 0]], dtype=np.float64) - 0.5
    return float(np.hypot(*(ffhq_quad(landmarks) - frame).T).max() / size)


def align(
    image: Pixels,
    landmarks: ArrayLike,
    size: int,
    *,
    mode: Literal["ffhq"] = "ffhq",
    transform_size: int | None = None,
    padding: bool = True,
) -> Pixels:
    """Return the FFHQ crop [size, size, 3] of the face with these 68 landmarks in `image` [H, W, 3].

    `mode` is "ffhq"; dlib's own chip is `distill.faces.detection.face_chip`. The rest is as in `warp_quad`.
    """
    if mode != "ffhq":
        raise DistillError(
            f"alignment mode {mode!r} is not known here: use 'ffhq' (dlib's chip is face_chip)"
        )
    return warp_quad(image, ffhq_quad(landmarks), size, transform_size=transform_size, padding=padding)


def warp_quad(
    image: Pixels, quad: ArrayLike, size: int, *, transform_size: int | None = None, padding: bool = True
) -> Pixels:
    """Return what lies inside `quad` [4, 2] of `image` [H, W, 3] as a square [size, size, 3].

    Registered images are warped by the quad of one of them. With `padding`, what lies outside the image is
    mirrored, blurred and faded to the median colour, the blur beginning shortly inside the image; without, it
    is black.

    `transform_size` is the side of the bilinear warp that is then reduced to `size` (Lanczos). The default of
    4 × size is FFHQ's own 4096 for 1024, and more would add nothing: after `_shrink` the quad's side is below
    4 × size, so the warp skips no pixel.
    """
    picture, corners = Image.fromarray(as_rgb(image)), as_points(quad, 4, "quad")
    side = OVERSAMPLING * size if transform_size is None else transform_size
    if size < 1 or side < 1:
        raise DistillError(f"cannot warp to {size} pixels through {side}: both must be positive")
    picture, corners = _shrink(picture, corners, size)
    picture, corners = _crop(picture, corners)
    if padding:
        picture, corners = _pad(picture, corners)
    # Pillow counts from the corner of the first pixel, a quad from its centre.
    data = tuple((corners + 0.5).ravel().tolist())
    picture = picture.transform((side, side), Image.Transform.QUAD, data, Image.Resampling.BILINEAR)
    if side != size:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.array(picture)


def quad_cut(quad: ArrayLike, height: int, width: int, size: int) -> Floats:
    """Return the corners [4, 2] of what `warp_quad` shows of an image [height, width, 3], in the image's pixels.

    `quad` itself, but for images that are reduced first: there the crop is moved by less than a quarter of an output
    pixel, which can be several pixels of the image.
    """
    corners = as_points(quad, 4, "quad")
    factor = _reduction(corners, size)
    if factor <= 1:
        return corners
    scale = np.array([width, height]) / _reduced(width, height, factor)
    return np.asarray((corners / factor + 0.5) * scale - 0.5)


def blurred_margins(quad: ArrayLike, height: int, width: int, size: int) -> Floats:
    """Return how far inwards from each edge of the image `warp_quad` blurs it: [[left, top], [right, bottom]] px.

    0 where the quad keeps away from that edge.
    """
    corners = as_points(quad, 4, "quad")
    factor = max(_reduction(corners, size), 1)
    corners = corners / factor
    missing = _missing(corners, *_reduced(width, height, factor))
    if not _leaves(corners, missing):
        return np.zeros((2, 2))
    return np.where(missing > 0, _padding(corners, missing) * (factor / 3), 0.0)


def _shrink(picture: Image.Image, quad: Floats, size: int) -> tuple[Image.Image, Floats]:
    """Reduce the picture by a whole factor when the quad is at least four times as large as the output."""
    factor = _reduction(quad, size)
    if factor <= 1:
        return picture, quad
    # Plain division moves the crop by less than a quarter of an output pixel; FFHQ itself is cut this way.
    reduced = _reduced(*picture.size, factor)
    return picture.resize(reduced, Image.Resampling.LANCZOS), quad / factor


def _reduction(quad: Floats, size: int) -> int:
    return int(_side(quad) / size * 0.5)


def _reduced(width: int, height: int, factor: int) -> tuple[int, int]:
    return max(1, round(width / factor)), max(1, round(height / factor))


def _crop(picture: Image.Image, quad: Floats) -> tuple[Image.Image, Floats]:
    """Cut away what the quad and its border do not touch."""
    low, high = _bounds(quad)
    border = _border(quad)
    left, top = np.maximum(low - border, 0).tolist()
    right, bottom = np.minimum(high + border, picture.size).tolist()
    if left >= right or top >= bottom:
        where = f"from {low.tolist()} to {high.tolist()}"
        raise DistillError(f"quad {where} lies outside its image of {picture.width}×{picture.height} pixels")
    return picture.crop((left, top, right, bottom)), np.subtract(quad, (left, top))


def _pad(picture: Image.Image, quad: Floats) -> tuple[Image.Image, Floats]:
    """Surround the picture by its blurred mirror image, faded to the median colour, if the quad leaves it."""
    missing = _missing(quad, *picture.size)
    if not _leaves(quad, missing):
        return picture, quad
    from scipy.ndimage import gaussian_filter

    (left, top), (right, bottom) = _padding(quad, missing).tolist()
    width, height = picture.width + left + right, picture.height + top + bottom
    if width * height > LARGEST_PADDED:
        raise DistillError(
            f"quad needs {width}×{height} pixels of surroundings: it lies far outside its image"
        )
    around = ((top, bottom), (left, right), (0, 0))
    pixels = np.pad(np.asarray(picture, dtype=np.float32), around, mode="reflect")
    # 1 at the outer rim, 0 where the picture begins, negative inside it.
    outside = np.maximum(_outside(height, top, bottom)[:, None], _outside(width, left, right))[..., None]
    sigma = 0.02 * _side(quad)
    pixels += (gaussian_filter(pixels, (sigma, sigma, 0)) - pixels) * np.clip(3 * outside + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(outside, 0, 1)
    padded = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    return padded, np.add(quad, (left, top))


def _missing(quad: Floats, width: int, height: int) -> NDArray[np.int64]:
    """Pixels that the image lacks around the quad and its border: [[left, top], [right, bottom]]."""
    low, high = _bounds(quad)
    border = _border(quad)
    return np.maximum([border - low, high - (width, height) + border], 0)


def _leaves(quad: Floats, missing: NDArray[np.int64]) -> bool:
    return bool(missing.max() > _border(quad) - 4)


def _padding(quad: Floats, missing: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(missing, round(0.3 * _side(quad)))


def _outside(length: int, before: int, after: int) -> NDArray[np.float32]:
    position = np.arange(length, dtype=np.float32)
    return 1 - np.minimum(position / before, (length - 1 - position) / after)


def _bounds(quad: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.floor(quad.min(axis=0)).astype(np.int64), np.ceil(quad.max(axis=0)).astype(np.int64)


def _border(quad: Floats) -> int:
    return max(round(0.1 * _side(quad)), 3)


def _side(quad: Floats) -> float:
    return float(np.hypot(*(quad[3] - quad[0])))


def _quarter_turn(vector: Floats) -> Floats:
    """Turn "right" into "down": (x, y) → (-y, x)."""
    return np.array([-vector[1], vector[0]])


def as_points(values: ArrayLike, count: int, what: str) -> Floats:
    """Return `count` points as float64 [count, 2], or raise DistillError naming `what`."""
    points = np.asarray(values, dtype=np.float64)
    if points.shape != (count, 2) or not np.isfinite(points).all() or np.abs(points).max() > 1e9:
        raise DistillError(f"{what}: {count} finite (x, y) points are needed, got shape {list(points.shape)}")
    return points


def as_rgb(image: NDArray[Any]) -> Pixels:
    """Return the image in C order, or raise DistillError if it is not uint8 [H, W, 3]."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DistillError(f"image: uint8 [H, W, 3] is needed, not {image.dtype} {list(image.shape)}")
    return np.ascontiguousarray(image)
