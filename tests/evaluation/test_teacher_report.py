"""An assessment finds collapse, copies and missing faces where they are, and says what it left out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from distill.errors import DistillError
from distill.evaluation.card_section import marks, put_into
from distill.evaluation.teacher import AssessmentInputs, AssessRequest, assess, latents
from distill.evaluation.teacher_card import SECTION, section, table
from distill.evaluation.teacher_measures import (
    FacesSeen,
    NearPair,
    PictureDistance,
    default_distance,
    in_blocks,
    likeness,
    pair_distances,
    pair_spread,
    spread,
)
from distill.evaluation.teacher_pictures import grid, make_pictures, nearest_pairs
from distill.evaluation.training_pictures import TrainingPictures, averaged
from distill.metrics.features import load_features
from distill.networks.losses import perceptual_distance
from distill.networks.perceptual import NoFeatures
from distill.pixels import to_float

BEGIN, END = marks(SECTION)
REQUEST = AssessRequest(source="tiny", samples=6, seed=3, features="pixels8")
ABOUT = {"name": "tiny", "resolution": 32, "sha256": "0" * 64, "training": {"kimg": 12.5, "data": "a|b"}}


def pictures_of(count, side=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def training(count=5, side=32, **more):
    return TrainingPictures(
        name="p.h5", pixels=pictures_of(count, side), numbers=np.arange(count) * 10, total=100, **more
    )


def inputs_of(generator, pictures, request=REQUEST, **more):
    return AssessmentInputs(
        request=request,
        generator=generator,
        about=ABOUT,
        distance=PictureDistance(NoFeatures()),
        features=load_features("pixels8") if pictures else None,
        pictures=pictures,
        **{"left_out": ("faces: it draws cars",), **more},
    )


def assessed(generator, pictures, request=REQUEST, **more):
    return assess(inputs_of(generator, pictures, request, **more))


# ---- Variety


def test_the_distance_is_the_perceptual_distance():
    distance = default_distance()
    assert distance.name == "perceptual_efficientnet_lite0"
    images = pictures_of(3, side=64)
    found = pair_distances(distance.vectors(images))
    x = to_float(torch.from_numpy(images))
    pairs = [(0, 1), (0, 2), (1, 2)]
    with torch.inference_mode():
        a = distance.features(x[[i for i, _ in pairs]])
        b = distance.features(x[[j for _, j in pairs]])
        assert found == pytest.approx(perceptual_distance(a, b).numpy(), rel=1e-3)


def test_without_the_features_pixels_are_compared():
    distance = PictureDistance(NoFeatures())
    assert distance.name == "pixels_square"
    grey = np.stack([np.full((64, 64, 3), value, np.uint8) for value in (0, 255)])
    assert pair_distances(distance.vectors(grey)) == pytest.approx([4.0], rel=1e-4)


@pytest.mark.parametrize(
    "distance", [PictureDistance(NoFeatures()), default_distance()], ids=lambda distance: distance.name
)
def test_collapse_shows_as_near_duplicates(distance):
    different = pictures_of(6, side=16).repeat(4, axis=1).repeat(4, axis=2)
    one = different[:1].repeat(6, axis=0)
    half = np.concatenate([one[:3], different[1:4]])
    assert pair_spread(distance, different, in_blocks, "").close == 0
    assert pair_spread(distance, one, in_blocks, "").close == 1
    assert pair_spread(distance, one, in_blocks, "").median == pytest.approx(0, abs=1e-5)
    assert pair_spread(distance, half, in_blocks, "").close == pytest.approx(3 / 15)


def test_a_spread_counts_what_lies_below_its_limit():
    found = spread(np.array([4.0, 1.0, 2.0, 3.0]), limit=2.0)
    assert (found.count, found.least, found.median, found.close) == (4, 1, 2.5, 0.25)


def test_pictures_are_averaged_down():
    cell = np.array([[0, 100], [200, 100]], np.uint8)
    image = np.tile(cell, (4, 4))[None, ..., None].repeat(3, axis=3)
    assert (averaged(image, 4) == 100).all()
    assert averaged(image, 8) is image


# ---- Likeness


def faces_at(places, *, mirrored=None, counts=None):
    """Faces whose descriptors lie on a line; mirror images 0.1 aside, in another direction."""
    descriptors = np.zeros((len(places), 128))
    descriptors[:, 0] = places
    other = descriptors.copy()
    other[:, 1] = 0.1
    if mirrored is not None:
        other[:, 0] = mirrored
    counts = np.ones(len(places), np.int64) if counts is None else np.array(counts)
    return FacesSeen(
        counts=counts,
        rows=np.flatnonzero(counts),
        descriptors=descriptors[counts > 0],
        mirrored=other[counts > 0],
    )


NONE_HELD = np.zeros(4, bool)


def test_a_copy_of_a_training_face_is_found():
    people = faces_at([0, 1, 2, 3])
    found = likeness(faces_at([2.05, 0.5]), people, NONE_HELD)
    assert found.samples_to_training.least == pytest.approx(0.05)
    assert found.samples_to_training.close == 1
    assert found.copies == 0.5
    assert found.training_to_other_training.median == 1
    assert found.different_people.count == 6
    assert found.different_people.close == 0
    assert found.mirror_pairs.median == pytest.approx(0.1)
    assert found.sample_pairs.count == 1
    assert found.held_out_to_training is None
    first = found.nearest[0]
    assert (first.sample, first.picture, first.mirrored) == (0, 2, False)


def test_mirror_images_of_training_faces_are_searched():
    people = faces_at([0, 1, 2, 3], mirrored=[10, 11, 12, 13])
    first = likeness(faces_at([12, 30]), people, NONE_HELD).nearest[0]
    assert (first.sample, first.picture, first.mirrored) == (0, 2, True)
    assert first.distance == pytest.approx(0.1)


def test_held_out_people_are_a_row_of_their_own():
    held_out = np.array([False, False, False, True])
    found = likeness(faces_at([3, 3]), faces_at([0, 1, 2, 3]), held_out)
    assert found.held_out_to_training is not None
    assert found.held_out_to_training.median == 1
    assert found.samples_to_training.least == 1, "a held-out face was not trained on: it is no copy"
    assert found.different_people.count == 3


def test_pictures_without_a_face_keep_the_numbers_right():
    people = faces_at([0, 1, 2, 3], counts=[1, 0, 1, 1])
    samples = faces_at([9, 9, 2.1], counts=[0, 1, 2])
    found = likeness(samples, people, NONE_HELD)
    assert found.without_face == 1
    assert (found.nearest[0].sample, found.nearest[0].picture) == (2, 2)


def test_too_few_faces_to_compare_are_said():
    with pytest.raises(DistillError, match="0 samples and 4 training pictures"):
        likeness(faces_at([1, 2], counts=[0, 0]), faces_at([0, 1, 2, 3]), NONE_HELD)


# ---- The whole


def cells(line):
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_what_was_left_out_is_said(tiny_teacher):
    found, drawn = assessed(tiny_teacher, None)
    assert drawn.at_psi.shape == drawn.at_one.shape == (6, 32, 32, 3)
    assert (found.score, found.faces, found.likeness, found.variety.pictures) == (None, None, None, None)
    text = section(found, grid="samples.png")
    assert "Left out: faces: it draws cars." in text
    for unmeasured in ("one face", "training", "Fréchet"):
        assert unmeasured not in text


def test_training_pictures_stand_beside_the_samples(tiny_teacher):
    found, _ = assessed(tiny_teacher, training(side=16))
    assert found.side == 16
    assert found.score is not None
    assert (found.score.name, found.score.samples, found.score.pictures) == ("frechet_pixels8", 6, 5)
    assert "beside 5 of 100 training pictures (`p.h5`), at 16 px" in section(found, grid="samples.png")
    head, _, score, median, *_ = table(found).splitlines()
    assert cells(head) == ["", "samples, ψ 0.7", "samples, ψ 1", "training pictures"]
    assert cells(score) == ["Fréchet distance ↓ (pixels8)", "–", f"{found.score.value:.2f}", "–"]
    assert found.variety.pictures is not None
    assert cells(median)[3] == f"{found.variety.pictures.median:.3f}"
    json.dumps(found.to_json())


def test_at_psi_one_the_samples_are_one_column(tiny_teacher):
    found, _ = assessed(tiny_teacher, training(), request=replace(REQUEST, truncation_psi=1.0))
    head, _, score, *_ = table(found).splitlines()
    assert cells(head) == ["", "samples, ψ 1", "training pictures"]
    assert cells(score)[1] == f"{found.score.value:.2f}"


@pytest.mark.parametrize(
    ("critic", "features", "flatters"),
    [
        ("projected", "efficientnet_lite0", True),
        ("projected", "pixels8", False),
        ("stylegan2", "efficientnet_lite0", False),
    ],
)
def test_a_score_by_the_critics_features_is_called_flattering(tiny_teacher, critic, features, flatters):
    ready = inputs_of(tiny_teacher, training(side=16))
    about = {**ABOUT, "training": {"critic": critic}}
    found, _ = assess(replace(ready, about=about, features=load_features(features)))
    assert found.score is not None
    assert found.score.flattering is flatters
    assert ("which its critic saw: flattering" in table(found)) is flatters


def test_the_same_seed_gives_the_same_report(tiny_teacher):
    first, second = (assessed(tiny_teacher, training())[0].to_json() for _ in range(2))
    assert first == second
    other = assessed(tiny_teacher, training(), request=replace(REQUEST, seed=4))[0].to_json()
    assert first["variety"] != other["variety"]
    more = latents(tiny_teacher, replace(REQUEST, samples=9))
    assert np.array_equal(more[:6], latents(tiny_teacher, REQUEST)), "more samples keep the first ones"


def test_teachers_that_draw_no_faces_are_told_so(tiny_teacher):
    found, _ = assessed(tiny_teacher, training(), faces=True, left_out=())
    assert found.faces is not None
    assert found.faces.samples.none == 1
    assert found.likeness is None
    assert "0 samples and 0 training pictures" in found.left_out[0]


def test_pictures(tiny_teacher):
    found, drawn = assessed(tiny_teacher, None)
    images = make_pictures(inputs_of(tiny_teacher, None), found, drawn, None)
    assert sorted(images) == ["samples-psi1.png", "samples.png", "truncation.png"]
    assert images["samples.png"].shape == (66 - 2, 8 * 66 - 2, 3), "8 in a row, shown at 64 px"
    request = replace(REQUEST, truncation_psi=1.0)
    at_one, drawn = assessed(tiny_teacher, None, request=request)
    images = make_pictures(inputs_of(tiny_teacher, None, request), at_one, drawn, None)
    assert sorted(images) == ["samples.png", "truncation.png"]
    assert at_one.variety.samples == at_one.variety.samples_psi_1


def test_large_pictures_are_not_enlarged():
    assert grid(pictures_of(9, side=128)).shape == (2 * 130 - 2, 8 * 130 - 2, 3)


def test_near_pairs_show_the_sample_beside_the_picture_as_it_was_compared():
    pictures, samples = training(side=128), pictures_of(2, side=256, seed=1)
    pair = NearPair(sample=1, picture=30, mirrored=True, distance=0.25)
    drawn = nearest_pairs(samples, pictures, [pair])
    top, left = 44, 20  # below the names of the columns
    assert (drawn[top : top + 128, left : left + 128] == averaged(samples, 128)[1]).all()
    assert (drawn[top : top + 128, left + 132 : left + 260] == pictures.pixels[3][:, ::-1]).all()


# ---- The card


def test_a_card_gets_the_section_once():
    card = "# Model card\n\nProse.\n"
    first = put_into(card, "one\n", SECTION)
    assert first == f"# Model card\n\nProse.\n\n{BEGIN}\none\n{END}\n"
    assert put_into(f"{first}\nMore prose.\n", r"two \1" + "\n", SECTION) == (
        f"# Model card\n\nProse.\n\n{BEGIN}\ntwo \\1\n{END}\n\nMore prose.\n"
    )
    assert put_into("", "one\n", SECTION).startswith(BEGIN)


@pytest.mark.parametrize("card", [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_card_with_unclear_marks_is_left_alone(card):
    with pytest.raises(DistillError, match="the card needs one line"):
        put_into(card, "text", SECTION)
