"""From sightings of faces to the crops of each frame: which faces, bridged where one was missed, and smoothed.

The filter looks both ways in time, so crops do not lag behind: around each frame a parabola is fitted to the corners
over time, weighted by a Gaussian (a Savitzky-Golay filter with soft ends, at any times). Speed and acceleration are
left as they are; a mean would cut every turn short.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from distill.editing.video.follow import FaceTrack, FollowedFaces
from distill.faces.alignment import Floats

SIGMA = 0.13  # s, of the Gaussian; least error of the corners, of 0.05 to 0.3, for a head moved at 0.5 Hz
REACH = 3  # sigmas
LEAST_SEEN = 4  # frames: fewer sightings are a mistake of the detector, unless the shot is as short

FADE = 0.2  # s: an edit comes and goes so softly where a face turns up, or away, within a shot


class CropPlace(NamedTuple):
    """Where the crop of a face lies in a frame, and how much of its edit is to be seen, 0 to 1."""

    quad: Floats  # [4, 2]
    opacity: float = 1.0


CropsByFrame = dict[int, list[CropPlace]]


def crops_of(found: FollowedFaces, tracks: Sequence[FaceTrack], *, sigma: float = SIGMA) -> CropsByFrame:
    """Return the crops of each frame that shows one of the tracks; `sigma` 0 leaves them as they were seen."""
    times = np.array(found.times)
    crops: CropsByFrame = {}
    for track in tracks:
        numbers = np.arange(track.first, track.last + 1)
        quads = smooth(bridged(track, times), times[numbers], sigma)
        for number, quad, opacity in zip(numbers.tolist(), quads, _fading(found, track, times), strict=True):
            crops.setdefault(number, []).append(CropPlace(quad, float(opacity)))
    return crops


def _fading(found: FollowedFaces, track: FaceTrack, times: Floats) -> Floats:
    """The opacity of each frame of a track; it does not fade at a cut."""
    start, end = shot_frames(found, track.shot)
    own = times[track.first : track.last + 1]
    opacity = np.ones_like(own)
    if track.first > start:
        opacity = np.minimum(opacity, (own - times[track.first - 1]) / FADE)
    if track.last < end - 1:
        opacity = np.minimum(opacity, (times[track.last + 1] - own) / FADE)
    return np.asarray(opacity)


def shot_frames(found: FollowedFaces, shot: int) -> tuple[int, int]:
    """Return the first frame of a shot, and the first after it."""
    ends = [*found.shots[1:], len(found.times)]
    return found.shots[shot], ends[shot]


def chosen_tracks(found: FollowedFaces, *, all_faces: bool, face_index: int) -> list[FaceTrack]:
    """Return the tracks to translate: all, or one face a frame, that which is largest over its time.

    `face_index` K: the K-th in that order, from 0.
    """
    left = []
    for track in found.tracks:
        start, end = shot_frames(found, track.shot)
        if len(track.seen) >= min(LEAST_SEEN, end - start):
            left.append(track)
    if all_faces:
        return left
    chosen: list[FaceTrack] = []
    for _ in range(face_index + 1):
        chosen = []
        for track in sorted(left, key=lambda one: -one.weight):
            if all(track.last < other.first or other.last < track.first for other in chosen):
                chosen.append(track)
        left = [track for track in left if track not in chosen]
    return chosen


def bridged(track: FaceTrack, times: Floats) -> Floats:
    """Return the quads [N, 4, 2] of a track from its first to its last frame; what was missed lies between."""
    seen = sorted(track.seen)
    corners = np.array([track.seen[number].quad for number in seen]).reshape(len(seen), 8)
    wanted = times[track.first : track.last + 1]
    return np.stack([np.interp(wanted, times[seen], column) for column in corners.T], axis=1).reshape(
        -1, 4, 2
    )


def smooth(values: Floats, times: Floats, sigma: float) -> Floats:
    """Smooth values [N, …] at rising times [N] (s): a parabola around each, weighted by a Gaussian of `sigma` s."""
    if sigma <= 0:
        return values
    result = np.empty_like(values)
    starts = np.searchsorted(times, times - REACH * sigma)
    ends = np.searchsorted(times, times + REACH * sigma, side="right")
    for place, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        away = (times[start:end] - times[place]) / sigma
        root = np.exp(-0.25 * away**2)  # of the weight
        fit = np.linalg.pinv(np.vander(away, 3, increasing=True) * root[:, None])
        result[place] = np.tensordot(fit[0] * root, values[start:end], axes=1)
    return result
