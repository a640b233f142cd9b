"""Find faces and their 68 landmarks with dlib, and cut dlib's own face chips.

dlib is imported and its models are opened on first use, once per process; a FaceDetector holds settings only,
so it can be sent to a worker. Coordinates are pixel indices of the image given, as in `alignment`.

Licence: the code and the model file are free, but the 68-point model was trained on iBUG 300-W, whose licence
excludes commercial use. A model of your own goes in by path and sha256.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from distill.errors import DistillError
from distill.faces.alignment import Floats, Pixels, as_points, as_rgb
from distill.faces.dlib_files import ModelFile, dlib_module

# shape_predictor_68_face_landmarks.dat as published in davisking/dlib-models
LANDMARKS_SHA256 = "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"
LANDMARKS = ModelFile(
    kind="landmark model",
    variable="DISTILL_LANDMARKS",
    sha256=LANDMARKS_SHA256,
    locate="pose_predictor_model_location",
)
FILLED_SIDE = 256  # px: a face that fills the picture is found as well at this size, and far sooner
T = TypeVar("T")
R = TypeVar("R")
CHIP_STEPS = 64  # dlib takes whole-number landmarks: chips are planned on a grid this much finer than a pixel


@dataclass(frozen=True, kw_only=True, eq=False)
class Face:
    """One face: box (left, top, right, bottom), confidence (0 barely a face, 1 clearly one), 68 landmarks."""

    box: tuple[float, float, float, float]
    confidence: float
    landmarks: Floats  # [68, 2], (x, y)

    @property
    def area(self) -> float:
        left, top, right, bottom = self.box
        return max(right - left, 0.0) * max(bottom - top, 0.0)


class FaceDetector:
    """Return the faces of an image [H, W, 3], most confident first (dlib: frontal HOG, 68 landmarks).

    The detector sees faces of about 80 pixels or more, so an image whose short side is below `detect_size`
    is enlarged for it, and one whose long side is above `max_side` is reduced. Faces below `min_confidence` are
    left out. For photos of any size see `photo_detection`.

    `landmarks_model` (else `$DISTILL_LANDMARKS`, else the packaged file) is read by dlib's C++ reader, which
    does not guard against forged files: a file other than the published one needs `landmarks_model_sha256`
    (else `$DISTILL_LANDMARKS_SHA256`).
    """

    def __init__(
        self,
        *,
        landmarks_model: Path | None = None,
        landmarks_model_sha256: str | None = None,
        detect_size: int = 256,
        max_side: int = 1024,
        min_confidence: float = 0.0,
    ) -> None:
        if not 16 <= detect_size <= 4096 or not 16 <= max_side <= 8192:
            raise DistillError(
                f"detect_size must be 16…4096 and max_side 16…8192 pixels, not {detect_size} and {max_side}"
            )
        self.landmarks_model = landmarks_model
        self.landmarks_model_sha256 = landmarks_model_sha256
        self.detect_size = detect_size
        self.max_side = max_side
        self.min_confidence = min_confidence

    def __call__(self, image: Pixels) -> list[Face]:
        pixels = as_rgb(image)
        return self._search(pixels, self._scale(pixels))

    @property
    def landmarks_sha256(self) -> str:
        """The sha256 of the landmark model, verified."""
        return self._model()[1]

    def _scale(self, image: Pixels) -> float:
        height, width = image.shape[:2]
        short, long = min(height, width), max(height, width)
        return float(min(max(1.0, self.detect_size / short), self.max_side / long))

    def _search(self, image: Pixels, scale: float) -> list[Face]:
        predictor = open_predictor(self._model()[0])
        scaled = resized(image, scale)
        # Landmarks are whole pixels: take them from whichever of the two images is larger.
        marked = scaled if scale > 1 else image
        faces = []
        for box, score in run_frontal(scaled, 0, self.min_confidence):
            corners = moved(box, scaled, image)
            landmarks = predict(predictor, marked, moved(corners, image, marked))
            left, top, right, bottom = corners.ravel().tolist()
            faces.append(
                Face(
                    box=(left, top, right, bottom),
                    confidence=score,
                    landmarks=moved(landmarks, marked, image),
                )
            )
        return faces

    def _model(self) -> tuple[Path, str]:
        return LANDMARKS.verified(self.landmarks_model, self.landmarks_model_sha256)


def each(work: Callable[[int], None], numbers: Sequence[int], *, threads: int) -> None:
    """Call `work` with every number, `threads` at a time; dlib lets go of the interpreter while it searches."""
    if threads == 1:
        for number in numbers:
            work(number)
        return
    for _ in _pool(threads).map(work, numbers):  # raises what a call raised
        pass


def ahead(
    work: Callable[[T], R], items: Iterable[T], *, threads: int, weigh: Callable[[T], int], most: int
) -> Iterator[R]:
    """Yield work(item) for each item in order, done on `threads` while the caller works on what came.

    Two items a thread are done or waiting at a time, and no more than `most` of what `weigh` says of them.
    """
    if threads < 2:
        yield from map(work, items)
        return
    waiting: deque[tuple[Future[R], int]] = deque()
    held = 0
    try:
        for item in items:
            weight = weigh(item)
            while waiting and (len(waiting) >= 2 * threads or held + weight > most):
                future, done = waiting.popleft()
                held -= done
                yield future.result()
            waiting.append((_pool(threads).submit(work, item), weight))
            held += weight
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        for future, _ in waiting:
            future.cancel()


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that live as long as the process: each has a detector of its own, which takes time to open."""
    return ThreadPoolExecutor(threads, thread_name_prefix="faces")


