"""How steady a student is on a video, with crops as they are found and smoothed: one photo under a known motion.

python benchmarks/video_stability.py PHOTO --student gender-swap
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from PIL import Image

from distill.editing.translator import Translator, make_translator
from distill.editing.video.follow import FollowedFaces, follow_faces
from distill.editing.video.read import VideoReader
from distill.editing.video.smooth import SIGMA, crops_of
from distill.faces.alignment import Floats, Pixels, warp_quad
from distill.faces.decode import read_photo
from distill.faces.paste import FaceEdit, paste_back
from distill.networks.student import load_student
from distill.weights.by_name import path_by_name

HEIGHT, WIDTH, RATE = 540, 960, 30
NOISE = 2.0  # levels of 255, of a camera


def motion(seconds: float, photo: Pixels) -> Floats:
    """The affine map [2, 3] from frame to photo, (x, y) from the corner: a head that moves at 0.25 to 0.5 Hz."""
    height, width = photo.shape[:2]
    x = WIDTH / 2 + 60 * np.sin(2.2 * seconds)
    y = HEIGHT * 0.55 + 25 * np.sin(3.1 * seconds + 1)
    scale = HEIGHT / height * (1.0 + 0.12 * np.sin(1.6 * seconds))
    angle = np.deg2rad(6 * np.sin(1.9 * seconds))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    return np.column_stack([turn, np.array([width, height]) / 2 - turn @ [x, y]])


def write_clip(path: Path, photo: Pixels, maps: list[Floats]) -> None:
    noise = np.random.default_rng(0)
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "fast"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for map in maps:
            moved = warped(photo, map, (WIDTH, HEIGHT))
            frame = np.clip(moved + noise.normal(0, NOISE, moved.shape), 0, 255).astype(np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))


def warped(image: Pixels, map: Floats, size: tuple[int, int]) -> Pixels:
    picture, data = Image.fromarray(image), tuple(map.ravel().tolist())
    return np.asarray(picture.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC))


def to_photo(points: Floats, map: Floats) -> Floats:
    return np.asarray((points + 0.5) @ map[:, :2].T + map[:, 2])


def to_frame(points: Floats, map: Floats) -> Floats:
    return np.asarray(np.linalg.solve(map[:, :2], (points - map[:, 2]).T).T - 0.5)


def rms(vectors: Floats) -> float:
    return float(np.sqrt((vectors**2).sum(axis=-1).mean()))


def flicker(frames: list[Pixels], maps: list[Floats], quad: Floats) -> float:
    """Mean change of the face from frame to frame, of 255, after the known motion is taken out."""
    still = [
        warped(one, inverse(map), (512, 512)).astype(float) for one, map in zip(frames, maps, strict=True)
    ]
    (left, top), (right, bottom) = quad.min(axis=0), quad.max(axis=0)
    x, y, side = (left + right) / 2, (top + bottom) / 2, (right - left) * 0.3
    box = np.s_[int(y - side) : int(y + side), int(x - side) : int(x + side)]
    return float(np.mean([np.abs(b[box] - a[box]).mean() for a, b in pairwise(still)]))


def inverse(map: Floats) -> Floats:
    back = np.linalg.inv(map[:, :2])
    return np.column_stack([back, -back @ map[:, 2]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--student", default="gender-swap")
    parser.add_argument("--frames", type=int, default=90)
    given = parser.parse_args()
    photo = np.asarray(Image.fromarray(read_photo(given.photo)).resize((512, 512), Image.Resampling.LANCZOS))
    maps = [motion(number / RATE, photo) for number in range(given.frames)]
    translate = make_translator(
        load_student(path_by_name(given.student, "student"), device="cpu"), style=None, size=None, batch=8
    )
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, photo, maps)
        with VideoReader(clip) as reader:
            facts = reader.facts()
        with VideoReader(clip) as reader:
            frames = list(reader.frames(facts))
    found = follow_faces(frames, seconds=float(facts.time_base))
    report(found, [frame.pixels for frame in frames], maps, translate)


def report(found: FollowedFaces, pictures: list[Pixels], maps: list[Floats], translate: Translator) -> None:
    as_found = crops_of(found, found.tracks, sigma=0)
    place = np.mean([to_photo(as_found[number][0].quad, map) for number, map in enumerate(maps)], axis=0)
    true = np.array([to_frame(place, map) for map in maps])
    print(f"{len(found.tracks)} track, crop {np.hypot(*(true[0, 3] - true[0, 0])):.0f} px wide")
    print(f"input: flicker {flicker(pictures, maps, place):.2f} of 255")
    for sigma in (0.0, SIGMA):
        quads = np.array(
            [one.quad for _, (one,) in sorted(crops_of(found, found.tracks, sigma=sigma).items())]
        )
        error = quads - true
        faces = translate(
            [warp_quad(one, quad, translate.size) for one, quad in zip(pictures, quads, strict=True)]
        )
        pasted = [
            paste_back(one, [FaceEdit(quad=quad, pixels=face)])
            for one, quad, face in zip(pictures, quads, faces, strict=True)
        ]
        centre, corners = rms(np.diff(error.mean(axis=1), axis=0)), rms(np.diff(error, axis=0))
        print(
            f"sigma {sigma:.2f} s: from frame to frame the centre errs by {centre:.3f} px, corners by {corners:.3f};"
            f" off by {rms(error):.2f} px; flicker {flicker(pasted, maps, place):.2f} of 255"
        )


if __name__ == "__main__":
    main()
