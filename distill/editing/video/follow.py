"""Find the faces of a video and follow each from frame to frame, as tracks.

Every few frames all of a frame is searched; between, each face is looked for near where it was, which costs a tenth.
A face that such a search finds first is followed back to the one before, so it is not noticed late. A cut ends all
tracks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from distill.editing.video.read import Frame
from distill.faces.alignment import Floats, Pixels, ffhq_quad
from distill.faces.detection import Face
from distill.faces.photo_detection import MIN_CONFIDENCE, Box, looks, search, search_near

SEARCH_EVERY = 10  # frames
MOST_MISSING = 15  # frames without a face that a track bridges: half a second of 30 a second
CUT = 24  # of 255: mean change of a picture of 16×16 px from one frame to the next that is a cut
NEAR = 1.0  # of a face's side: how far it may have gone while it was not seen
ALIKE = 1.6  # how many times as large it may be then


class Sighting(NamedTuple):
    """Where a face is in one frame: its box, and the quad [4, 2] of its crop."""

    box: Box
    quad: Floats

    @property
    def side(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def middle(self) -> Floats:
        return np.array([self.box[0] + self.box[2], self.box[1] + self.box[3]]) / 2


class FaceTrack:
    """One face as long as it is followed: sightings by the number of the frame, `first` to `last`, in one shot."""

    def __init__(self, shot: int, index: int, sighting: Sighting) -> None:
        self.shot = shot
        self.first = self.last = index
        self.seen = {index: sighting}

    def add(self, index: int, sighting: Sighting) -> None:
        self.seen[index] = sighting
        self.first, self.last = min(self.first, index), max(self.last, index)

    @property
    def weight(self) -> float:
        """The area of its boxes, over all frames."""
        return float(sum(one.side**2 for one in self.seen.values()))


@dataclass(kw_only=True, eq=False)
class FollowedFaces:
    """All tracks, the time of each frame in seconds, and the first frame of each shot."""

    tracks: list[FaceTrack] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    shots: list[int] = field(default_factory=list)


def follow_faces(frames: Iterable[Frame], *, seconds: float) -> FollowedFaces:
    """Follow the faces of all frames; a unit of their `pts` lasts `seconds`. One stretch of frames is held."""
    found = FollowedFaces()
    live: list[FaceTrack] = []  # those that may go on, the oldest first
    held: list[Frame] = []  # since the last search of a whole frame
    before: Pixels | None = None
    for frame in frames:
        found.times.append(frame.pts * seconds)
        small = _small(frame.pixels)
        if before is None or _change(before, small) > CUT:
            found.shots.append(frame.index)
            live, held = [], []
        before = small
        live = [track for track in live if frame.index - track.last <= MOST_MISSING]
        _follow(live, frame)
        if not held or len(held) >= SEARCH_EVERY:
            new = _search(live, frame, held, shot=len(found.shots) - 1)
            live, held = [*live, *new], []
            found.tracks += new
        held.append(frame)
    return found


def _follow(live: Sequence[FaceTrack], frame: Frame) -> None:
    """Look for each face near where it was last."""
    for track in live:
        face = search_near(frame.pixels, track.seen[track.last].box)
        if face is not None and not _is_known(live, frame.index, _sighting(face)):
            track.add(frame.index, _sighting(face))


def _search(live: Sequence[FaceTrack], frame: Frame, held: Sequence[Frame], *, shot: int) -> list[FaceTrack]:
    """Search a whole frame: what is new goes on with a track that was lost nearby, or begins one that is returned."""
    look, new = looks(*frame.pixels.shape[:2])[0], list[FaceTrack]()
    for face in _exact(search(frame.pixels, look, MIN_CONFIDENCE), frame.pixels):
        sighting = _sighting(face)
        if _is_known([*live, *new], frame.index, sighting):
            continue
        lost = [track for track in live if frame.index not in track.seen]
        track = min(lost, key=lambda one: _distance(one, sighting), default=None)
        if track is None or _distance(track, sighting) > NEAR:
            new.append(FaceTrack(shot, frame.index, sighting))
            _follow_back([*live, *new], new[-1], held)
        else:
            since = [one for one in held if one.index > track.last]
            track.add(frame.index, sighting)
            _follow_back([*live, *new], track, since)
    return new


def _follow_back(live: Sequence[FaceTrack], track: FaceTrack, held: Sequence[Frame]) -> None:
    """Follow a face that was just found back through the frames before, as far as it is seen."""
    box = track.seen[track.last].box
    for frame in reversed(held):
        face = search_near(frame.pixels, box)
        if face is None or _is_known(live, frame.index, _sighting(face)):
            return
        track.add(frame.index, _sighting(face))
        box = face.box


def _exact(faces: Iterable[Face], image: Pixels) -> Iterator[Face]:
    """Look at each face again as it is looked at when it is followed: both ways must place the crop alike."""
    for face in faces:
        yield search_near(image, face.box) or face


def _sighting(face: Face) -> Sighting:
    return Sighting(face.box, ffhq_quad(face.landmarks))


def _is_known(tracks: Iterable[FaceTrack], index: int, sighting: Sighting) -> bool:
    """Tell whether a track has this face in this frame already."""
    others = [track.seen[index] for track in tracks if index in track.seen]
    return any(np.hypot(*(one.middle - sighting.middle)) < max(one.side, sighting.side) / 2 for one in others)


def _distance(track: FaceTrack, sighting: Sighting) -> float:
    """How far a face is from where a track was lost, in sides of it; inf where it is of quite another size."""
    last = track.seen[track.last]
    if max(last.side / sighting.side, sighting.side / last.side) > ALIKE:
        return float("inf")
    return float(np.hypot(*(last.middle - sighting.middle)) / last.side)


def _small(pixels: Pixels) -> Pixels:
    step = max(1, min(pixels.shape[:2]) // 128)
    picture = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    return np.asarray(picture.resize((16, 16), Image.Resampling.BOX))


def _change(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())