def face_chip(image: Pixels, landmarks: ArrayLike, size: int, padding: float = 0.25) -> Pixels:
    """Return dlib's face chip [size, size, 3] (as `dlib.get_face_chip`); black where it leaves the image."""
    return chip_of_registered([image], landmarks, size, padding)[0]


def chip_of_registered(
    images: Sequence[Pixels], landmarks: ArrayLike, size: int, padding: float = 0.25
) -> list[Pixels]:
    """Return the same chip of several registered images, placed by the landmarks of one of them."""
    dlib = dlib_module()
    details = chip_details(landmarks, size, padding)
    return [dlib.extract_image_chip(as_rgb(image), details) for image in images]


def chip_quad(landmarks: ArrayLike, size: int, padding: float = 0.25) -> Floats:
    """Return the corners [4, 2] of the chip in the image, in the order of `ffhq_quad`."""
    details = chip_details(landmarks, size, padding)
    rect, cosine, sine = details.rect, np.cos(details.angle), np.sin(details.angle)
    half = np.array([rect.width(), rect.height()]) / 2
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * half
    turned = corners @ np.array([[cosine, sine], [-sine, cosine]])
    centre = [(rect.left() + rect.right()) / 2, (rect.top() + rect.bottom()) / 2]
    return np.asarray(turned + np.array(centre), dtype=np.float64)


def chip_details(points: ArrayLike, size: int, padding: float) -> Any:
    """Fit dlib's mean face to 68 landmarks [68, 2], or to five [5, 2], as finely as they are given."""
    if size < 1 or padding < 0:
        raise DistillError(
            f"a face chip needs a positive size and a padding of 0 or more, not {size}, {padding}"
        )
    dlib = dlib_module()
    given = as_points(points, 5 if np.shape(points) == (5, 2) else 68, "landmarks")
    fine = np.rint(given * CHIP_STEPS).astype(int).tolist()
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), [dlib.point(x, y) for x, y in fine])
    plan = dlib.get_face_chip_details(shape, size, padding)
    # A similarity transform scales with its points; a rectangle from l to r is r - l + 1 wide.
    centre_x, centre_y = plan.rect.left() + plan.rect.right(), plan.rect.top() + plan.rect.bottom()
    centre_x, centre_y = centre_x / 2 / CHIP_STEPS, centre_y / 2 / CHIP_STEPS
    x, y = (plan.rect.width() / CHIP_STEPS - 1) / 2, (plan.rect.height() / CHIP_STEPS - 1) / 2
    rect = dlib.drectangle(centre_x - x, centre_y - y, centre_x + x, centre_y + y)
    return dlib.chip_details(rect, dlib.chip_dims(size, size), plan.angle)


def run_frontal(
    image: Pixels, upsampled: int, min_confidence: float
) -> list[tuple[NDArray[np.int64], float]]:
    """Return the boxes [2, 2] (left top, right bottom) of frontal faces and their confidence, the best first.

    dlib enlarges the image twice, `upsampled` times; the boxes are in its own pixels.
    """
    boxes, scores, _ = _frontal_detector().run(image, upsampled, min_confidence)
    found = sorted(zip(boxes, scores, strict=True), key=lambda pair: -pair[1])
    return [
        (np.array([[box.left(), box.top()], [box.right(), box.bottom()]]), float(score))
        for box, score in found
    ]


def resized(image: Pixels, scale: float) -> Pixels:
    """Scale an image (bicubic)."""
    if scale == 1:
        return image
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def moved(points: ArrayLike, source: Pixels, target: Pixels) -> Floats:
    """Move points [N, 2] from one scaling of an image to another (pixel centres stay pixel centres)."""
    factor = np.array(target.shape[1::-1]) / source.shape[1::-1]
    return np.asarray((np.asarray(points, dtype=np.float64) + 0.5) * factor - 0.5)


def predict(predictor: Any, image: Pixels, corners: Floats) -> NDArray[np.int64]:
    """Return the 68 landmarks [68, 2] of the face in a box [2, 2]."""
    left, top, right, bottom = np.rint(corners).astype(int).ravel().tolist()
    shape = predictor(image, dlib_module().rectangle(left, top, right, bottom))
    if shape.num_parts != 68:
        raise DistillError(f"the landmark model gives {shape.num_parts} points; 68 are needed (iBUG order)")
    return np.array([(point.x, point.y) for point in shape.parts()])


_own = threading.local()
_opening = threading.Lock()  # each model takes 0.6 s to open: threads that begin together wait for the first


def _frontal_detector() -> Any:
    """The detector of this thread: one must not search two images at once."""
    if not hasattr(_own, "detector"):
        with _opening:
            _own.detector = copy.deepcopy(_opened_detector())
    return _own.detector


@lru_cache(maxsize=1)
def _opened_detector() -> Any:
    return dlib_module().get_frontal_face_detector()


def open_predictor(path: Path) -> Any:
    """Open a landmark model, once per process."""
    with _opening:
        return _opened_predictor(path)


@lru_cache(maxsize=2)
def _opened_predictor(path: Path) -> Any:
    try:
        return dlib_module().shape_predictor(str(path))
    except RuntimeError as error:
        raise DistillError(f"landmark model {path}: dlib cannot read it ({error})") from error
