"""Rows that numbers are read off: the same by whomever and in whatever parts they are read."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from distill.errors import DistillError
from distill.evaluation.generator_metrics import sources
from distill.evaluation.generator_metrics.parts import (
    PartTask,
    Wanted,
    damaged_parts,
    make_part,
    missing_tasks,
    read_rows,
)
from distill.evaluation.generator_metrics.readers import reader_of
from distill.evaluation.generator_metrics.sources import (
    Drawing,
    DrawnSamples,
    LatentSteps,
    Output,
    RealPictures,
    noise_maps,
)
from distill.evaluation.teacher import AssessRequest, latents
from distill.evaluation.training_pictures import chosen_numbers
from distill.pixels import to_uint8
from distill.stylegan2.load import load_generator
from distill.weights.checkpoint import read_checkpoint

PIXELS = Output(reader=reader_of("pixels8"), rows=3)


def pixels(rows):
    return Output(reader=PIXELS.reader, rows=rows)


@pytest.fixture
def drawing(tiny_weights):
    return Drawing(generator=str(tiny_weights), sha256=read_checkpoint(tiny_weights).sha256, seed=3, batch=4)


def read(source, rows, outputs=(PIXELS,)):
    done = []
    found = source.read(outputs, rows, "cpu", done.append)
    assert sum(done) == len(rows)
    return found


def test_a_sample_does_not_depend_on_those_beside_it(drawing):
    source = DrawnSamples(drawing=drawing, psi=0.7)
    (whole,) = read(source, range(10))
    (some,) = read(source, range(6, 9))
    assert whole.dtype == np.float32
    assert some == pytest.approx(whole[6:9], abs=1e-5)
    assert not np.allclose(whole[0], whole[1])


def test_samples_are_those_of_generate_with_noise_of_their_own(drawing, tiny_weights):
    generator = load_generator(tiny_weights, precision="fp32")
    assert generator.has_noise
    request = AssessRequest(source=str(tiny_weights), samples=3, seed=3)
    ws = generator.map(torch.from_numpy(latents(generator, request)), truncation_psi=0.5)
    quiet = to_uint8(generator.synthesize(ws, noise="none")).float().numpy()
    seen = []
    source = DrawnSamples(drawing=drawing, psi=0.5)
    for rows in (range(3), range(1, 2)):
        seen.append(source._draw(generator, rows).float().numpy())
    assert seen[1] == pytest.approx(seen[0][1:2], abs=1)
    moved = np.abs(seen[0] - quiet)
    assert moved.max() > 3, "there is noise"
    assert np.median(moved) < 40, "of the same image"
    first, second = (
        maps.flatten(1) for maps in noise_maps(generator, 3, 40, range(2))["b32.conv1.noise_const"]
    )
    assert not torch.allclose(first, second)


def test_steps_do_not_depend_on_those_beside_them(drawing):
    output = Output(reader=reader_of("efficientnet_lite0"), rows=6, measure="ppl_wend")
    whole_crop = Output(reader=reader_of("efficientnet_lite0"), rows=6, measure="ppl2_wend")
    source = LatentSteps(drawing=drawing, crop_form="tf")
    cropped, whole = read(source, range(6), (output, whole_crop))
    (some,) = read(source, range(3, 5), (output,))
    assert some == pytest.approx(cropped[3:5], rel=0.05), "ε is near the last digits of float32"
    assert cropped.shape == (6, 1)
    assert (cropped > 0).all()
    assert not np.allclose(cropped, whole, rtol=0.2)


def pictures_in(folder, count=12, side=64, seed=0):
    folder.mkdir()
    images = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02d}.png")
    return images


def test_pictures_are_averaged_and_chosen_by_the_seed(tmp_path):
    images = pictures_in(tmp_path / "set")
    opened = sources.open_pictures(tmp_path / "set")
    common = {"path": str(tmp_path / "set"), "digest": opened.digest, "total": 12, "side": 32, "batch": 5}
    (whole,) = read(RealPictures(most=12, seed=1, **common), range(12))
    cells = images.reshape(12, 8, 8, 8, 8, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(12, -1)
    assert whole == pytest.approx(cells / 127.5 - 1, abs=0.01)
    some = RealPictures(most=5, seed=1, **common)
    assert set(some.numbers) <= set(range(12))
    assert read(some, range(5))[0] == pytest.approx(whole[some.numbers])
    assert set(chosen_numbers(12, 3, 1)) < set(some.numbers), "fewer are some of the same"
    with pytest.raises(DistillError, match="its pictures have changed"):
        read(RealPictures(most=5, seed=1, **{**common, "digest": "0" * 12}), range(1))


def test_another_generator_than_the_run_began_with_is_refused(drawing):
    other = Drawing(generator=drawing.generator, sha256="f" * 64, seed=0, batch=2)
    with pytest.raises(DistillError, match="give every worker the same weights"):
        read(DrawnSamples(drawing=other, psi=1.0), range(1))


# ---- On the disk


def test_parts_that_are_whole_are_not_read_again(drawing, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.evaluation.generator_metrics.parts.ROWS", 4)
    source = DrawnSamples(drawing=drawing, psi=1.0)

    def missing(rows):
        return missing_tasks([Wanted(source=source, outputs=(pixels(rows),))], tmp_path, "cpu")

    assert [task.rows for task in missing(10)] == [range(4), range(4, 8), range(8, 10)]
    for task in missing(10):
        make_part(task)
    assert missing(10) == []
    before = read_rows(tmp_path, source, pixels(10))
    assert [task.rows for task in missing(12)] == [range(8, 12)], "the last part grows"
    assert missing(9) == []
    assert np.array_equal(read_rows(tmp_path, source, pixels(9)), before[:9])


def test_an_output_of_fewer_rows_is_read_in_the_same_pass(drawing, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.evaluation.generator_metrics.parts.ROWS", 4)
    lite0 = Output(reader=reader_of("efficientnet_lite0"), rows=6)
    wanted = Wanted(source=DrawnSamples(drawing=drawing, psi=1.0), outputs=(pixels(10), lite0))
    tasks = missing_tasks([wanted], tmp_path, "cpu")
    assert [len(task.outputs) for task in tasks] == [2, 2, 1]
    for task in tasks:
        make_part(task)
    assert missing_tasks([wanted], tmp_path, "cpu") == []
    assert len(read_rows(tmp_path, wanted.source, lite0)) == 6


def test_only_what_is_missing_is_read(drawing, tmp_path):
    source = DrawnSamples(drawing=drawing, psi=1.0)
    lite0 = Output(reader=reader_of("efficientnet_lite0"), rows=3)
    make_part(PartTask(source=source, outputs=(PIXELS,), rows=range(3), folder=str(tmp_path), device="cpu"))
    both = Wanted(source=source, outputs=(PIXELS, lite0))
    (task,) = missing_tasks([both], tmp_path, "cpu")
    assert task.outputs == (lite0,), "another network looks at the same samples"
    moved = DrawnSamples(drawing=drawing, psi=0.5)
    (task,) = missing_tasks([Wanted(source=moved, outputs=(PIXELS,))], tmp_path, "cpu")
    assert task.outputs == (PIXELS,), "another ψ is another source"


def flipped(data):
    """One bit of the last number is another."""
    return data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]


def numpy_file(values):
    data = io.BytesIO()
    np.save(data, values)
    return data.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-5],
        lambda data: b"",
        lambda data: b"page",
        flipped,
        lambda data: numpy_file(np.zeros((3, 192), np.float32)),
        lambda data: numpy_file(np.full((3, 192), np.nan, np.float32)) + data[-32:],
        lambda data: numpy_file(np.zeros((3, 7), np.float32)) + data[-32:],
    ],
)
def test_a_damaged_part_is_read_again(drawing, tmp_path, damage):
    wanted = Wanted(source=DrawnSamples(drawing=drawing, psi=1.0), outputs=(PIXELS,))
    (task,) = missing_tasks([wanted], tmp_path, "cpu")
    make_part(task)
    before = read_rows(tmp_path, wanted.source, PIXELS)
    (path,) = tmp_path.rglob("*.npy")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DistillError, match="cannot be seen here"):
        read_rows(tmp_path, wanted.source, PIXELS)
    assert missing_tasks([wanted], tmp_path, "cpu") == [task]
    assert damaged_parts([task]) == [path]
    make_part(task)
    assert np.array_equal(read_rows(tmp_path, wanted.source, PIXELS), before)


def test_a_part_in_the_place_of_another_is_read_again(drawing, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.evaluation.generator_metrics.parts.ROWS", 4)
    wanted = Wanted(source=DrawnSamples(drawing=drawing, psi=1.0), outputs=(pixels(8),))
    first, second = missing_tasks([wanted], tmp_path, "cpu")
    for task in (first, second):
        make_part(task)
    one, two = sorted(tmp_path.rglob("*.npy"))
    two.write_bytes(one.read_bytes())
    assert missing_tasks([wanted], tmp_path, "cpu") == [second]


def test_a_part_that_only_has_to_grow_is_not_called_damaged(drawing, tmp_path):
    wanted = Wanted(source=DrawnSamples(drawing=drawing, psi=1.0), outputs=(PIXELS,))
    (task,) = missing_tasks([wanted], tmp_path, "cpu")
    make_part(task)
    (longer,) = missing_tasks([replace(wanted, outputs=(pixels(5),))], tmp_path, "cpu")
    assert damaged_parts([longer]) == []


def test_numbers_that_are_not_finite_are_refused_where_they_are_made(drawing, tmp_path, monkeypatch):
    (task,) = missing_tasks(
        [Wanted(source=DrawnSamples(drawing=drawing, psi=1.0), outputs=(PIXELS,))], tmp_path, "cpu"
    )
    monkeypatch.setattr(DrawnSamples, "read", lambda *given: [np.full((3, 192), np.nan, np.float32)])
    with pytest.raises(DistillError, match="pixels8 gives numbers that are not finite, of samples at ψ 1"):
        make_part(task)
    assert not list(tmp_path.iterdir())
