"""Directions tried on pictures of a planted teacher: samples that resume, curves, signs, recommended strengths."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from planted import AGE, GENDER, L, PlantedTeacher, planted_studio, w_of

from distill.directions.look import BATCH, FITTED, draw_w, many_w, truncated
from distill.directions.measure import STRENGTHS, find_subjects, measure
from distill.directions.samples import SampleFile, score_samples
from distill.directions.strip import captions, draw_strip, edited, spread_rows
from distill.directions.summary import Scale, movements, recommended, rises, summary
from distill.directions.unit import in_layers
from distill.directions.workflow import (
    FitPlan,
    Found,
    fit_directions,
    judge_direction,
    output_paths,
    scales_of,
)
from distill.errors import DistillError, Interrupted

KINDS = {"gender": "probability", "age": "value"}
SETTINGS = {"generator": "ab", "seed": 0}


class Looks:
    """Counts the pictures that a studio looks for faces in, and may stop the run."""

    def __init__(self, find, *, stop_after=None):
        self.find, self.count, self.stop_after, self.stop = find, 0, stop_after, threading.Event()

    def __call__(self, image):
        self.count += 1
        if self.count == self.stop_after:
            self.stop.set()
        return self.find(image)


def scored(folder, count, studio=None, stop=None, **settings):
    file = SampleFile(folder, "planted", SETTINGS | settings)
    return score_samples(studio or planted_studio(), file, count, seed=0, stop=stop or threading.Event())


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return scored(tmp_path_factory.mktemp("samples"), 800)


@pytest.fixture(scope="module")
def subjects():
    return find_subjects(planted_studio(), 24, seed=0, stop=threading.Event(), identity_faces=4)


def plan(*attributes, **changes):
    return FitPlan(**{"attributes": attributes, "kinds": KINDS, "layers": (0, L - 1)} | changes)


def fitted(samples, *attributes, **changes):
    teacher = PlantedTeacher()
    w = many_w(teacher, 0, len(samples.found)).double().numpy()
    return fit_directions(plan(*attributes, **changes), samples, w, teacher, "planted")


def judged(found, subjects):
    scales = {
        "gender": Scale(probability=True, median=0.5, apart=0),
        "age": Scale(probability=False, median=40, apart=20),
    }
    return judge_direction(found, planted_studio(), subjects, scales, stop=threading.Event())


def gender_found(sign=1.0, length=1.0):
    vector = in_layers(sign * length * GENDER, L, (0, L - 1))
    return Found(name="planted-gender", attribute="gender", vector=vector, facts={})


def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path, samples):
    looks = Looks(planted_studio().find, stop_after=200)
    with pytest.raises(Interrupted, match=r"interrupted after \d+ of 800 samples; the same command goes on"):
        scored(tmp_path, 800, planted_studio(find=looks), looks.stop)
    before = looks.count
    assert 200 <= before < 400
    again = Looks(planted_studio().find)
    found = scored(tmp_path, 800, planted_studio(find=again))
    assert again.count == 800 - before
    np.testing.assert_array_equal(found.found, samples.found)
    for name in KINDS:
        np.testing.assert_array_equal(found.scores[name], samples.scores[name])


def test_samples_serve_smaller_and_larger_counts_but_no_other_settings(tmp_path):
    scored(tmp_path, 100)
    looks = Looks(planted_studio().find)
    assert len(scored(tmp_path, 60, planted_studio(find=looks)).found) == 60
    assert looks.count == 0
    assert len(scored(tmp_path, 200, planted_studio(find=looks)).found) == 200
    assert looks.count == 208 - 112  # whole batches of 16
    scored(tmp_path, 100, planted_studio(find=looks), truncation_psi=0.5)
    assert looks.count == 208
    assert len(list(tmp_path.glob("planted-*.scores"))) == 2


def test_a_broken_file_of_samples_is_drawn_again(tmp_path):
    scored(tmp_path, 100)
    [file] = tmp_path.glob("*.scores")
    file.write_bytes(file.read_bytes()[:50])
    assert len(scored(tmp_path, 100).found) == 100


def test_too_few_faces_are_refused_with_their_share(tmp_path):
    with pytest.raises(DistillError, match=r"0 of 100 samples \(0\.0%\) show a face, 40 are needed"):
        scored(tmp_path, 100, planted_studio(find=lambda image: []))
    with pytest.raises(DistillError, match=r"0 of 80 drawn samples show a face, 8 are needed"):
        find_subjects(planted_studio(find=lambda image: []), 8, seed=0, stop=threading.Event())


def test_the_scores_are_those_of_truncated_pictures(samples):
    teacher = PlantedTeacher()
    w = draw_w(teacher, 0, FITTED, range(BATCH))
    images = planted_studio().draw(truncated(teacher, w, 0.7)).array()
    np.testing.assert_allclose(w_of(images)[:, 0], 0.7 * w.numpy(), atol=0.03)
    age = 40 + 12 * w_of(images)[:, 0] @ AGE
    there = samples.found[:BATCH]
    np.testing.assert_allclose(samples.scores["age"][:BATCH][there], age[there], rtol=1e-5)


@pytest.mark.parametrize("method", ["centroid", "logistic", "svm", "ridge"])
def test_a_fit_to_drawn_faces_finds_what_was_planted(samples, method):
    for found, truth in zip(fitted(samples, "gender", "age", method=method), (GENDER, AGE), strict=True):
        row = found.vector[0]
        assert row @ truth / np.linalg.norm(row) > 0.9
        np.testing.assert_array_equal(found.vector, np.tile(row, (L, 1)))
        assert found.facts["held_out"]["accuracy"] > 0.85


def test_strength_1_is_the_deviation_of_untruncated_w(samples):
    [found] = fitted(samples, "gender")
    w = many_w(PlantedTeacher(), 0, 800).double().numpy()
    row = found.vector[0]
    assert np.linalg.norm(row) == pytest.approx((w @ row / np.linalg.norm(row)).std())


def test_orthogonal_fits_have_no_dot_product_and_other_attributes_are_fitted_for_it(samples):
    [gender] = fitted(samples, "gender", orthogonal_to=["age"])
    [age] = fitted(samples, "age")
    assert abs((gender.vector * age.vector).sum()) < 1e-9
    assert gender.facts["orthogonal_to"] == ["age"]
    both = fitted(samples, "gender", "age", orthogonal_to=["gender", "age"])
    [plain] = fitted(samples, "gender")
    assert abs((both[1].vector * plain.vector).sum()) < 1e-9


def test_layers_outside_the_range_are_left_alone(samples):
    [found] = fitted(samples, "gender", layers=(1, 2))
    assert not found.vector[[0, 3]].any()
    assert found.vector[[1, 2]].all(axis=1).all()


def test_a_direction_with_the_wrong_sign_is_turned_by_the_scores_of_edited_faces(subjects):
    right, wrong = judged(gender_found(), subjects), judged(gender_found(-1), subjects)
    assert right.direction.facts["turned"] is False
    assert wrong.direction.facts["turned"] is True
    torch.testing.assert_close(wrong.direction.vector, right.direction.vector)
    np.testing.assert_allclose(wrong.curve.scores["gender"], right.curve.scores["gender"], atol=0.02)
    assert wrong.drawn["mean"]["gender"] == sorted(wrong.drawn["mean"]["gender"])


def test_movement_is_told_per_unit_of_strength(subjects):
    one = judged(Found(name="a", attribute="age", vector=in_layers(AGE, L, (0, L - 1)), facts={}), subjects)
    moved = one.direction.facts["movement"]
    assert moved["age"] == pytest.approx(12, abs=0.3)
    assert moved["gender_logit"] == pytest.approx(6 * AGE @ GENDER, abs=0.4)
    assert moved["identity"] == pytest.approx(abs(AGE[2]), abs=0.05)  # the person is the third number of w


def test_lost_faces_and_flips_are_counted(subjects):
    drawn = judged(gender_found(), subjects).drawn
    middle = STRENGTHS.index(0.0)
    assert drawn["found"][middle] == 1
    assert drawn["found"][-1] < 1  # w leaves what shows a face
    assert drawn["flipped"][middle] == 0
    assert drawn["flipped"][-4] > 0.2
    assert drawn["identity"][middle] == 0
    assert drawn["identity"][middle + 1] is None  # compared at whole strengths


def test_the_recommended_strength_is_the_least_that_makes_most_pairs(subjects):
    scales = scales_of({"gender": np.array([0.1, 0.9])}, KINDS, ["gender"])
    curve = measure(planted_studio(), gender_found(length=0.5).vector, subjects, stop=threading.Event())
    strength, share = recommended(curve, "gender", scales)
    scores = curve.scores["gender"]
    shares = {}
    for k in range(1, 9):
        shares[k / 2] = ((scores[:, 8 - k] <= 0.1) & (scores[:, 8 + k] >= 0.9)).mean()
    assert share == pytest.approx(shares[strength], abs=1e-4)
    assert share >= 0.98 * max(shares.values())
    assert all(value < 0.98 * max(shares.values()) for s, value in shares.items() if s < strength)
    flat = measure(planted_studio(), gender_found(length=1e-6).vector, subjects, stop=threading.Event())
    assert recommended(flat, "gender", scales) == (None, 0.0)


def test_ages_of_a_pair_are_20_years_apart(subjects):
    one = judged(Found(name="a", attribute="age", vector=in_layers(AGE, L, (0, L - 1)), facts={}), subjects)
    assert one.direction.facts["recommended_strength"] == 1  # 24 years between -1 and 1
    assert one.direction.facts["recommended_share"] > 0.9


def test_editing_stops_when_it_is_told_to(subjects):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted, match="starts the edits again"):
        measure(planted_studio(), gender_found().vector, subjects, stop=stop)


def test_the_strip_has_a_row_a_face_and_a_score_below_each_picture(subjects):
    curve = measure(planted_studio(), gender_found().vector, subjects, stop=threading.Event())
    columns = [-4.0, 0.0, 4.0]
    rows = spread_rows(subjects.looked.scores["gender"], 3)
    values = subjects.looked.scores["gender"][rows]
    assert list(values) == sorted(values)
    images = edited(PlantedTeacher(), subjects.ws[rows.tolist()], gender_found().vector, columns)
    np.testing.assert_array_equal(images[:, 1], subjects.looked.images[rows])
    under = captions(curve, "gender", Scale(probability=True, median=0.5, apart=0), rows, columns)
    assert under[0][1] == f"{values[0]:.2f}"
    assert {text for row in under for text in row} & {"no face"}
    one, three = (draw_strip(images[:k], columns, title="t", under=under[:k]) for k in (1, 3))
    assert one.width == three.width
    assert three.height > one.height + 2 * 128


def test_a_curve_is_summed_up_in_plain_numbers(subjects):
    curve = measure(planted_studio(), gender_found().vector, subjects, stop=threading.Event())
    scales = {"gender": Scale(probability=True, median=0.5, apart=0)}
    drawn = summary(curve, "gender", scales)
    assert len(drawn["strengths"]) == len(drawn["mean"]["gender"]) == len(drawn["flipped"]) == 17
    assert rises(curve, "gender") > 0 > rises(curve.turned(), "gender")
    assert movements(curve, scales)["gender"] > 0


def test_outputs_are_named_after_teacher_and_attribute(tmp_path):
    both = ["gender", "age"]
    assert [str(path) for path in output_paths(None, "p", both).values()] == [
        "directions/p-gender.safetensors",
        "directions/p-age.safetensors",
    ]
    assert output_paths(str(tmp_path), "p", ["age"])["age"] == tmp_path / "p-age.safetensors"
    assert output_paths(str(tmp_path / "mine"), "p", ["age"])["age"] == tmp_path / "mine.safetensors"
    assert output_paths(str(tmp_path / "mine"), "p", both)["age"] == tmp_path / "mine-age.safetensors"
    file = tmp_path / "x.safetensors"
    assert output_paths(str(file), "p", ["age"])["age"] == file
    with pytest.raises(DistillError, match="one file holds one direction"):
        output_paths(str(file), "p", both)
