from __future__ import annotations

import numpy as np
import pytest
from region_pictures import ASTRONAUT, centred_face, pictures

from distill.errors import DistillError
from distill.faces.regions.landmarks import LandmarkRegions, part_mask, scaled_landmarks
from distill.faces.regions.parts import JoinedRegions, RegionPictures, has_part, overlap, region_masks
from distill.faces.regions.places import PLACES, places, usual_region


def at(mask, points):
    x, y = np.rint(points).astype(int).T
    return mask[y, x]


def test_each_part_covers_its_landmarks_and_nothing_far_away():
    found = region_masks(LandmarkRegions(), pictures(1, 256))
    face = centred_face(256)
    points = {"eyes": np.r_[17:27, 36:48], "nose": np.r_[27:36], "mouth": np.r_[48:60], "face": np.r_[0:68]}
    assert list(found) == list(points)
    for part, mask in found.items():
        assert mask.dtype == np.float32
        assert mask.shape == (1, 256, 256)
        assert 0 == mask.min() < mask.max() == 1
        assert at(mask[0], face[points[part]]).min() > 0.5
        assert mask[0][[0, 0, -1, -1], [0, -1, 0, -1]].max() == 0
    assert at(found["mouth"][0], face[np.r_[27:31, 36:48]]).max() == 0
    assert at(found["nose"][0], face[36:48]).max() == 0


def test_the_face_reaches_over_the_forehead_and_holds_its_features():
    found = region_masks(LandmarkRegions(), pictures(1, 256))
    face = centred_face(256)
    eyes = 64  # px from one to the other
    forehead = face[[19, 24]].mean(axis=0) - [0, 0.4 * eyes]
    assert at(found["face"][0], forehead[None]) == 1
    assert at(found["face"][0], forehead[None] - [0, eyes]) == 0
    inside = found["face"] == 1
    assert found["nose"][~inside].max() == 0
    assert found["mouth"][~inside].max() == 0


def test_rims_are_as_wide_as_the_face_is_large():
    face = centred_face(256)
    large = part_mask(face, "mouth", 256, 256)
    small = part_mask(scaled_landmarks(face, 1 / 4), "mouth", 64, 64)
    averaged = large.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.abs(small - averaged).max() < 0.15
    assert overlap(small, averaged) > 0.95


def test_oblong_pictures_and_faces_that_leave_them():
    images = np.zeros((1, 60, 200, 3), dtype=np.uint8)
    moved = centred_face(128) - np.array([60, 30])
    mask = LandmarkRegions().masks(RegionPictures(images=images, faces=[moved]), ["face"])["face"]
    assert mask.shape == (1, 60, 200)
    assert mask[0, :, 150:].max() == 0
    assert has_part(mask).all()


def test_a_picture_without_a_face_is_named_or_left_empty():
    both = RegionPictures(
        images=np.zeros((2, 64, 64, 3), dtype=np.uint8),
        faces=[centred_face(64), None],
        names=["me.jpg", "wall.jpg"],
    )
    with pytest.raises(
        DistillError, match=r"^wall\.jpg: no face was found in it; the region 'eyes' is placed by"
    ):
        region_masks(LandmarkRegions(), both, ["eyes"])
    mask = LandmarkRegions().masks(both, ["eyes"])["eyes"]
    assert has_part(mask).tolist() == [True, False]
    assert mask[1].max() == 0


def test_an_unknown_part_is_answered_with_the_list():
    with pytest.raises(DistillError, match=r"^part 'ears' is not one of eyes, nose, mouth, face$"):
        region_masks(LandmarkRegions(), pictures(1, 64), ["nose", "ears"])


def test_a_part_outside_of_the_picture_has_no_pixels():
    away = RegionPictures(
        images=np.zeros((1, 64, 64, 3), dtype=np.uint8), faces=[centred_face(64) + np.array([0, 90])]
    )
    with pytest.raises(DistillError, match=r"^picture 1: the region 'mouth' has no pixels there"):
        region_masks(LandmarkRegions(), away, ["mouth"])


@pytest.mark.parametrize(
    "landmarks",
    [np.zeros((68, 2)), ASTRONAUT * [1, 0], np.full((68, 2), np.nan), ASTRONAUT[:5]],
    ids=["one point", "one line", "nan", "five"],
)
def test_landmarks_of_no_face_are_refused_in_one_line(landmarks):
    with pytest.raises(DistillError, match=r"^landmarks: ") as caught:
        part_mask(landmarks, "eyes", 64, 64)
    assert "\n" not in str(caught.value)


def test_numbers_of_pictures_and_faces_must_agree():
    with pytest.raises(DistillError, match=r"images \[2, 8, 8, 3\] need a face, .* each; there are 1$"):
        RegionPictures(images=np.zeros((2, 8, 8, 3), dtype=np.uint8), faces=[None])


class _Constant:
    """A source that gives one value for its parts."""

    def __init__(self, value, *parts):
        self.value, self.parts, self.face_parts = value, parts, parts[:1]

    def masks(self, pictures, parts):
        return {part: np.full(pictures.images.shape[:3], self.value, dtype=np.float32) for part in parts}


def test_of_joined_sources_the_first_that_knows_a_part_gives_it():
    joined = JoinedRegions(_Constant(0.5, "nose", "eyes"), _Constant(1.0, "hair", "eyes", "background"))
    assert joined.parts == ["eyes", "nose", "hair", "background"]
    assert joined.face_parts == ["nose", "hair"]
    found = region_masks(joined, pictures(2, 4, faces=True), ["hair", "eyes"])
    assert {part: float(mask.mean()) for part, mask in found.items()} == {"hair": 1.0, "eyes": 0.5}


def test_landmarks_keep_their_place_in_another_scaling():
    half = scaled_landmarks(np.array([[-0.5, 511.5], [255.5, 0.5]]), 0.5)
    assert half.tolist() == [[-0.5, 255.5], [127.5, 0.0]]


def test_places_lie_around_the_face():
    face = centred_face(64)
    found = places(face, 64, 64)

    def place(x, y):
        return PLACES[found[round(y), round(x)]]

    nose, chin, brow = face[30], face[8], face[[19, 24]].mean(axis=0)
    assert place(*nose) == "face"
    assert place(brow[0], brow[1] - 16) == "crown"
    assert place(1, 1) == "far"
    assert place(face[0][0] - 3, face[0][1]) == "beside"
    assert place(chin[0], chin[1] + 3) == "neck"
    assert place(2, 63) == "shoulders"


@pytest.mark.parametrize(
    ("shares", "region"),
    [
        ({"face": 0.9, "neck": 0.1}, "face"),
        ({"crown": 0.7, "beside": 0.2, "face": 0.1}, "hair"),
        ({"far": 0.9, "shoulders": 0.1}, "background"),
        ({"shoulders": 0.8, "beside": 0.1, "neck": 0.1}, "clothes"),
    ],
)
def test_a_cluster_is_named_by_what_is_usual_where_it_lies(shares, region):
    areas = np.array([0.26, 0.1, 0.13, 0.36, 0.04, 0.11])
    assert usual_region(np.array([shares.get(place, 0.0) for place in PLACES]), areas) == region
