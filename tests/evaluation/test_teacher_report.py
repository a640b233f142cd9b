"""An assessment finds collapse, copies and missing faces where they are, and says what it left out."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from distill.errors import DistillError
from distill.evaluation.teacher import Plan, TrainingPictures, assess, latents, spaced, work_of
from distill.evaluation.teacher_measures import (
    Faces,
    Look,
    NearPair,
    averaged,
    likeness,
    load_look,
    pair_distances,
    spread,
    variety,
)
from distill.evaluation.teacher_pictures import make_pictures, nearest_pairs, tiled
from distill.evaluation.teacher_progress import StagedProgress
from distill.evaluation.teacher_text import BEGIN, END, put_into, section, summary
from distill.metrics.features import load_features
from distill.networks.losses import perceptual_distance
from distill.networks.perceptual import NoFeatures
from distill.pixels import to_float

PLAN = Plan(samples=6, truncation_psi=0.7, seed=3, faces=False, left_out=("faces: it draws cars",))
ABOUT = {
    "name": "tiny",
    "resolution": 32,
    "z_dim": 8,
    "w_dim": 8,
    "num_ws": 8,
    "parameters": 1000,
    "bytes": 4000,
    "sha256": "0" * 64,
    "training": {"kimg": 12.5, "data": "a|b"},
}


def watch(stage, rows):
    """Everything in one block."""
    return [rows]


def pictures_of(count, side=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def training(count=5, side=32, **more):
    return TrainingPictures(
        name="p.h5", pixels=pictures_of(count, side), numbers=np.arange(count) * 10, total=100, **more
    )


def assessed(generator, pictures, plan=PLAN):
    return assess(
        generator,
        ABOUT,
        plan,
        pictures,
        features=load_features("pixels8"),
        look=Look(NoFeatures()),
        watch=watch,
    )


# ---- Variety


def test_the_distance_is_the_perceptual_distance():
    look = load_look()
    assert look.name == "perceptual_efficientnet_lite0"
    images = pictures_of(3, side=64)
    found = pair_distances(look.vectors(images))
    x = to_float(torch.from_numpy(images))
    pairs = [(0, 1), (0, 2), (1, 2)]
    with torch.inference_mode():
        a = look.features(x[[i for i, _ in pairs]])
        b = look.features(x[[j for _, j in pairs]])
        assert found == pytest.approx(perceptual_distance(a, b).numpy(), rel=1e-3)


def test_without_the_features_pixels_are_compared():
    look = Look(NoFeatures())
    assert look.name == "pixels_square"
    grey = np.stack([np.full((128, 128, 3), value, np.uint8) for value in (0, 255)])
    assert pair_distances(look.vectors(grey)) == pytest.approx([4.0], rel=1e-4)


@pytest.mark.parametrize("look", [Look(NoFeatures()), load_look()], ids=lambda look: look.name)
def test_collapse_shows_as_near_duplicates(look):
    different = pictures_of(6, side=16).repeat(4, axis=1).repeat(4, axis=2)
    one = different[:1].repeat(6, axis=0)
    half = np.concatenate([one[:3], different[1:4]])
    assert variety(look, different, watch, "").close == 0
    assert variety(look, one, watch, "").close == 1
    assert variety(look, one, watch, "").median == pytest.approx(0, abs=1e-5)
    assert variety(look, half, watch, "").close == pytest.approx(3 / 15)


def test_a_spread_counts_what_lies_below_its_limit():
    found = spread(np.array([4.0, 1.0, 2.0, 3.0]), limit=2.0)
    assert (found.count, found.least, found.median, found.close) == (4, 1, 2.5, 0.25)


def test_pictures_are_averaged_down():
    cell = np.array([[0, 100], [200, 100]], np.uint8)
    image = np.tile(cell, (4, 4))[None, ..., None].repeat(3, axis=3)
    assert (averaged(image, 4) == 100).all()
    assert averaged(image, 8) is image


def test_pictures_are_chosen_at_even_distances():
    assert spaced(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert spaced(101, 3).tolist() == [0, 50, 100]


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
    return Faces(
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


def test_what_was_left_out_is_said(tiny_teacher):
    found, drawn = assessed(tiny_teacher, None)
    assert drawn.at_psi.shape == drawn.at_one.shape == (6, 32, 32, 3)
    assert (found.score, found.faces, found.likeness, found.variety.pictures) == (None, None, None, None)
    text = section(found, "distill assess-teacher tiny", grid="samples.png")
    assert "- faces: it draws cars" in text
    assert "### Faces" not in text
    assert "### Score" not in text
    assert "faces: it draws cars" in summary(found)


def test_training_pictures_stand_beside_the_samples(tiny_teacher):
    found, _ = assessed(tiny_teacher, training(side=16))
    assert found.side == 16
    assert found.score is not None
    assert (found.score.name, found.score.samples, found.score.pictures) == ("frechet_pixels8", 6, 5)
    assert found.variety.ratio == pytest.approx(
        found.variety.samples_psi_1.median / found.variety.pictures.median
    )
    text = section(found, "distill assess-teacher tiny", grid="samples.png")
    assert "5 of 100 training pictures" in text
    assert r"a\|b" in text
    json.dumps(found.to_json())


@pytest.mark.parametrize(
    ("critic", "name", "flatters"),
    [
        ("projected", "frechet_efficientnet_lite0", True),
        ("projected", "frechet_inception", False),
        ("stylegan2", "frechet_efficientnet_lite0", False),
    ],
)
def test_a_score_by_the_critics_features_is_called_flattering(tiny_teacher, critic, name, flatters):
    found, _ = assessed(tiny_teacher, training(side=16))
    assert found.score is not None
    told = {**found.generator, "training": {"critic": critic}}
    text = section(
        replace(found, generator=told, score=replace(found.score, name=name)), "again", grid="s.png"
    )
    assert ("so the score flatters it" in text) is flatters


def test_the_same_seed_gives_the_same_report(tiny_teacher):
    first, second = (assessed(tiny_teacher, training())[0].to_json() for _ in range(2))
    assert first == second
    other = assessed(tiny_teacher, training(), plan=replace(PLAN, seed=4))[0].to_json()
    assert first["variety"] != other["variety"]
    more = latents(tiny_teacher, replace(PLAN, samples=9))
    assert np.array_equal(more[:6], latents(tiny_teacher, PLAN)), "more samples keep the first ones"


def test_teachers_that_draw_no_faces_are_told_so(tiny_teacher):
    found, _ = assessed(tiny_teacher, training(), plan=replace(PLAN, faces=True, left_out=()))
    assert found.faces is not None
    assert found.faces.samples.none == 1
    assert found.likeness is None
    assert "0 samples and 0 training pictures" in found.left_out[0]


def test_pictures(tiny_teacher):
    found, drawn = assessed(tiny_teacher, None)
    files = make_pictures(found, drawn, tiny_teacher, None)
    assert sorted(files) == ["samples-psi1.png", "samples.png", "truncation.png"]
    with Image.open(io.BytesIO(files["samples.png"])) as picture:
        assert picture.size == (8 * 66 - 2, 66 - 2), "8 in a row, shown at 64 px"
    at_one, drawn = assessed(tiny_teacher, None, plan=replace(PLAN, truncation_psi=1.0))
    assert sorted(make_pictures(at_one, drawn, tiny_teacher, None)) == ["samples.png", "truncation.png"]
    assert at_one.variety.samples == at_one.variety.samples_psi_1


def test_large_pictures_are_not_enlarged():
    assert tiled(pictures_of(3, side=128), 2).size == (258, 258)


def test_near_pairs_show_the_sample_beside_the_picture_as_it_was_compared():
    pictures = training(side=128)
    pair = NearPair(sample=1, picture=30, mirrored=True, distance=0.25)
    drawn = np.asarray(nearest_pairs(pictures_of(2, side=256, seed=1), pictures, [pair]))
    assert (drawn[:128, 130:258] == pictures.pixels[3][:, ::-1]).all()
    assert (drawn[:128, :128] == averaged(pictures_of(2, side=256, seed=1), 128)[1]).all()


# ---- The card


def test_a_card_gets_the_section_once():
    card = "# Model card\n\nProse.\n"
    first = put_into(card, "one\n")
    assert first == f"# Model card\n\nProse.\n\n{BEGIN}\none\n{END}\n"
    assert put_into(f"{first}\nMore prose.\n", r"two \1" + "\n") == (
        f"# Model card\n\nProse.\n\n{BEGIN}\ntwo \\1\n{END}\n\nMore prose.\n"
    )
    assert put_into("", "one\n").startswith(BEGIN)


@pytest.mark.parametrize("card", [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_card_with_unclear_marks_is_left_alone(card):
    with pytest.raises(DistillError, match="the card needs one line"):
        put_into(card, "text")


# ---- Progress


def test_progress_covers_the_stages_that_are_worked_on(tiny_teacher):
    pictures = training()
    work = work_of(PLAN, 32, len(pictures.numbers))
    seen = io.StringIO()
    with StagedProgress(work, stream=seen) as progress:
        assess(
            tiny_teacher,
            ABOUT,
            PLAN,
            pictures,
            features=load_features("pixels8"),
            look=Look(NoFeatures()),
            watch=progress.blocks,
        )
        assert progress.count == pytest.approx(progress.total)
        assert "(100%)" in progress.line()
        assert progress.line().endswith("0 s left, variety of the pictures")
